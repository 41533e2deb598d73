/**
 * Known answers for the kernels that only some generations use: draws, penalties, biases, masks and log-probabilities.
 * They are looked at when the first generation asks for them, which waits for their compilation anyway.
 *
 * @module
 */
import type { Gpu } from "../gpu/device.ts";
import type { Recorder } from "../gpu/recorder.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { logprobs } from "../kernels/logprobs.ts";
import { mask, maskWords } from "../kernels/mask.ts";
import { biasEntries, countsTokens, IN_PROMPT, penalize } from "../kernels/penalize.ts";
import type { ResolvedSampling } from "../kernels/sample.ts";
import { createSelection, select, type Selection } from "../kernels/select.ts";
import { createTopLogprobs, readTopLogprobs, type TopLogprobs } from "../kernels/top_logprobs.ts";
import { wrongKernel } from "./snapshots.ts";

/** Logits of the checks, which more than one workgroup looks at. */
export const CHECKED_LOGITS: Float32Array<ArrayBuffer> = Float32Array.from(
  { length: 4200 },
  (_, i) => (Math.imul(i + 1, 0x9e3779b1) >>> 20) / -256 + (i % 2),
);

/** What is drawn in a row by seed 1, by whether there are a topK and a minP: four with topP 1, and four with topP 0.8. */
export const DRAWN: Readonly<Record<string, readonly number[]>> = {
  "false false": [2156, 1457, 67, 593, 355, 2007, 1321, 3617],
  "false true": [2672, 3007, 2617, 1965, 2617, 1541, 2651, 2507],
  "true false": [444, 842, 3693, 3075, 643, 1541, 677, 3117],
  "true true": [2672, 3007, 2617, 1965, 2617, 1541, 2651, 2507],
};

const PLAIN: ResolvedSampling = {
  ...{ logitBias: [], repetitionPenalty: 1, presencePenalty: 0, frequencyPenalty: 0 },
  ...{ temperature: 1, topK: 0, topP: 1, minP: 0, seed: 1 },
};

/** How each token of `DRAWN` is drawn. */
export function drawSettings(hasTopK: boolean, hasMinP: boolean): readonly ResolvedSampling[] {
  return [1, 1, 1, 1, 0.8, 0.8, 0.8, 0.8].map((topP) => ({
    ...PLAIN,
    topK: hasTopK ? 300 : 0,
    topP,
    minP: hasMinP ? 0.3 : 0,
  }));
}

const CHANGES: ResolvedSampling = {
  ...{ ...PLAIN, logitBias: [[3, 2.5], [4199, -7]], repetitionPenalty: 1.25 },
  ...{ presencePenalty: 0.5, frequencyPenalty: 0.25 },
};

/** Likeliest tokens that are told. */
const TOP = 3;

/** Tensors of a check. */
interface Room {
  /** Logits: (vocabSize) f32. */
  readonly logits: Tensor;
  /** (8) u32. */
  readonly state: Tensor;
  /** The selected token, or one to score: (1) u32. */
  readonly token: Tensor;
  readonly selection: Selection;
  readonly top: TopLogprobs;
  /** A log-probability: (1) f32. */
  readonly score: Tensor;
}

/** One check. */
interface Check {
  /** Records the work, and says what to read. */
  readonly record: (gpu: Gpu, recorder: Recorder, room: Room) => Tensor;
  /** Whether what was read is right. */
  readonly isRight: (words: Uint32Array<ArrayBuffer>, room: Room) => boolean;
}

/** Checks that a GPU has passed or is under, by their names. One of the same device has pipelines of its own, and an end. */
const begun = new WeakMap<Gpu, Map<string, Promise<void>>>();

/** What a generation is about to use. */
export interface Selecting {
  /** How it selects. */
  readonly sampling: ResolvedSampling;
  /** Whether only some tokens may be selected. */
  readonly isMasked: boolean;
}

/**
 * Checks the kernels of a way to select, unless the GPU has passed before.
 *
 * @throws {ShaderError} With the name of one that computes wrongly, or of several of which one does.
 */
export async function checkSelection(gpu: Gpu, { sampling, isMasked }: Selecting): Promise<void> {
  const { temperature, topK, minP, logitBias, topLogprobs } = sampling;
  if (temperature > 0) {
    await once(gpu, `draws ${topK > 0} ${minP > 0}`, drawCheck(topK > 0, minP > 0));
  }
  if (logitBias.length > 0) await once(gpu, "bias", biasCheck);
  if (countsTokens(sampling)) await once(gpu, "penalties", penaltyCheck);
  if (isMasked) await once(gpu, "mask", maskCheck);
  if (topLogprobs !== undefined) await once(gpu, "logprobs", topCheck);
}

/** Checks the kernel that scores given tokens, as `checkSelection` does. */
export function checkScores(gpu: Gpu): Promise<void> {
  return once(gpu, "scores", scoreCheck);
}

function drawCheck(hasTopK: boolean, hasMinP: boolean): Check {
  return {
    record: (_gpu, recorder, { logits, state, token, selection }) => {
      for (const sampling of drawSettings(hasTopK, hasMinP)) {
        select(recorder, { logits, state, token, selection, nStopIds: 0, sampling });
      }
      return selection.ring;
    },
    isRight: (words) => DRAWN[`${hasTopK} ${hasMinP}`]!.every((id, i) => words[i] === id),
  };
}

/** A check of logits that are changed in place. */
function changeCheck(
  record: (gpu: Gpu, recorder: Recorder, room: Room) => void,
  changed: (logit: number, id: number) => number,
): Check {
  return {
    record: (gpu, recorder, room) => {
      record(gpu, recorder, room);
      return room.logits;
    },
    isRight: ({ buffer }) => isNear(new Float32Array(buffer), Array.from(CHECKED_LOGITS, changed)),
  };
}

