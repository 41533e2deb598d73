/**
 * Sessions as files: the tokens and the cache as it is on the GPU.
 *
 * Layout: 8 bytes of magic, u32 length of the header, the header as JSON, the tokens as u32, then for each layer the
 * keys and the values of the cached tokens, of a layer with a window the newest ones, head by head, in the cache's own
 * format. All numbers are little-endian.
 *
 * @module
 */
import type { ModelSource } from "../checkpoint/source.ts";
import { FormatError } from "../errors.ts";
import { fingerprint } from "../model/fingerprint.ts";
import { kvRunsBytes } from "../model/kv_cache.ts";
import type { Runtime } from "../model/runtime.ts";
import { Sequence } from "../model/sequence.ts";

const MAGIC = "SKEINS01";

/** Bytes that are on the host at once. */
const PIECE_BYTES = 2 ** 24;

/** Longest header: it holds a few short fields. */
const MOST_HEADER_BYTES = 2 ** 16;

interface Header {
  readonly model: string;
  readonly rope: string;
  readonly kvCache: string;
  readonly nTokens: number;
  readonly nCached: number;
  readonly kvBytes: number;
}

/** A sequence as the bytes of a file, piece by piece. */
export async function* sessionBytes(runtime: Runtime, sequence: Sequence): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const { gpu } = runtime;
  await sequence.settle();
  // What lost a part of its window has to be fed again, and is not worth a file.
  const nCached = sequence.cache.isWhole(sequence.nCached) ? sequence.nCached : 0;
  const runs = sequence.cache.runs(nCached);
  const header: Header = {
    ...await identity(runtime),
    nTokens: sequence.tokens.length,
    nCached,
    kvBytes: runs.reduce((sum, { byteLength }) => sum + byteLength, 0),
  };
  const text = new TextEncoder().encode(JSON.stringify(header));
  yield new TextEncoder().encode(MAGIC);
  yield new Uint8Array(Uint32Array.of(text.length).buffer);
  yield text;
  yield new Uint8Array(Uint32Array.from(sequence.tokens).buffer);
  for (const { tensor, begin, byteLength } of runs) {
    for (let at = 0; at < byteLength; at += PIECE_BYTES) {
      yield await gpu.read(tensor, begin + at, Math.min(PIECE_BYTES, byteLength - at));
    }
  }
}

/**
 * The sequence in the one file of a source, which is closed afterwards.
 *
 * @throws {FormatError} If it is no session file, is not whole, or was made by another model, scaling or cache format.
 * @throws {CapacityError} If its tokens do not fit in the context.
 */
export async function restoreSequence(runtime: Runtime, source: ModelSource): Promise<Sequence> {
  const sequence = new Sequence(runtime);
  try {
    await runtime.exclusive(() => fill(sequence, runtime, source));
    return sequence;
  } catch (error) {
    sequence.dispose();
    throw error;
  } finally {
    source.close();
  }
}

async function fill(sequence: Sequence, runtime: Runtime, source: ModelSource): Promise<void> {
  const refuse = (why: string, code: string): never => {
    throw new FormatError(source.name, `Cannot restore ${source.name}: ${why}`, { code });
  };
  const [file] = await source.list() as [string];
  const size = await source.size(file).catch((error) => {
    if (error instanceof FormatError && error.code === "Missing") refuse("there is no such file", error.code);
    throw error;
  });
  let position = 0;
  const read = (byteLength: number): Promise<Uint8Array<ArrayBuffer>> => {
    position += byteLength;
    return source.read(file, position - byteLength, position);
  };
  if (size < 12 || new TextDecoder().decode(await read(8)) !== MAGIC) refuse("it is no session file", "Malformed");
  const headerBytes = new Uint32Array((await read(4)).buffer)[0]!;
  if (headerBytes > Math.min(MOST_HEADER_BYTES, size - 12)) {
    refuse(
      `its header has ${headerBytes} bytes, expected at most ${Math.min(MOST_HEADER_BYTES, size - 12)}`,
      "Truncated",
    );
  }
  const header = parseHeader(await read(headerBytes)) ?? refuse("its header is malformed", "Malformed");
  const own = await identity(runtime);
  if (header.model !== own.model) refuse("another model made it", "OtherModel");
  if (header.rope !== own.rope) refuse("it was made with another RoPE scaling", "OtherScaling");
  if (header.kvCache !== own.kvCache) {
    refuse(`its KV cache is ${header.kvCache}, this model was loaded with ${own.kvCache}`, "OtherFormat");
  }
  const expected = 12 + headerBytes + 4 * header.nTokens + header.kvBytes;
  if (size !== expected) refuse(`it has ${size} bytes, expected ${expected}`, "Truncated");
  const kvBytes = kvRunsBytes(runtime.config, runtime.kvFormat, header.nCached);
  if (header.kvBytes !== kvBytes) {
    refuse(`its keys and values take ${header.kvBytes} bytes, expected ${kvBytes}`, "Malformed");
  }
  sequence.append(new Uint32Array((await read(4 * header.nTokens)).buffer));
  await sequence.fill(header.nCached, async ({ tensor, begin, byteLength }) => {
    for (let at = 0; at < byteLength; at += PIECE_BYTES) {
      runtime.gpu.upload(tensor, await read(Math.min(PIECE_BYTES, byteLength - at)), begin + at);
    }
    // Uploads stay on the host until they are submitted.
    await runtime.gpu.flush();
  });
}

async function identity(runtime: Runtime): Promise<Pick<Header, "model" | "rope" | "kvCache">> {
  const { type, attentionFactor, invFreq } = runtime.rope.frequencies;
  const rope = JSON.stringify([type, attentionFactor, ...invFreq]);
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(rope));
  return { model: await fingerprint(runtime), rope: new Uint8Array(digest).toHex(), kvCache: runtime.kvFormat };
}

function parseHeader(bytes: Uint8Array): Header | undefined {
  try {
    const header: Header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    const counts = [header.nTokens, header.nCached, header.kvBytes];
    const names = [header.model, header.rope, header.kvCache];
    const isValid = counts.every((count) => Number.isSafeInteger(count) && count >= 0) &&
      names.every((name) => typeof name === "string") && header.nCached <= header.nTokens;
    return isValid ? header : undefined;
  } catch {
    return undefined;
  }
}
