/**
 * `skein inspect`: what a checkpoint holds and what it takes to run it.
 *
 * @module
 */
import { type Inspection, inspectModel, type MemoryPlan } from "../../mod.ts";
import { type Command, defineCommand, expectPositionals } from "./command.ts";
import { loadOptions, modelOptions, resolveModel } from "./loading.ts";

/** The command. */
export const inspect: Command = defineCommand({
  summary: "Show a checkpoint's config, RoPE, tensors and memory plan",
  usage: "MODEL",
  options: modelOptions,
  run: async ({ positionals, values, terminal }) => {
    const [source] = expectPositionals(positionals, ["MODEL"]) as [string];
    const { config, rope, tensors, plan } = await inspectModel(await resolveModel(source), loadOptions(values));
    if (values.json) {
      terminal.json({
        config,
        rope: {
          type: rope.type,
          source: rope.source,
          inv_freq: [...rope.invFreq],
          attention_factor: rope.attentionFactor,
        },
        tensors: tensors.map(({ name, dtype, shape }) => ({ name, dtype, shape })),
        plan: plan.map((row) => ({
          weights: row.weights,
          kv_cache: row.kvCache,
          context_length: row.contextLength,
          weights_bytes: row.weightsBytes,
          kv_bytes: row.kvBytes,
          scratch_bytes: row.scratchBytes,
          total_bytes: row.totalBytes,
          fits: row.fits,
        })),
      });
      return;
    }
    for (const [key, value] of Object.entries(config)) terminal.write(`${key.padEnd(24)}${JSON.stringify(value)}\n`);
    terminal.write(`${"rope".padEnd(24)}${rope.type} from ${rope.source}, attention factor ${rope.attentionFactor}\n`);
    terminal.write(`${"tensors".padEnd(24)}${countByType(tensors)}\n\n${planTable(plan)}${planNotes(plan)}`);
  },
});

/** "12 (5 F32, 2 Q6_K, ...)", or "0". */
function countByType(tensors: Inspection["tensors"]): string {
  const counts = new Map<string, number>();
  for (const { dtype } of tensors) counts.set(dtype, (counts.get(dtype) ?? 0) + 1);
  const types = [...counts].sort(([, a], [, b]) => b - a).map(([dtype, count]) => `${count} ${dtype}`).join(", ");
  return types === "" ? "0" : `${tensors.length} (${types})`;
}

/** The memory plan as a table, one row for each way to store weights and cache. */
export function planTable(plan: readonly MemoryPlan[]): string {
  const rows = [
    ["weights", "KV cache", "context", "weights", "KV cache", "scratch", "total"],
    ...plan.map((row) => [
      row.weights,
      row.kvCache,
      row.contextLength.toLocaleString("en-US"),
      binaryUnits(row.weightsBytes),
      binaryUnits(row.kvBytes),
      binaryUnits(row.scratchBytes),
      binaryUnits(row.totalBytes),
    ]),
  ];
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const pad = (cell: string, column: number) =>
    column < 2 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!);
  return rows.map((row) => `${row.map(pad).join("  ")}\n`).join("");
}

/** What stands in the way of each plan, in words; empty where nothing is known to. */
function planNotes(plan: readonly MemoryPlan[]): string {
  return plan.filter(({ fits }) => fits === false)
    .map(({ weights, kvCache, note }) => `weights ${weights}, KV cache ${kvCache}: ${note}\n`).join("");
}

function binaryUnits(count: number): string {
  return count >= 2 ** 30 ? `${(count / 2 ** 30).toFixed(2)} GiB` : `${(count / 2 ** 20).toFixed(1)} MiB`;
}
