/**
 * Chat templates. A template is a program that comes with a model, so that it runs in a worker which is ended when it
 * takes too long, and what it returns is bounded.
 *
 * @module
 */

/** One message of a conversation. */
export interface Message {
  /** Who speaks. */
  readonly role: "system" | "user" | "assistant";
  /** What was said. */
  readonly content: string;
}

/** What the worker needs to render. */
export interface RenderRequest {
  /** Jinja source. */
  readonly template: string;
  /** The conversation. */
  readonly messages: readonly Message[];
  /** Texts of special tokens that templates name. */
  readonly specialTokens: { readonly bos_token: string; readonly eos_token: string };
}

/** What the worker answers. */
export type RenderAnswer = { readonly text: string } | { readonly error: string };

/** Bounds on a template. */
export interface RenderLimits {
  /** Most milliseconds, the start of the worker included. Default 5000. */
  readonly timeoutMs?: number;
  /** Most characters of the rendered prompt. Default 4 Mi. */
  readonly maxLength?: number;
}

/**
 * Renders a conversation, with the opening of the assistant's next answer at its end.
 *
 * @throws {Error} If the template fails, takes too long, or makes too much text.
 */
export async function renderChat(request: RenderRequest, limits: RenderLimits = {}): Promise<string> {
  const { timeoutMs = 5000, maxLength = 2 ** 22 } = limits;
  const worker = new Worker(new URL("./chat_template_worker.ts", import.meta.url), { type: "module" });
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    const answer = await new Promise<RenderAnswer>((resolve, reject) => {
      worker.onmessage = ({ data }: MessageEvent<RenderAnswer>) => resolve(data);
      worker.onerror = (event) => {
        event.preventDefault();
        reject(new Error(`Cannot render the chat template: ${event.message}`));
      };
      timer = setTimeout(() => reject(new Error(`Cannot render the chat template within ${timeoutMs} ms`)), timeoutMs);
      worker.postMessage(request);
    });
    if ("error" in answer) throw new Error(`Cannot render the chat template: ${answer.error}`);
    if (answer.text.length > maxLength) {
      throw new Error(
        `Cannot use the chat template: it makes ${answer.text.length} characters, at most ${maxLength} are allowed`,
      );
    }
    return answer.text;
  } finally {
    clearTimeout(timer);
    worker.terminate();
  }
}