const biasCheck = changeCheck((gpu, recorder, { logits, selection: { counts, biases } }) => {
  gpu.upload(biases, biasEntries(CHANGES.logitBias));
  const penalties = { ...PLAIN, logitBias: CHANGES.logitBias };
  penalize(recorder, { logits, counts, biases, vocabSize: CHECKED_LOGITS.length, penalties });
}, (logit, id) => logit + (CHANGES.logitBias.find(([biased]) => biased === id)?.[1] ?? 0));

/** Every third token is in the prompt, and every fifth in the output, once or twice. */
const countOf = (id: number) => (id % 3 === 0 ? IN_PROMPT : 0) + (id % 5 === 0 ? 1 + id % 2 : 0);

const penaltyCheck = changeCheck((gpu, recorder, { logits, selection: { counts, biases } }) => {
  const vocabSize = CHECKED_LOGITS.length;
  gpu.upload(counts, Uint32Array.from({ length: vocabSize }, (_, id) => countOf(id)));
  penalize(recorder, { logits, counts, biases, vocabSize, penalties: { ...CHANGES, logitBias: [] } });
}, (logit, id) => {
  const { repetitionPenalty, presencePenalty, frequencyPenalty } = CHANGES;
  const [count, times] = [countOf(id), countOf(id) % IN_PROMPT];
  const repeated = count === 0 ? logit : logit > 0 ? logit / repetitionPenalty : logit * repetitionPenalty;
  return repeated - (times > 0 ? presencePenalty : 0) - frequencyPenalty * times;
});

const isAllowed = (id: number) => id % 7 === 0;

const maskCheck = changeCheck((gpu, recorder, { logits, selection: { allowed } }) => {
  const vocabSize = CHECKED_LOGITS.length;
  const words = new Uint32Array(maskWords(vocabSize));
  for (let id = 0; id < vocabSize; id++) if (isAllowed(id)) words[id >>> 5]! |= 1 << (id & 31);
  gpu.upload(allowed, words);
  mask(recorder, { logits, allowed, vocabSize });
}, (logit, id) => isAllowed(id) ? logit : -3.4028234e38);

const topCheck: Check = {
  record: (_gpu, recorder, { logits, state, token, selection, top }) => {
    select(recorder, { logits, state, token, selection, nStopIds: 0, logprobs: top });
    return top.rows;
  },
  isRight: (words, { top }) => {
    const ids = [...CHECKED_LOGITS.keys()].sort((a, b) => CHECKED_LOGITS[b]! - CHECKED_LOGITS[a]! || a - b);
    const told = readTopLogprobs(top, words, 0, ids[0]!);
    return told.top.length === TOP && told.top.every(({ token }, i) => token === ids[i]) &&
      isNear([told.logprob, ...told.top.map(({ logprob }) => logprob)], [ids[0]!, ...ids.slice(0, TOP)].map(logprobOf));
  },
};

/** The token that is scored. */
const SCORED = 1000;

const scoreCheck: Check = {
  record: (gpu, recorder, { logits, token, score }) => {
    gpu.upload(token, Uint32Array.of(SCORED));
    logprobs(recorder, { logits, targets: token, out: score, nRows: 1, vocabSize: CHECKED_LOGITS.length });
    return score;
  },
  isRight: ({ buffer }) => isNear(new Float32Array(buffer), [logprobOf(SCORED)]),
};

function logprobOf(id: number): number {
  return CHECKED_LOGITS[id]! - Math.log(CHECKED_LOGITS.reduce((sum, logit) => sum + Math.exp(logit), 0));
}

function isNear(actual: ArrayLike<number>, expected: readonly number[]): boolean {
  return expected.every((value, i) => Math.abs(actual[i]! - value) <= 1e-5 * (1 + Math.abs(value)));
}

async function once(gpu: Gpu, name: string, check: Check): Promise<void> {
  const checks = begun.get(gpu) ?? new Map<string, Promise<void>>();
  begun.set(gpu, checks);
  const found = checks.get(name);
  if (found !== undefined) return await found;
  const running = run(gpu, check);
  checks.set(name, running);
  // A lack of memory, or an end of the device, is no answer.
  running.catch(() => checks.delete(name));
  await running;
}

async function run(gpu: Gpu, check: Check): Promise<void> {
  const vocabSize = CHECKED_LOGITS.length;
  const room = await gpu.allocate((): Room => ({
    logits: gpu.tensorOf("logits of the check", "f32", [1, vocabSize], CHECKED_LOGITS),
    state: gpu.createTensor("state of the check", "u32", [8]),
    token: gpu.createTensor("token of the check", "u32", [1]),
    selection: createSelection(gpu, vocabSize, DRAWN["true true"]!.length),
    top: createTopLogprobs(gpu, vocabSize, TOP, 1),
    score: gpu.createTensor("score of the check", "f32", [1]),
  }));
  try {
    const recorder = gpu.record();
    const tensor = check.record(gpu, recorder, room);
    const bytes = await gpu.submit([recorder], [{ tensor }]).fetch();
    await gpu.settle();
    if (check.isRight(new Uint32Array(bytes.buffer), room)) return;
    const names = new Set(recorder.steps.flatMap((step) => "kernel" in step ? [step.kernel.name] : []));
    const choosing = ["argmax", "advance"];
    // Those that choose the token have been looked at before there was a model.
    const kernels = [...names].filter((name) => !choosing.includes(name));
    throw wrongKernel(gpu.name, kernels);
  } finally {
    for (const each of Object.values(room)) each.dispose();
  }
}
