/**
 * `skein list` and `skein remove`: the models in the hub's cache.
 *
 * @module
 */
import { listCache, removeFromCache } from "../hub/cache_listing.ts";
import { hubEnvironment } from "../hub/hub_environment.ts";
import { parseModelId } from "../hub/model_id.ts";
import { type Command, defineCommand, expectPositionals } from "./command.ts";
import { decimalUnits, jsonOption } from "./loading.ts";
import { UsageError } from "./options.ts";
import { alignedTable } from "./table.ts";

/** `skein list`. */
export const list: Command = defineCommand({
  summary: "List the models in the hub's cache, those that other programs fetched included",
  usage: "",
  options: { "json": jsonOption },
  run: async ({ positionals, values, terminal }) => {
    if (positionals.length > 0) {
      throw new UsageError(`Cannot use argument ${JSON.stringify(positionals[0])}: list has none`);
    }
    const { cache } = await hubEnvironment();
    const models = await listCache(cache);
    if (values.json) {
      terminal.json({
        cache,
        models: models.map(({ id, commit, bytes, isComplete }) => ({
          model: id,
          commit: commit ?? null,
          bytes,
          complete: isComplete,
        })),
      });
    } else if (models.length === 0) {
      terminal.note(`There are no models in ${cache}`);
    } else {
      terminal.write(alignedTable([
        ["model", "size", "state"],
        ...models.map(({ id, bytes, isComplete }) => [id, decimalUnits(bytes), isComplete ? "ready" : "incomplete"]),
      ]));
    }
  },
});

/** `skein remove`. */
export const remove: Command = defineCommand({
  summary: "Remove a model from the hub's cache: all of it, or ORG/NAME@REVISION, or ORG/NAME/FILE.gguf",
  usage: "MODEL",
  options: { "json": jsonOption },
  run: async ({ positionals, values, terminal }) => {
    const [model] = expectPositionals(positionals, ["MODEL"]) as [string];
    const id = parseModelId(model);
    if (id === undefined) {
      throw new UsageError(
        `Cannot remove ${JSON.stringify(model)}: expected an id such as ORG/NAME; skein list tells which`,
      );
    }
    const { cache } = await hubEnvironment();
    const freed = await removeFromCache(cache, id, !model.includes("@"));
    if (freed === undefined) throw new UsageError(`Cannot remove ${model}: there is nothing of it in ${cache}`);
    if (values.json) terminal.json({ model, freed_bytes: freed });
    else terminal.write(`Freed ${decimalUnits(freed)}\n`);
  },
});
