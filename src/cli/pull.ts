/**
 * `skein pull`: fetches a model from the Hugging Face hub.
 *
 * @module
 */
import { pull as pullModel } from "../../mod.ts";
import { type Command, defineCommand, expectPositionals } from "./command.ts";
import { describeProgress, jsonOption } from "./loading.ts";
import { text, UsageError } from "./options.ts";

/** The command. */
export const pull: Command = defineCommand({
  summary: "Fetch a model from the Hugging Face hub: ORG/NAME, ORG/NAME@REVISION or ORG/NAME/FILE.gguf",
  usage: "MODEL",
  options: { "file": text("FILE", "The GGUF file that is wanted, of several"), "json": jsonOption },
  run: async ({ positionals, values, terminal, signal }) => {
    const [model] = expectPositionals(positionals, ["MODEL"]) as [string];
    const id = values.file === undefined ? model : withFile(model, values.file);
    terminal.progress(`asking the hub for ${id}`);
    const { path, commit, isNew } = await pullModel(id, {
      signal,
      onProgress: (progress) => terminal.progress(describeProgress(progress)),
    });
    if (values.json) terminal.json({ model: id, commit, path, is_new: isNew });
    else terminal.write(`${path}\n`);
  },
});

/** An id with a file in it. */
function withFile(model: string, file: string): string {
  if (!file.endsWith(".gguf")) throw new UsageError(`Cannot use --file ${JSON.stringify(file)}: expected a .gguf file`);
  const [repository, revision] = model.split("@");
  return `${repository}/${file}${revision === undefined ? "" : `@${revision}`}`;
}
