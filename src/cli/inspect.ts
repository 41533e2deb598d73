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
    const rows = [...describeConfig(config), ["RoPE", describeRope(config, rope)], ["tensors", countByType(tensors)]];
    for (const [label, value] of rows) terminal.write(`${label!.padEnd(16)}${value}\n`);
    terminal.write(`\n${planTable(plan)}${planNotes(plan)}`);
  },
});

/** What a config says, for a person: what it shares with a plain Llama, and what else it has. */
function describeConfig(config: Inspection["config"]): string[][] {
  const biases = [
    ...config.attentionBias ? ["q, k and v"] : [],
    ...config.outputBias ? ["o"] : [],
    ...config.mlpBias ? ["the MLP"] : [],
  ];
  const among = (layers: readonly number[]) =>
    layers.length === config.nLayers ? "all layers" : `${layers.length} of ${config.nLayers} layers`;
  const whereThere = (label: string, isThere: boolean, value: string) => isThere ? [[label, value]] : [];
  return [
    ["architecture", config.architecture],
    ["layers", `${config.nLayers}, of width ${grouped(config.hiddenSize)}, MLP ${grouped(config.intermediateSize)}`],
    ["heads", `${config.nHeads} for queries, ${config.nKvHeads} for keys and values, of width ${config.headDim}`],
    ...whereThere(
      "sliding window",
      config.slidingLayers.length > 0,
      `${grouped(config.slidingWindow ?? 0)} tokens, in ${among(config.slidingLayers)}`,
    ),
    ...whereThere("without RoPE", config.noRopeLayers.length > 0, among(config.noRopeLayers)),
    ...whereThere("biases", biases.length > 0, biases.join("; ")),
    ...whereThere("head norms", config.headNormEps !== undefined, "of queries and keys"),
    ["vocabulary", `${grouped(config.vocabSize)}${config.tieWordEmbeddings ? "; the head is the embedding" : ""}`],
    ["begins with", config.bosId === undefined ? "no token of its own" : `token ${config.bosId}`],
    ["ends with", config.stopIds.length === 0 ? "no token of its own" : `token ${config.stopIds.join(" or ")}`],
    ["context", `${grouped(config.maxPositionEmbeddings)} tokens`],
  ];
}

/** The rotary frequencies in a line: how they are scaled, and where that is said. */
function describeRope(
  { rotaryDim, headDim, ropeTheta }: Inspection["config"],
  { type, source, attentionFactor }: Inspection["rope"],
): string {
  const said = source === "option" ? "--rope-scaling" : source;
  const scaling = type !== "none"
    ? `${type} from ${said}`
    : source === "none"
    ? "not scaled"
    : `not scaled, by ${said}`;
  const part = rotaryDim === headDim ? "" : `, of ${rotaryDim} elements of a head`;
  return `${scaling}, base ${grouped(ropeTheta)}${part}, attention factor ${Number(attentionFactor.toPrecision(7))}`;
}

/** "12 (5 F32, 2 Q6_K, ...)", or "none yet". */
function countByType(tensors: Inspection["tensors"]): string {
  const counts = new Map<string, number>();
  for (const { dtype } of tensors) counts.set(dtype, (counts.get(dtype) ?? 0) + 1);
  const types = [...counts].sort(([, a], [, b]) => b - a).map(([dtype, count]) => `${count} ${dtype}`).join(", ");
  return types === "" ? "none yet" : `${tensors.length} (${types})`;
}

/** The memory plan as a table, one row for each way to store weights and cache. */
export function planTable(plan: readonly MemoryPlan[]): string {
  const isKnown = plan.some(({ fits }) => fits !== null);
  const rows = [
    ["weights", "KV cache", "context", "weights", "KV cache", "scratch", "total", ...isKnown ? ["fits"] : []],
    ...plan.map((row) => [
      row.weights,
      row.kvCache,
      grouped(row.contextLength),
      binaryUnits(row.weightsBytes),
      binaryUnits(row.kvBytes),
      binaryUnits(row.scratchBytes),
      binaryUnits(row.totalBytes),
      ...isKnown ? [row.fits === null ? "" : row.fits ? "yes" : "no"] : [],
    ]),
  ];
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const pad = (cell: string, column: number) =>
    column < 2 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!);
  return rows.map((row) => `${row.map(pad).join("  ")}\n`).join("");
}

/** What stands in the way of plans, in words, those together that it is the same for; empty where nothing is known to. */
function planNotes(plan: readonly MemoryPlan[]): string {
  const notes = Map.groupBy(plan.filter(({ fits }) => fits === false), ({ kvCache, note }) => `${kvCache}: ${note}\n`);
  return [...notes].map(([note, rows]) => `weights ${rows.map(({ weights }) => weights).join(", ")}, KV cache ${note}`)
    .join("");
}

function grouped(count: number): string {
  return count.toLocaleString("en-US");
}

function binaryUnits(count: number): string {
  return count >= 2 ** 30 ? `${(count / 2 ** 30).toFixed(2)} GiB` : `${(count / 2 ** 20).toFixed(1)} MiB`;
}
