/**
 * Skein for browsers: the same as the package's main module, without a disk. `deno task build:browser` makes one ES
 * module of it.
 *
 * @example Load what somebody picked with `<input type="file" multiple>`
 * ```html
 * <script type="module">
 *   import { loadModel } from "./skein.js";
 *
 *   const model = await loadModel("HuggingFaceTB/SmolLM2-135M-Instruct"); // or the files of an <input>
 *   for await (const { text } of model.generate("Once upon a time")) document.body.append(text);
 * </script>
 * ```
 *
 * @module
 */
export { inspectModel, loadModel } from "./browser_host.ts";
export type { BrowserSource } from "./browser_host.ts";
export type { DownloadProgress } from "../hub/transfer_progress.ts";
export type { Inspection, LoadOptions } from "../api/load.ts";
export type { LoadProgress, WeightChoice } from "../model/weights.ts";
export type { KvFormat } from "../kernels/kv_formats.ts";
export { Model } from "../api/model.ts";
export type { ModelMemory, PromptOptions, Score, ScoreOptions } from "../api/model.ts";
export type { RopeChoice } from "../model/rope_choice.ts";
export type { ChatOptions } from "../api/chat.ts";
export type { ChatMessage, Tool, ToolCall } from "../chat/message.ts";
export type { RenderInput } from "../chat/chat_template.ts";
export type { ChatPrompt, ChatPromptOptions } from "../chat/prompt.ts";
export { Session } from "../api/session.ts";
export type { GenerateOptions } from "../api/session.ts";
export { Generation } from "../api/generation.ts";
export type { GenerationResult, GenerationTimings, TextChunk } from "../api/generation.ts";
export { Tokenizer } from "../tokenizer/tokenizer.ts";
export {
  CapacityError,
  DeviceLostError,
  DownloadError,
  FormatError,
  GpuUnavailableError,
  ShaderError,
} from "../errors.ts";
export type { DownloadFailure } from "../errors.ts";
export { blobSource } from "../checkpoint/source.ts";
export { httpSource } from "../checkpoint/http_source.ts";
export type { HttpSourceOptions } from "../checkpoint/http_source.ts";
export type { RetryPolicy } from "../checkpoint/retry.ts";
export type { ModelSource } from "../checkpoint/source.ts";
export type { ArchitectureTraits } from "../model/architectures.ts";
export type { ModelConfig } from "../model/config.ts";
export type { MemoryPlan } from "../model/plan.ts";
export type { TokenLogprobs } from "../kernels/top_logprobs.ts";
export type { SamplingOptions } from "../generate/sampling.ts";
export type { SpeculationOptions } from "../generate/speculation.ts";
export type { SpeculationFigures } from "../model/verification.ts";
export type { FinishReason } from "../generate/generate.ts";
export type { ContextPolicy, SinkWindow } from "../generate/context_policy.ts";
export type { StopOptions } from "../generate/stop.ts";
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
} from "../model/rope.ts";
export { perplexity } from "../eval/perplexity.ts";
export type { EvalProgress, PerplexityOptions, PerplexityRow, WindowRecords } from "../eval/perplexity.ts";
export type { NamedScaling, PassOptions } from "../eval/passes.ts";
export { passkey, passkeyTrials } from "../eval/passkey.ts";
export type { Completer, PasskeyAnswer, PasskeyOptions, PasskeyTrial } from "../eval/passkey.ts";
export { passkeyCsv, perplexityCsv, perplexityPlot } from "../eval/report.ts";
export type { EvalDocument, TextDocument } from "../eval/documents.ts";
export type { Encoder, Scalable, Scorer } from "../eval/scorer.ts";
export type { WindowEnd } from "../eval/windows.ts";
