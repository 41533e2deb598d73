/**
 * Skein runs Llama models with long contexts on WebGPU: it loads a Hugging Face or GGUF checkpoint, extends its
 * context by YaRN, and generates text with WGSL kernels.
 *
 * @example Load a model and print text as it comes
 * ```ts
 * import { loadModel } from "@skein/skein";
 *
 * using model = await loadModel("tests/testdata/pg-nano-yarn-2k");
 * for await (const { text } of model.generate("Once upon a time", { maxTokens: 20 })) {
 *   await Deno.stdout.write(new TextEncoder().encode(text));
 * }
 * ```
 *
 * @module
 */
export { inspectModel, loadModel } from "./src/api/deno_host.ts";
export { convertModel } from "./src/api/convert.ts";
export type { ConvertOptions } from "./src/api/convert.ts";
export type { ConversionProgress, ConvertedModel } from "./src/convert/conversion.ts";
export { pull } from "./src/api/named_model.ts";
export type { PullOptions } from "./src/api/named_model.ts";
export type { PulledModel } from "./src/hub/pull.ts";
export type { DownloadProgress } from "./src/hub/transfer_progress.ts";
export type { Inspection, LoadOptions } from "./src/api/load.ts";
export type { LoadProgress, WeightChoice } from "./src/model/weights.ts";
export type { KvFormat } from "./src/kernels/kv_formats.ts";
export { Model } from "./src/api/model.ts";
export type { ModelMemory, PromptOptions, Score, ScoreOptions } from "./src/api/model.ts";
export type { RopeChoice } from "./src/model/rope_choice.ts";
export type { ChatOptions } from "./src/api/chat.ts";
export type { ChatMessage, Tool, ToolCall } from "./src/chat/message.ts";
export type { RenderInput } from "./src/chat/chat_template.ts";
export type { ChatPrompt, ChatPromptOptions } from "./src/chat/prompt.ts";
export { Session } from "./src/api/session.ts";
export type { GenerateOptions } from "./src/api/session.ts";
export { Generation } from "./src/api/generation.ts";
export type { GenerationResult, GenerationTimings, TextChunk } from "./src/api/generation.ts";
export { Tokenizer } from "./src/tokenizer/tokenizer.ts";
export {
  CapacityError,
  DeviceLostError,
  DownloadError,
  FormatError,
  GpuUnavailableError,
  ShaderError,
} from "./src/errors.ts";
export type { DownloadFailure } from "./src/errors.ts";
export { blobSource } from "./src/checkpoint/source.ts";
export { httpSource } from "./src/checkpoint/http_source.ts";
export type { HttpSourceOptions } from "./src/checkpoint/http_source.ts";
export type { RetryPolicy } from "./src/checkpoint/retry.ts";
export type { ModelSource } from "./src/checkpoint/source.ts";
export type { ArchitectureTraits } from "./src/model/architectures.ts";
export type { ModelConfig } from "./src/model/config.ts";
export type { MemoryPlan } from "./src/model/plan.ts";
export type { TokenLogprobs } from "./src/kernels/top_logprobs.ts";
export type { SamplingOptions } from "./src/generate/sampling.ts";
export type { SpeculationOptions } from "./src/generate/speculation.ts";
export type { SpeculationFigures } from "./src/model/verification.ts";
export type { FinishReason } from "./src/generate/generate.ts";
export type { ContextPolicy, SinkWindow } from "./src/generate/context_policy.ts";
export type { StopOptions } from "./src/generate/stop.ts";
export type {
  DynamicLinearScaling,
  DynamicNtkScaling,
  DynamicYarnRule,
  DynamicYarnScaling,
  FrequencyBlend,
  LinearScaling,
  Llama3Scaling,
  LongRopeScaling,
  NoScaling,
  NtkScaling,
  PartNtkScaling,
  ProportionalScaling,
  RopeFrequencies,
  RopeScaling,
  RopeSettings,
  YarnScaling,
} from "./src/model/rope.ts";
export { perplexity } from "./src/eval/perplexity.ts";
export type { EvalProgress, PerplexityOptions, PerplexityRow, WindowRecords } from "./src/eval/perplexity.ts";
export type { NamedScaling, PassOptions } from "./src/eval/passes.ts";
export { passkey, passkeyTrials } from "./src/eval/passkey.ts";
export type { Completer, PasskeyAnswer, PasskeyOptions, PasskeyTrial } from "./src/eval/passkey.ts";
export { passkeyCsv, perplexityCsv, perplexityPlot } from "./src/eval/report.ts";
export type { EvalDocument, TextDocument } from "./src/eval/documents.ts";
export type { Encoder, Scalable, Scorer } from "./src/eval/scorer.ts";
export type { WindowEnd } from "./src/eval/windows.ts";
