/**
 * `deno task reproduce`: the published perplexities of a YaRN checkpoint, measured again.
 *
 * @module
 */
import { proofPilePerplexity, PUBLISHED_MODELS } from "../eval/published.ts";
import { benchmarkSection, benchmarkTable, type ComparedRow } from "./benchmark_results.ts";
import { type Command, defineCommand } from "./command.ts";
import { evaluate, evaluationOptions } from "./evaluation.ts";
import { jsonRows, nameOfPath } from "./evaluation_output.ts";
import { choice, text, UsageError } from "./options.ts";
import { expectDifferentFiles, WholeFile } from "./whole_file.ts";

/** The lengths of the model card. */
const LENGTHS = [2048, 8192, 32768, 65536];

/** What the authors took of Proof-pile: the first ten documents of at least this many tokens. */
const PROOF_PILE = { minTokens: 131072, samples: 10 };

const { truncate: _always, stride: _none, windows: _never, buckets: _no, ...shared } = evaluationOptions;
const options = {
  "row": choice(PUBLISHED_MODELS, `The model whose figures stand beside, ${PUBLISHED_MODELS[0]} unless given`),
  ...shared,
  "lengths": { ...shared.lengths, help: `Context lengths, ${LENGTHS.join(",")} unless given` },
  "markdown": text("FILE", "Write the table and how it was measured as Markdown, for a model card"),
};

/** The command. */
export const reproduce: Command = defineCommand({
  summary: "Measure a YaRN checkpoint's published perplexities again",
  usage: "MODEL proof-pile|pg19 FILES",
  options,
  run: async ({ positionals, values, ...run }) => {
    const [source, corpus, ...files] = positionals;
    if (source === undefined) throw new UsageError("Expected MODEL as argument 1");
    if (corpus !== "proof-pile" && corpus !== "pg19") {
      throw new UsageError(`Cannot use corpus ${JSON.stringify(corpus ?? "")}: expected proof-pile or pg19`);
    }
    const name = values.row ?? PUBLISHED_MODELS[0];
    const lengths = values.lengths ?? LENGTHS;
    const { resume, csv, svg } = values;
    expectDifferentFiles({ "--resume": resume, "--csv": csv, "--svg": svg, "--markdown": values.markdown });
    const markdown = values.markdown === undefined ? undefined : await WholeFile.at("--markdown", values.markdown);
    // Of PG19 nothing was published, so that every book counts that fills the longest window.
    const chosen = corpus === "proof-pile" ? PROOF_PILE : { minTokens: Math.max(...lengths), samples: undefined };
    const { rows, method } = await evaluate({
      ...run,
      positionals: [source, ...files],
      values: {
        ...values,
        lengths,
        "min-tokens": values["min-tokens"] ?? chosen.minTokens,
        "samples": values.samples ?? chosen.samples,
        "truncate": true,
        "stride": undefined,
        "windows": undefined,
        "buckets": undefined,
      },
    }, undefined);
    const compared: ComparedRow[] = rows.map((row) => ({
      ...row,
      published: corpus === "proof-pile" ? proofPilePerplexity(name, row.contextLength) : undefined,
    }));
    await markdown?.write(benchmarkSection(compared, method, { model: nameOfPath(source), corpus, published: name }));
    if (values.json) {
      run.terminal.json({
        results: jsonRows(rows).map((row, i) => ({ ...row, published: compared[i]!.published ?? null })),
        method: { ...method, corpus, published: name },
      });
      return;
    }
    run.terminal.write(`${method.protocol}\n\n${benchmarkTable(compared)}`);
  },
});
