/**
 * What every entry of the package exports, whatever it runs in; entries add what depends on where files come from.
 *
 * @module
 */
export type { DownloadProgress } from "../hub/transfer_progress.ts";
export type { Inspection } from "./inspect.ts";
export type { LoadOptions, ReloadOptions } from "./load_options.ts";
export type { LoadProgress, WeightChoice } from "../model/weights.ts";
export type { KvFormat } from "../kernels/kv_formats.ts";
export { Model } from "./model.ts";
export type { ModelMemory, PromptOptions } from "./model.ts";
export type { Score, ScoreOptions } from "./score.ts";
export type { RopeChoice } from "../model/rope_choice.ts";
export type { ChatOptions } from "./chat.ts";
export type { ChatMessage, Tool, ToolCall } from "../chat/message.ts";
export type { RenderInput } from "../chat/chat_template.ts";
export type { ChatPrompt, ChatPromptOptions } from "../chat/prompt.ts";
export { Session } from "./session.ts";
export type { GenerateOptions } from "./session.ts";
export { Generation } from "./generation.ts";
export type { GenerationResult, GenerationTimings, TextChunk } from "./generation.ts";
export { Tokenizer } from "../tokenizer/tokenizer.ts";
export {
  CapacityError,
  DeviceLostError,
  DownloadError,
  FormatError,
  GpuUnavailableError,
  GrammarError,
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
export type { Grammar, GrammarOptions } from "../grammar/grammar.ts";
export type {
  DynamicLinearScaling,
  DynamicNtkScaling,
  DynamicYarnRule,
  DynamicYarnScaling,
  FactorScaling,
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
