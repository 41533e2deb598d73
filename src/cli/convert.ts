/**
 * `skein convert`: writes a model with its weights quantised.
 *
 * @module
 */
import { convertModel } from "../../mod.ts";
import { type Command, defineCommand, expectPositionals, resolvePath } from "./command.ts";
import { counted } from "./counted.ts";
import { decimalUnits, describeProgress, given, jsonOption, resolveModel } from "./loading.ts";
import { bytes, choice, UsageError } from "./options.ts";

/** The command. */
export const convert: Command = defineCommand({
  summary: "Write a model with its weights quantised, for loading faster",
  usage: "MODEL OUT --weights f16|q8|q4",
  options: {
    "weights": choice(
      ["f16", "q8", "q4"],
      "How to store the weights, which has to be said; q4 keeps embedding and head at q8",
    ),
    "shard-bytes": bytes("Most bytes of a weight file, 2 GB unless given"),
    "json": jsonOption,
  },
  run: async ({ positionals, values, terminal, signal }) => {
    const [source, out] = expectPositionals(positionals, ["MODEL", "OUT"]) as [string, string];
    if (values.weights === undefined) throw new UsageError("Expected --weights f16, q8 or q4");
    const { path, files, bytes: written } = await convertModel(await resolveModel(source), resolvePath(out), {
      weights: values.weights,
      ...given("shardBytes", values["shard-bytes"]),
      signal,
      onProgress: (progress) => terminal.progress(describeProgress(progress)),
    });
    if (values.json) terminal.json({ path, weights: values.weights, files, weights_bytes: written });
    else terminal.write(`${path}: ${decimalUnits(written)} of weights in ${counted(files.length, "file")}\n`);
  },
});
