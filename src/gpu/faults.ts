/**
 * What a device tells later than the call that caused it. Its callbacks never throw: what they learn is parked, and the
 * next call raises it.
 *
 * @module
 */
import { CapacityError, DeviceLostError } from "../errors.ts";

/** Watches one device. */
export class Faults {
  readonly #pending = new Set<Promise<Error | undefined>>();
  #parked: Error | undefined;
  #isLost = false;

  /** Listens until the device is gone. */
  constructor(device: GPUDevice) {
    device.lost.then(({ reason, message }) => {
      const why = reason === "destroyed" ? "it was destroyed" : message || "the driver gave no reason";
      this.park(new DeviceLostError(`The GPU device was lost: ${why}`));
      this.#isLost = true;
    });
    device.addEventListener("uncapturederror", (event) => {
      event.preventDefault();
      const { message } = (event as GPUUncapturedErrorEvent).error;
      this.park(new DeviceLostError(`The GPU reported an error: ${message}`));
    });
  }

  /** Takes the outcome of an allocation or a compilation, for `settle`. It never rejects. */
  expect(outcome: Promise<Error | undefined>): void {
    this.#pending.add(outcome);
  }

  /** Lets every call from now on raise an error, unless there is one already: the first is the cause of the others. */
  park(error: Error): void {
    this.#parked ??= error;
  }

  /** Raises what is parked, if anything. */
  check(): void {
    if (this.#parked !== undefined) throw this.#parked;
  }

  /**
   * Waits until the outcome of every allocation and compilation so far is known. Throws the first failure; of several
   * callers at once any may be the one that it is of, so that all are told.
   */
  async settle(): Promise<void> {
    const pending = [...this.#pending];
    const error = (await Promise.all(pending)).find((error) => error !== undefined);
    for (const outcome of pending) this.#pending.delete(outcome);
    if (error !== undefined) {
      // On a lost device compilations fail too, and its loss may be told a turn after them. Any other parked error is
      // likelier to come from the failure than the failure from it: a pipeline that did not compile was submitted.
      await new Promise((resolve) => setTimeout(resolve));
      if (!this.#isLost) throw error;
    }
    this.check();
  }

  /** Awaits work of the device. Where that fails, raises the reason: the device's loss, if it was lost. */
  async raise<T>(work: Promise<T>, what: string): Promise<T> {
    try {
      return await work;
    } catch (cause) {
      // The loss of the device has a promise of its own, which may come a turn after the work that failed by it.
      await new Promise((resolve) => setTimeout(resolve));
      this.check();
      if (cause instanceof CapacityError) throw cause;
      throw new DeviceLostError(`Cannot ${what} the GPU: ${(cause as Error).message}`, { cause });
    }
  }
}
