/**
 * Follows one text through one grammar at a time; see `grammar_workers.ts`, which ends this worker when a step takes too
 * long. It alone loads the Wasm module of grammars.
 *
 * @module
 */
import { type Matcher, Vocabulary } from "../../wasm/grammar/pkg/grammar.js";
import type { GrammarError } from "../errors.ts";
import { END, READY } from "../worker/call.ts";
import { placeOfFault } from "./schema_place.ts";
import type { GrammarAnswer, GrammarRequest } from "./grammar_workers.ts";

/** What a worker's global scope has and the window's types lack. */
const scope = globalThis as unknown as {
  onmessage: (event: MessageEvent<GrammarRequest | typeof END>) => void;
  close(): void;
  postMessage(answer: GrammarAnswer | typeof READY, transfer?: Transferable[]): void;
};

let vocabulary: Vocabulary | undefined;
let matcher: Matcher | undefined;

function take(request: GrammarRequest): void {
  if ("tokens" in request) {
    const { bytes, lengths } = request.tokens;
    vocabulary = new Vocabulary(bytes, lengths, request.endIds);
  } else if ("grammar" in request) {
    matcher?.free();
    matcher = undefined;
    matcher = vocabulary!.matcher(request.grammar.kind, request.grammar.source);
  } else for (const id of request.ids) matcher!.accept(id);
}

/** Where in the JSON Schema of a request, one that stands in a rule too, this is wrong. */
function placeOf(request: GrammarRequest, told: string): { place?: string } {
  if (!("grammar" in request)) return {};
  const { kind, source } = request.grammar;
  const [, line, said = told] = /^at (\d+)\(\d+\): failed to compile JSON schema: (.*)$/s.exec(told) ?? [];
  const json = kind === "jsonSchema"
    ? source
    : /%json (\{.*\})\s*$/.exec(source.split("\n")[Number(line) - 1] ?? "")?.[1];
  if (json === undefined) return {};
  // Lines of the grammar follow in which it stands.
  const [what] = said.split(/\n *\d+ \| /);
  let schema: unknown;
  try {
    schema = JSON.parse(json);
  } catch {
    // That it is not JSON is what is wrong.
    return {};
  }
  return { place: placeOfFault(schema, (part) => faultOf(part) === what) };
}

/** What is said of a schema alone; undefined where it can be used. */
function faultOf(schema: unknown): string | undefined {
  try {
    vocabulary!.matcher("jsonSchema", JSON.stringify(schema)).free();
    return undefined;
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return error.message;
  }
}

/** Whether an error says what is wrong with a grammar. What does not has stopped in the middle: a trap, or a full stack. */
function isRefusal(error: unknown): error is Error & { readonly code: GrammarError["code"] } {
  return (error as { code?: unknown }).code !== undefined;
}

/** What is said of a request that was refused. */
function answerTo(
  request: GrammarRequest,
  { message, code }: Error & { readonly code: GrammarError["code"] },
): GrammarAnswer {
  try {
    return { fault: { told: message, ...(code === "Invalid" ? placeOf(request, message) : {}) }, code };
  } catch {
    return { fault: { told: message }, code, isSpent: true };
  }
}

scope.onmessage = ({ data }) => {
  if (data === END) return scope.close();
  try {
    take(data);
    if (matcher === undefined) return scope.postMessage({ allowed: new Uint32Array(), isComplete: false });
    const allowed = matcher.mask() as Uint32Array<ArrayBuffer>;
    // Looking for what may follow can show that nothing may.
    scope.postMessage({ allowed, isComplete: matcher.isStopped }, [allowed.buffer]);
  } catch (error) {
    scope.postMessage(isRefusal(error) ? answerTo(data, error) : { stopped: (error as Error).message });
  }
};

scope.postMessage(READY);
