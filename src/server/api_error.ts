/**
 * Errors as the OpenAI API tells them.
 *
 * @module
 */
import { CapacityError, DeviceLostError, FormatError } from "../errors.ts";

/** What the API calls kinds of errors. */
export type ErrorType = "invalid_request_error" | "authentication_error" | "permission_error" | "server_error";

/** What an `ApiError` carries beside its message. */
export interface ApiErrorFields {
  /** Kind of error. Default: by the status. */
  readonly type?: ErrorType;
  /** The field of the request that is wrong. Default null. */
  readonly param?: string;
  /** A stable word for it. Default null. */
  readonly code?: string;
  /** Headers of the answer. Default none. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** An error that the client is told of, status and all. */
export class ApiError extends Error {
  /** The class name, for code that cannot use `instanceof`. */
  override readonly name: string = "ApiError";
  /** HTTP status. */
  readonly status: number;
  /** What it carries beside its message. */
  readonly fields: ApiErrorFields;

  /** Makes the error. */
  constructor(status: number, message: string, fields: ApiErrorFields = {}) {
    super(message);
    this.status = status;
    this.fields = fields;
  }

  /** The body of the answer. */
  get body(): { readonly error: Readonly<Record<string, string | null>> } {
    const { type, param, code } = this.fields;
    return {
      error: {
        message: this.message,
        type: type ?? (this.status >= 500 ? "server_error" : "invalid_request_error"),
        param: param ?? null,
        code: code ?? null,
      },
    };
  }
}

/** A request whose field `param` is wrong. */
export function invalid(param: string, message: string, code?: string): ApiError {
  return new ApiError(400, message, { param, ...(code === undefined ? {} : { code }) });
}

/**
 * What a client is told of an error that came up on the way. What is not its own doing it is told without detail,
 * because messages of errors name files.
 */
export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof CapacityError && error.unit === "tokens") {
    return new ApiError(
      400,
      `This model's maximum context length is ${error.available} tokens, and the prompt has ${error.requested}; shorten it`,
      { param: "messages", code: "context_length_exceeded" },
    );
  }
  if (error instanceof CapacityError) {
    return new ApiError(503, "The GPU has no memory left for this request; try again later", {
      code: "out_of_memory",
      headers: { "retry-after": "5" },
    });
  }
  if (error instanceof FormatError && error.code === "NoChatTemplate") {
    return new ApiError(400, "This model has no chat template: use /v1/completions", {
      param: "model",
      code: "no_chat_template",
    });
  }
  if (error instanceof FormatError && error.code === "Template") return invalid("messages", error.message);
  if (error instanceof DeviceLostError) {
    return new ApiError(503, "The GPU was lost while it answered; try again later", {
      code: "device_lost",
      headers: { "retry-after": "5" },
    });
  }
  return new ApiError(500, "The server had an error while it processed the request", { code: "internal_error" });
}
