/**
 * Renders chat templates, one at a time; see `chat_template.ts`, which ends this worker when one takes too long. What
 * could exhaust the memory before that is counted here.
 *
 * @module
 */
// Named here and not in deno.json, because `deno task` fetches what is named there even for commands without chat.
// deno-lint-ignore no-import-prefix
import { Environment, Interpreter, Template } from "npm:@huggingface/jinja@0.5.11";
import { END, READY } from "../worker/call.ts";
import type { RenderAnswer, RenderRequest } from "./chat_template.ts";

/** Characters and list elements that all steps of one template may make together. */
const MOST_MADE = 2 ** 28;

/** What a worker's global scope has and the window's types lack. */
const scope = globalThis as unknown as {
  onmessage: (event: MessageEvent<RenderRequest | typeof END>) => void;
  close(): void;
  postMessage(answer: RenderAnswer | typeof READY): void;
};

let made = 0;

function count(size: number): void {
  made += size;
  if (made > MOST_MADE) throw new RangeError("it makes too much on the way");
}

// Every step of every template passes here, whatever makes its value.
const evaluate = Interpreter.prototype.evaluate;
Interpreter.prototype.evaluate = function (...step) {
  const result = evaluate.apply(this, step);
  const { value } = result as { value?: unknown };
  count(typeof value === "string" ? value.length : Array.isArray(value) ? 16 * value.length : 1);
  return result;
};

/** Python's range, which counts its elements before there are any. */
function range(start: number, stop?: number, step: number = 1): number[] {
  const [from, to] = stop === undefined ? [0, start] : [start, stop];
  if (step === 0) throw new RangeError("range() step must not be zero");
  const length = Math.max(0, Math.ceil((to - from) / step));
  count(16 * length);
  return Array.from({ length }, (_, i) => from + i * step);
}

const set = Environment.prototype.set;
Environment.prototype.set = function (name, value) {
  return set.call(this, name, name === "range" ? range : value);
};

scope.onmessage = ({ data }) => {
  if (data === END) return scope.close();
  const { template, variables } = data;
  made = 0;
  try {
    scope.postMessage({ text: new Template(template).render({ ...variables }) });
  } catch (error) {
    scope.postMessage({ error: error instanceof Error ? error.message : String(error) });
  }
};

scope.postMessage(READY);
