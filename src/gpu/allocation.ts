/**
 * Buffers, and the errors of making them, which WebGPU tells later than the call.
 *
 * @module
 */
import { CapacityError } from "../errors.ts";

/** What a piece of work gave, and what came of it. */
export interface Attempt<T, E> {
  /** What the work returned. */
  readonly result: T;
  /** The first error that it caused; undefined where there was none. Never rejects. */
  readonly outcome: Promise<E | undefined>;
}

/** Runs work whose errors are told by its outcome, in place of reaching whoever listens to the device. */
export function attempt<T>(device: GPUDevice, work: () => T): Attempt<T, GPUError> {
  device.pushErrorScope("out-of-memory");
  device.pushErrorScope("validation");
  const outcome = async () => {
    // A lost device has no scopes any more; its loss has a promise of its own.
    const popped = [device.popErrorScope(), device.popErrorScope()].map((each) => each.catch(() => null));
    const [invalid, full] = await Promise.all(popped);
    return full ?? invalid ?? undefined;
  };
  try {
    return { result: work(), outcome: outcome() };
  } catch (error) {
    void outcome();
    throw error;
  }
}

/**
 * Makes a buffer.
 *
 * @param descriptor As `GPUDevice.createBuffer` takes it, with a label.
 * @param note What to tell beside the size, where there is no memory for it.
 * @throws {CapacityError} Where the device refuses at once, as some do.
 */
export function allocateBuffer(
  device: GPUDevice,
  descriptor: GPUBufferDescriptor & { readonly label: string },
  note: string,
): Attempt<GPUBuffer, CapacityError> {
  const refusal = ({ message }: { readonly message: string }) =>
    new CapacityError(
      `Cannot allocate ${descriptor.label} (${descriptor.size} bytes${note}): ${
        message || "out of memory"
      }; ask for less, or free memory that other programs hold`,
      { requested: descriptor.size, available: 0, unit: "bytes" },
    );
  try {
    const { result, outcome } = attempt(device, () => device.createBuffer(descriptor));
    return { result, outcome: outcome.then((error) => error === undefined ? undefined : refusal(error)) };
  } catch (cause) {
    throw refusal(cause as Error);
  }
}
