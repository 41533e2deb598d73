/**
 * The errors that callers are expected to tell apart. Everything else is a built-in:
 * `TypeError` for a wrong shape of argument, `RangeError` for a value out of range.
 *
 * @module
 */

/** Thrown when no usable GPU is there: no adapter, or a limit or feature that the model needs is missing. */
export class GpuUnavailableError extends Error {
  /** The class name, for code that cannot use `instanceof`. */
  override readonly name: string = "GpuUnavailableError";
}

/**
 * Thrown when the GPU device was lost, or reported an error after the call that caused it had returned.
 * Late errors are parked and raised by the next call that uses the device.
 */
export class DeviceLostError extends Error {
  /** The class name, for code that cannot use `instanceof`. */
  override readonly name: string = "DeviceLostError";
}

/** Thrown when a kernel does not compile or computes wrongly on this adapter. Ours to fix, not the caller's. */
export class ShaderError extends Error {
  /** The class name, for code that cannot use `instanceof`. */
  override readonly name: string = "ShaderError";
  /** The kernel's name, which is also its file's name under `wgsl/`. */
  readonly kernel: string;

  /** Makes the error for one kernel. */
  constructor(kernel: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kernel = kernel;
  }
}

/** Thrown when a model's file is missing, malformed, or says something that Skein cannot run correctly. */
export class FormatError extends SyntaxError {
  /** The class name, for code that cannot use `instanceof`. */
  override readonly name: string = "FormatError";
  /** The file that the error is about. */
  readonly file: string;
  /** A stable word for the kind of error, as the parser names it, such as `"Truncated"`. */
  readonly code: string;

  /** Makes the error for one file. */
  constructor(file: string, message: string, options?: ErrorOptions & { code?: string }) {
    super(message, options);
    this.file = file;
    this.code = options?.code ?? "Invalid";
  }
}

/** Thrown when a generation cannot be held to the grammar that its caller gave: a JSON Schema, an expression, or rules. */
export class GrammarError extends SyntaxError {
  /** The class name, for code that cannot use `instanceof`. */
  override readonly name: string = "GrammarError";
  /**
   * Why: it is no grammar, or has what is not supported; it takes more time or memory than a grammar may; or no token of
   * the model continues its text.
   */
  readonly code: "Invalid" | "TooComplex" | "NoToken";

  /** Makes the error. */
  constructor(code: GrammarError["code"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Thrown when tokens do not fit in the context, or the model does not fit in memory. Carries both numbers. */
export class CapacityError extends RangeError {
  /** The class name, for code that cannot use `instanceof`. */
  override readonly name: string = "CapacityError";
  /** What was asked for, in the unit of `unit`. */
  readonly requested: number;
  /** What there is, in the unit of `unit`. */
  readonly available: number;
  /** What the two numbers count. */
  readonly unit: "tokens" | "bytes";

  /** Makes the error with its two numbers. */
  constructor(message: string, numbers: { requested: number; available: number; unit: "tokens" | "bytes" }) {
    super(message);
    this.requested = numbers.requested;
    this.available = numbers.available;
    this.unit = numbers.unit;
  }
}

/** Why a download failed: words that code can tell apart. */
export type DownloadFailure =
  | "NotFound"
  | "Gated"
  | "Unauthorized"
  | "Offline"
  | "Network"
  | "Changed"
  | "Checksum"
  | "Protocol";

/** Thrown when a model's files cannot be fetched: not there, not allowed, not what was announced, or no connection. */
export class DownloadError extends Error {
  /** The class name, for code that cannot use `instanceof`. */
  override readonly name: string = "DownloadError";
  /** Why. */
  readonly code: DownloadFailure;
  /** HTTP status of the answer that ended it; undefined where there was none. */
  readonly status: number | undefined;

  /** Makes the error. */
  constructor(code: DownloadFailure, message: string, options?: ErrorOptions & { status?: number | undefined }) {
    super(message, options);
    this.code = code;
    this.status = options?.status;
  }
}
