import { assertEquals } from "@std/assert";
import type { AdapterTraits } from "../../src/gpu/recorder.ts";
import { attentionPartialsShape, decodeAttention } from "../../src/kernels/attention_decode.ts";
import { KV_FORMATS, type KvFormat, kvRowBytes, kvTensorShape } from "../../src/kernels/kv_formats.ts";
import { ropeKv } from "../../src/kernels/rope_kv.ts";
import { hostRopeTable } from "../../src/kernels/rope_table.ts";
import { ropeFrequencies } from "../../src/model/rope.ts";
import { attention as twin } from "../reference/attention.ts";
import { hadamard } from "../reference/hadamard.ts";
import { unpackGroups } from "../reference/kv_groups.ts";
import { ropeKv as ropeTwin } from "../reference/rope_kv.ts";
import { assertWithinReference, download, gpu, randomFloats, upload } from "./fixture.ts";

/** What runs on which adapter: all of it compiles anywhere. */
const VARIANTS = [
  { name: "direct", traits: { isSoftware: true }, formats: KV_FORMATS },
  { name: "shared", traits: { isSoftware: false }, formats: KV_FORMATS },
  // On a software adapter with short subgroups.
  { name: "small shared", traits: { isSoftware: true, subgroups: false }, formats: ["f16", "q4"] },
] as const;

interface Case {
  nHeads: number;
  nKvHeads: number;
  headDim: number;
  /** Default headDim; 0 for a layer that rotates nothing. */
  rotaryDim?: number;
  /** Of the token whose attention is wanted; the tokens before it are in the cache. */
  position: number;
  cacheFormat: KvFormat;
  traits: Partial<AdapterTraits>;
  window?: number | undefined;
  /** Rows of the cache for a head. Default: one for each token. */
  ring?: number;
  /** Bound given to the host, over the real length. Default 0. */
  slack?: number;
  /** Rows of qkv and out that stand before the token's. Default 0. */
  row?: number;
}

/** Bits of a cache of one head after the other: (nKvHeads, capacity, bytes of a row), region by region. */
interface Cached {
  readonly k: Uint8Array<ArrayBuffer>;
  readonly v: Uint8Array<ArrayBuffer>;
}

/** Factor on every cosine and sine, as YaRN has one. */
const ATTENTION_FACTOR = 1.25;

/** Projections of all tokens: (position + 1, nHeads + 2 nKvHeads, headDim). */
function projections({ nHeads, nKvHeads, headDim, position }: Case): Float32Array<ArrayBuffer> {
  const width = (nHeads + 2 * nKvHeads) * headDim;
  const values = randomFloats((position + 1) * width, headDim + position, 1.5);
  // One key element far out, and a group of zeros in a value.
  values[position * width + nHeads * headDim + 5] = -30;
  const value = position * width + (nHeads + nKvHeads) * headDim;
  values.fill(0, value, value + Math.min(32, headDim));
  return values;
}

/**
 * Stores all tokens but the last by `ropeKv`, and the last by `decodeAttention` or, for comparison, by `ropeKv` too.
 *
 * @returns The cache, and what `decodeAttention` gives: (row + 1, nHeads, headDim).
 */
