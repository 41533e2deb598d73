/**
 * `skein compare`: the perplexity of one model's weights under several RoPE scalings.
 *
 * @module
 */
import type { NamedScaling } from "../eval/passes.ts";
import type { PerplexityRow } from "../eval/perplexity.ts";
import { perplexityTextPlot } from "../eval/text_plot.ts";
import { type Command, defineCommand } from "./command.ts";
import { evaluate, evaluationOptions } from "./evaluation.ts";
import { jsonRows } from "./evaluation_output.ts";
import { readRopeChoice } from "./loading.ts";
import { type Option, UsageError } from "./options.ts";
import { alignedTable } from "./table.ts";

const scalingsOption: Option<readonly NamedScaling[] | undefined> = {
  placeholder: "S,S,...",
  help: "RoPE scalings to compare: own for the model's own, none, or as --rope-scaling takes them",
  read: (flag, [value]) => {
    if (value === undefined) return undefined;
    // A comma between braces belongs to a JSON object.
    const names = value.match(/\{(?:[^{}]|\{[^{}]*\})*\}|[^,]+/g) ?? [];
    if (names.length === 0 || new Set(names).size < names.length) {
      throw new UsageError(
        `Cannot use ${flag} ${JSON.stringify(value)}: expected different scalings such as none,linear:8,yarn:8`,
      );
    }
    return names.map((name) => ({ name, scaling: name === "own" ? undefined : readRopeChoice(flag, name) }));
  },
};

const { "rope-scaling": _replaced, ...shared } = evaluationOptions;
const options = { "scalings": scalingsOption, ...shared };

/** The command. */
export const compare: Command = defineCommand({
  summary: "Perplexity by context length under several RoPE scalings",
  usage: "MODEL FILES --scalings none,linear:8,yarn:8",
  options,
  run: async ({ values, ...run }) => {
    const { scalings } = values;
    if (scalings === undefined) throw new UsageError("Expected --scalings, such as none,linear:8,yarn:8");
    const { rows, method } = await evaluate(
      { ...run, values: { ...values, "rope-scaling": scalings[0]!.scaling } },
      scalings,
    );
    if (values.json) {
      run.terminal.json({ results: jsonRows(rows), method });
      return;
    }
    run.terminal.write(`${method.protocol}\n\n${comparisonTable(rows)}\n${perplexityTextPlot(rows)}`);
  },
});

/** One row a scaling, one column a context length or bucket of positions. */
export function comparisonTable(rows: readonly PerplexityRow[]): string {
  const columnOf = ({ contextLength, positions }: PerplexityRow) => positions?.join("-") ?? String(contextLength);
  const columns = [...new Set(rows.map(columnOf))];
  const scalings = [...new Set(rows.map(({ scaling }) => scaling))];
  return alignedTable([
    ["scaling", ...columns],
    ...scalings.map((name) => [
      name,
      ...columns.map((column) =>
        rows.find((row) => row.scaling === name && columnOf(row) === column)?.perplexity.toFixed(2) ?? ""
      ),
    ]),
  ]);
}
