/**
 * One submit's bytes, read back for several readers.
 *
 * @module
 */
import type { Readback } from "../gpu/readback.ts";

/** Milliseconds from which on a call that returned has waited for the GPU. */
const WAITED_MS = 2;

/** See the module's description. */
export class SharedReadback {
  readonly #readback: Readback;
  readonly #pause: () => Promise<unknown> | undefined;
  readonly #onDone: (at: number) => void;
  #undecided: number;
  #bytes: Promise<Uint8Array<ArrayBuffer>> | undefined;

  /**
   * @param readback The bytes of all readers.
   * @param nReaders How many readers take a part or discard it.
   * @param pause Time to leave to others before the bytes are asked for, if there is any.
   * @param onDone Told when the GPU was done, by `performance.now`, as soon as that is known.
   */
  constructor(
    readback: Readback,
    nReaders: number,
    pause: () => Promise<unknown> | undefined,
    onDone: (at: number) => void,
  ) {
    this.#readback = readback;
    this.#undecided = nReaders;
    this.#pause = pause;
    this.#onDone = onDone;
  }

  /** One reader's part, from `begin` to `end`. */
  part(begin: number, end: number): Readback {
    let isOpen = true;
    return {
      fetch: async () => {
        isOpen = false;
        return (await (this.#bytes ??= this.#fetch())).slice(begin, end);
      },
      discard: () => {
        if (!isOpen) return;
        isOpen = false;
        if (--this.#undecided === 0 && this.#bytes === undefined) this.#readback.discard();
      },
    };
  }

  async #fetch(): Promise<Uint8Array<ArrayBuffer>> {
    const pause = this.#pause();
    // Without a pause the bytes are asked for at once: what is submitted next would otherwise come first.
    if (pause !== undefined) await pause;
    const called = performance.now();
    const bytes = this.#readback.fetch();
    const returned = performance.now();
    // Where the call itself waited for the GPU, what follows it is the host's sleep and no work.
    if (pause !== undefined || returned - called > WAITED_MS) this.#onDone(returned);
    else bytes.then(() => this.#onDone(performance.now()), () => {});
    return await bytes;
  }
}