async function run(options: Case, isFused: boolean): Promise<Cached & { out: Float32Array }> {
  const { nHeads, nKvHeads, headDim, rotaryDim = headDim, position, cacheFormat, traits, window } = options;
  const { ring = position + 1, slack = 0, row = 0 } = options;
  const heads = { nHeads, nKvHeads, headDim };
  const width = (nHeads + 2 * nKvHeads) * headDim;
  const values = projections(options);
  const own = new Float32Array((row + 1) * width);
  own.set(values.subarray(position * width), row * width);
  using all = upload("qkv", values, [position + 1, width]);
  using qkv = upload("own qkv", own, [row + 1, width]);
  using table = upload("table", turnsOf(options), [position + 1, (rotaryDim || headDim) / 2, 2]);
  using state = gpu.createTensor("state", "u32", [8]);
  using q = gpu.createTensor("q", "f32", [position + 1, nHeads, headDim]);
  using k = gpu.createTensor("k", ...kvTensorShape(cacheFormat, heads, ring));
  using v = gpu.createTensor("v", ...kvTensorShape(cacheFormat, heads, ring));
  using partials = gpu.createTensor("partials", "f32", attentionPartialsShape(heads, position + 1 + slack));
  using out = gpu.createTensor("out", "f32", [row + 1, nHeads, headDim]);
  const cached = { table, state, k, v, cacheFormat, capacity: ring, rotaryDim, ...heads };
  const end = isFused ? position : position + 1;
  for (let begin = 0; begin < end; begin += ring) {
    // Tokens of one dispatch must not share a row of the ring.
    gpu.upload(state, new Uint32Array([begin, 0, 0, 0, 0, 0, 0, 0]));
    const recorder = gpu.record(traits);
    ropeKv(recorder, { qkv: all, q, ...cached, nTokens: Math.min(ring, end - begin), firstRow: begin });
    await gpu.run(recorder);
  }
  if (isFused) {
    gpu.upload(state, new Uint32Array([position, 0, 0, 0, 0, 0, 0, 0]));
    const recorder = gpu.record(traits);
    const maxKvLength = position + 1 + slack;
    decodeAttention(recorder, { qkv, partials, out, ...cached, row, maxKvLength, scale: headDim ** -0.5, window });
    await gpu.run(recorder);
  }
  return { k: await gpu.read(k), v: await gpu.read(v), out: await download(out) };
}

function turnsOf({ headDim, rotaryDim = headDim, position }: Case): Float32Array<ArrayBuffer> {
  const { invFreq } = ropeFrequencies({ type: "none" }, { rotaryDim: rotaryDim || headDim, ropeTheta: 1e4 });
  return hostRopeTable({ invFreq, attentionFactor: ATTENTION_FACTOR }, { firstPosition: 0, nPositions: position + 1 });
}

/** What a cache holds, as numbers: (nKvHeads, capacity, headDim). */
function numbers(bytes: Uint8Array<ArrayBuffer>, { cacheFormat, nKvHeads, headDim, position }: Case): Float64Array {
  if (cacheFormat === "f32") return Float64Array.from(new Float32Array(bytes.buffer));
  if (cacheFormat === "f16") return Float64Array.from(new Float16Array(bytes.buffer));
  return unpackGroups(cacheFormat, new Uint32Array(bytes.buffer), nKvHeads * (position + 1), headDim).values;
}

/** Attention of the last token by the twin, over what `cache`, one row for each token, holds. */
function expected(options: Case, cache: Cached, round?: (value: number) => number): Float64Array {
  const { nHeads, nKvHeads, headDim, rotaryDim = headDim, position, cacheFormat, window } = options;
  const width = (nHeads + 2 * nKvHeads) * headDim;
  const shape = { nHeads, nKvHeads, headDim, nTokens: 1, position, capacity: position + 1, window };
  const own = projections(options).slice(position * width);
  const { q } = ropeTwin(own, turnsOf(options), { ...shape, rotaryDim });
  const [k, v] = [numbers(cache.k, options), numbers(cache.v, options)];
  if (cacheFormat !== "q4") return twin(q, k, v, shape, round);
  return hadamard(twin(hadamard(q, headDim, round), k, v, shape, round), headDim, round);
}

/** Rows of the cache that later tokens may look at, each head's by itself. */
function newestRows(cache: Cached, { cacheFormat, nKvHeads, headDim, position, ring = position + 1 }: Case, n: number) {
  return [cache.k, cache.v].map((bytes) => {
    let begin = 0;
    return kvRowBytes(cacheFormat, headDim).map((rowBytes) =>
      Array.from({ length: nKvHeads }, () => {
        const head = bytes.subarray(begin, begin += ring * rowBytes);
        return Array.from({ length: Math.min(n, position + 1) }, (_, i) => {
          const slot = (position - i) % ring;
          return head.slice(slot * rowBytes, (slot + 1) * rowBytes);
        });
      })
    );
  });
}

