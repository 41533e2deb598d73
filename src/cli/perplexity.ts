/**
 * `skein perplexity`: how well a model predicts documents, by context length.
 *
 * @module
 */
import { type Command, defineCommand } from "./command.ts";
import { evaluate, evaluationOptions } from "./evaluation.ts";
import { jsonRows } from "./evaluation_output.ts";
import { alignedTable } from "./table.ts";

/** The command. */
export const perplexity: Command = defineCommand({
  summary: "Perplexity of documents by context length",
  usage: "MODEL FILES",
  options: evaluationOptions,
  run: async (run) => {
    const { rows, method } = await evaluate(run, undefined);
    if (run.values.json) {
      run.terminal.json({ results: jsonRows(rows), method });
      return;
    }
    run.terminal.write(`${method.protocol}\n\n`);
    const hasBuckets = rows.some(({ positions }) => positions !== undefined);
    run.terminal.write(alignedTable([
      ["scaling", "length", ...hasBuckets ? ["positions"] : [], "perplexity", "by token", "tokens", "windows"],
      ...rows.map((row) => [
        row.scaling,
        String(row.contextLength),
        ...hasBuckets ? [row.positions?.join("-") ?? "all"] : [],
        row.perplexity.toFixed(4),
        row.tokenPerplexity.toFixed(4),
        String(row.tokens),
        String(row.windows),
      ]),
    ]));
  },
});
