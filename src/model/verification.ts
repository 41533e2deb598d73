/**
 * Speculation of one generation: how many tokens to guess, and which of the guesses are what the model selects.
 *
 * @module
 */
import type { Gpu } from "../gpu/device.ts";
import type { Recorder } from "../gpu/recorder.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { argmax, bestOf, stretches } from "../kernels/argmax.ts";
import { lookUp } from "./prompt_lookup.ts";

/** What came of speculation. */
export interface SpeculationFigures {
  /** Tokens that were guessed and fed. */
  readonly proposed: number;
  /** Those of them that were what the model selects. */
  readonly accepted: number;
}

/** See the module's description. */
export class Verification {
  /** Best (key, id) of each stretch of the logits of each row: (most + 1, stretches, 2) u32. */
  readonly partials: Tensor;
  readonly #vocabSize: number;
  readonly #most: number;
  /** Tokens to guess; 0 while guesses are only watched. */
  #width: number;
  /** A guess that is not fed: the id at this index. */
  #watched = { index: 0, id: -1 };
  #proposed = 0;
  #accepted = 0;

  /** @param most How many tokens to guess at most. */
  constructor(gpu: Gpu, vocabSize: number, most: number) {
    this.#vocabSize = vocabSize;
    this.#most = this.#width = most;
    this.partials = gpu.createTensor("verification", "u32", [most + 1, stretches(vocabSize), 2]);
  }

  /** What came of it so far. */
  get figures(): SpeculationFigures {
    return { proposed: this.#proposed, accepted: this.#accepted };
  }

  /** Guesses how tokens go on: at most `most` tokens, and few or none after guesses that were wrong. */
  propose(tokens: readonly number[], most: number): number[] {
    if (tokens[this.#watched.index] === this.#watched.id) this.#width = Math.max(this.#width, 2);
    const guesses = lookUp(tokens, Math.max(1, Math.min(most, this.#width)));
    this.#watched = { index: tokens.length, id: guesses[0] ?? -1 };
    return guesses.slice(0, Math.min(most, this.#width));
  }

  /** Records the greedy selection after each of `nRows` rows of logits. */
  record(recorder: Recorder, logits: Tensor, firstRow: number, nRows: number): void {
    argmax(recorder, { logits, partials: this.partials, vocabSize: this.#vocabSize, firstRow, nRows });
  }

  /**
   * What the model selects: the guesses up to the first that is wrong, and the token in its place.
   *
   * @param proposals The guesses that were fed after one token more.
   * @param words What `record` has written.
   * @returns At least one id; undefined where logits are not finite.
   */
  selected(proposals: readonly number[], words: Uint32Array): number[] | undefined {
    const stride = 2 * stretches(this.#vocabSize);
    const ids: number[] = [];
    for (let row = 0; row <= proposals.length; row++) {
      const id = bestOf(words.subarray(row * stride, (row + 1) * stride));
      if (id === undefined) return undefined;
      ids.push(id);
      if (id !== proposals[row]) break;
    }
    const nAccepted = ids.length - 1;
    this.#proposed += proposals.length;
    this.#accepted += nAccepted;
    // Every guess adds a row to a pass: where they are wrong, few are made, or none until one would have been right.
    this.#width = nAccepted === proposals.length ? Math.min(this.#most, 2 * this.#width) : nAccepted;
    this.#watched.id = -1;
    return ids;
  }

  /** Frees the GPU memory. */
  dispose(): void {
    this.partials.dispose();
  }
}