type Shape = readonly [nHeads: number, nKvHeads: number, headDim: number, rotaryDim: number, position: number];

const shapes: readonly Shape[] = [
  [9, 3, 64, 64, 0],
  [9, 3, 64, 64, 1024],
  [3, 1, 64, 64, 5000],
  [1, 1, 16, 16, 33000],
  [4, 4, 128, 128, 300],
  [8, 1, 80, 80, 127],
  [32, 4, 96, 96, 128],
  [3, 3, 16, 12, 700],
  [2, 1, 256, 256, 150],
  [12, 4, 100, 100, 33],
  [8, 2, 96, 72, 255],
  [4, 2, 64, 0, 256],
  [14, 2, 160, 160, 40],
];
/** The formats differ only in how a quad is stored, so that fewer shapes do for most. */
const fewShapes = shapes.filter(([, , headDim, rotaryDim, position]) =>
  position < 1000 && [64, 80, 96, 128].includes(headDim) && (headDim < 96 || rotaryDim < headDim || position === 300)
);

/** Shapes with a window, and the rows of the ring that holds it: a ring that is gone round many times, once, or never. */
const windows: readonly (readonly [...Shape, window: number, ring: number])[] = [
  [3, 3, 16, 16, 1000, 30, 64],
  [9, 3, 64, 64, 5, 300, 320],
  [4, 4, 64, 64, 200, 1, 64],
  [6, 2, 48, 48, 320, 65, 128],
];

for (const { name: variant, traits, formats } of VARIANTS) {
  const name = `decodeAttention() ${variant}`;
  for (const cacheFormat of formats) {
    for (const [nHeads, nKvHeads, headDim, rotaryDim, position] of cacheFormat === "f32" ? shapes : fewShapes) {
      const title = `${nHeads}/${nKvHeads} x ${headDim} (${rotaryDim}) at ${position}, ${cacheFormat}`;
      Deno.test(`${name} stores what ropeKv() does and agrees with its twin on ${title}`, async () => {
        const options = { nHeads, nKvHeads, headDim, rotaryDim, position, cacheFormat, traits };
        const { out, ...cache } = await run(options, true);
        const { out: _, ...separate } = await run(options, false);
        assertEquals(cache, separate);
        assertWithinReference(out, expected(options, cache), expected(options, cache, Math.fround));
      });
    }

    for (const [nHeads, nKvHeads, headDim, rotaryDim, position, window, ring] of windows) {
      const title = `${nHeads}/${nKvHeads} x ${headDim} at ${position}, ${cacheFormat}`;
      Deno.test(`${name} sees only a window of ${window} in a ring of ${ring}: ${title}`, async () => {
        const options = { nHeads, nKvHeads, headDim, rotaryDim, position, cacheFormat, traits, window };
        const whole = await run(options, true);
        const inRing = await run({ ...options, ring }, true);
        // To the bit: where a row lies changes nothing.
        assertEquals(inRing.out, whole.out);
        assertEquals(newestRows(inRing, { ...options, ring }, window), newestRows(whole, options, window));
        assertWithinReference(whole.out, expected(options, whole), expected(options, whole, Math.fround));
      });
    }

    Deno.test(`${name} takes the row that it is told and writes no other, ${cacheFormat}`, async () => {
      const options = { nHeads: 6, nKvHeads: 2, headDim: 64, position: 150, cacheFormat, traits };
      const alone = await run(options, true);
      const among = await run({ ...options, row: 3 }, true);
      assertEquals(among.out.subarray(3 * 6 * 64), alone.out);
      assertEquals(among.out.subarray(0, 3 * 6 * 64), new Float32Array(3 * 6 * 64));
    });
  }

  for (const position of [100, 400]) {
    Deno.test(`${name} does not depend on the host's bound at ${position}`, async () => {
      const options = { nHeads: 9, nKvHeads: 3, headDim: 64, position, cacheFormat: "q4", traits } as const;
      const tight = await run(options, true);
      assertEquals(await run({ ...options, slack: 5000 }, true), tight);
    });
  }
}
