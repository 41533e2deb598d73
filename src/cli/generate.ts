/**
 * `skein generate`: continues a prompt.
 *
 * @module
 */
import type { GenerateOptions } from "../../mod.ts";
import { type Command, defineCommand, expectPositionals, readTextFile } from "./command.ts";
import { contextPolicy, slideNote } from "./context_policy.ts";
import { cutNote, grammarOf, grammarOptions } from "./grammar.ts";
import { given, modelOptions, openModel } from "./loading.ts";
import { flag, integer, number, type Option, text, texts, UsageError } from "./options.ts";

/** `--logit-bias`. */
const biases: Option<Readonly<Record<number, number>>> = {
  placeholder: "ID:BIAS",
  help: "Added to the logit of this token id, from -100 to 100",
  repeats: true,
  read: (option, values) =>
    Object.fromEntries(values.map((value) => {
      const [, id, bias] = /^(\d+):([+-]?\d+(?:\.\d+)?)$/.exec(value) ?? [];
      if (id === undefined) {
        throw new UsageError(
          `Cannot use ${option} ${JSON.stringify(value)}: expected a token id and a number, as 42:-100`,
        );
      }
      return [Number(id), Number(bias)];
    })),
};

/** Options that say how tokens are selected. */
export const samplingOptions = {
  "max-tokens": integer("Most tokens to generate, 256 unless given", { min: 1, max: 2 ** 30 }),
  "temperature": number(
    "0 always takes the likeliest token; 0 unless given, or 1 where --top-k, --top-p, --min-p or --seed is",
    { min: 0, max: 100 },
  ),
  "top-k": integer("Sample among the N likeliest tokens; 0 means all", { min: 0, max: 2 ** 30 }),
  "top-p": number("Sample among the likeliest tokens that together have this probability", {
    min: 0,
    above: true,
    max: 1,
  }),
  "min-p": number("Drop tokens that are less likely than this share of the likeliest", { min: 0, max: 1 }),
  "repetition-penalty": number("Divides logits of tokens that were there before", { min: 0.01, max: 100 }),
  "presence-penalty": number("Taken from logits of tokens that were generated before", { min: -2, max: 2 }),
  "frequency-penalty": number("The same for each time that one was generated", { min: -2, max: 2 }),
  "logit-bias": biases,
  "seed": integer("The same seed samples the same text", { min: 0, max: 2 ** 32 - 1 }),
  "stop": texts("TEXT", "Stop before this text"),
  "context-policy": contextPolicy,
  "speculate": integer("Guess N tokens at a time from the text so far, and verify them in one pass", {
    min: 0,
    max: 63,
  }),
};

const options = {
  "prompt": text("TEXT", "What to continue"),
  "prompt-file": text("FILE", "Read the prompt from a file"),
  "no-special-tokens": flag("Add no special tokens such as <s> to the prompt"),
  "echo": flag("Put the prompt before its completion"),
  "logprobs": integer("With --json: how likely each token was, and the N likeliest beside it", { min: 0, max: 20 }),
  ...samplingOptions,
  ...grammarOptions,
  ...modelOptions,
};

/** The command. */
export const generate: Command = defineCommand({
  summary: "Continue a prompt",
  usage: "MODEL --prompt TEXT",
  options,
  run: async ({ positionals, values, terminal, signal }) => {
    const [source] = expectPositionals(positionals, ["MODEL"]) as [string];
    if (values.logprobs !== undefined && !values.json) throw new UsageError("Cannot use --logprobs without --json");
    const prompt = await promptOf(values);
    const grammar = await grammarOf(values);
    const started = performance.now();
    using model = await openModel(source, values, { terminal, signal });
    const loadMs = performance.now() - started;
    terminal.progress("prefill");
    const generation = model.generate(prompt, {
      ...generateOptions(values),
      ...given("grammar", grammar),
      ...given("topLogprobs", values.logprobs),
      addSpecialTokens: !values["no-special-tokens"],
      signal,
    });
    const echoed = values.echo ? prompt : "";
    if (!values.json) terminal.write(echoed);
    for await (const { text } of generation) if (!values.json) terminal.write(text);
    const result = await generation.result;
    if (!values.json && !(echoed + result.text).endsWith("\n")) terminal.write("\n");
    const notes = [slideNote(result.contextSlides, model.contextLength), cutNote(grammar, result.finishReason)];
    for (const note of notes) if (note !== undefined) terminal.note(note);
    if (values.json) {
      const { timings, usage } = result;
      terminal.json({
        text: echoed + result.text,
        tokens: [...result.tokens],
        ...(result.logprobs === undefined ? {} : {
          logprobs: result.logprobs.map(({ token, logprob, top }) => ({
            ...{ token, piece: model.tokenizer.piece(token) ?? null, logprob },
            top: top.map(({ token, logprob }) => ({ token, piece: model.tokenizer.piece(token) ?? null, logprob })),
          })),
        }),
        finish_reason: result.finishReason,
        context_slides: result.contextSlides,
        ...(result.speculation === undefined ? {} : { speculation: result.speculation }),
        usage: { prompt_tokens: usage.promptTokens, completion_tokens: usage.completionTokens },
        timings: {
          load_ms: loadMs,
          prefill_ms: timings.prefillMs,
          prefill_tokens_per_s: timings.prefillTokensPerSecond,
          first_token_ms: timings.firstTokenMs,
          decode_ms: timings.decodeMs,
          decode_tokens_per_s: timings.decodeTokensPerSecond,
        },
        memory: {
          weights_bytes: model.memory.weightsBytes,
          kv_bytes: model.memory.kvBytes,
          scratch_bytes: model.memory.scratchBytes,
        },
        variants: model.variants,
        device: model.deviceName,
      });
    }
  },
});

/** The library's sampling options for what the user asked. */
export function generateOptions(
  values: { readonly [K in keyof typeof samplingOptions]: ReturnType<typeof samplingOptions[K]["read"]> },
): GenerateOptions {
  return {
    maxTokens: values["max-tokens"] ?? 256,
    ...given("contextPolicy", values["context-policy"]),
    ...given("temperature", values.temperature),
    // The library has no word for all but leaving it out.
    ...given("topK", values["top-k"] || undefined),
    ...given("topP", values["top-p"]),
    ...given("minP", values["min-p"]),
    ...given("speculate", values.speculate),
    ...given("repetitionPenalty", values["repetition-penalty"]),
    ...given("presencePenalty", values["presence-penalty"]),
    ...given("frequencyPenalty", values["frequency-penalty"]),
    logitBias: values["logit-bias"],
    ...given("seed", values.seed),
    stop: values.stop,
  };
}

async function promptOf(
  { prompt, "prompt-file": file }: { "prompt": string | undefined; "prompt-file": string | undefined },
): Promise<string> {
  if (prompt !== undefined && file !== undefined) throw new UsageError("Expected --prompt or --prompt-file, got both");
  if (file !== undefined) return await readTextFile("--prompt-file", file);
  if (prompt === undefined) throw new UsageError("Expected --prompt TEXT or --prompt-file FILE");
  return prompt;
}
