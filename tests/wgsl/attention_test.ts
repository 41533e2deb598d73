import { assertEquals } from "@std/assert";
import { attention } from "../../src/kernels/attention.ts";
import type { AdapterTraits, Recorder } from "../../src/gpu/recorder.ts";
import { KV_FORMATS, type KvFormat, kvTensorShape } from "../../src/kernels/kv_formats.ts";
import { attention as twin, type AttentionShape } from "../reference/attention.ts";
import { hadamard } from "../reference/hadamard.ts";
import { packGroups, unpackGroups } from "../reference/kv_groups.ts";
import { assertWithinReference, download, gpu, randomFloats, upload } from "./fixture.ts";

/** What runs on which adapter: all of it compiles anywhere. `rows` are those of a workgroup where headDim is 64. */
const VARIANTS = [
  { name: "direct", traits: { isSoftware: true }, rows: 16, formats: KV_FORMATS },
  { name: "shared", traits: { isSoftware: false }, rows: 64, formats: KV_FORMATS },
  // On a software adapter with short subgroups.
  { name: "small shared", traits: { isSoftware: true, subgroups: false }, rows: 32, formats: ["f16", "q4"] },
] as const;

interface Case extends AttentionShape {
  cacheFormat: KvFormat;
  traits: Partial<AdapterTraits>;
  /** Bound given to the host, over the real length. */
  slack: number;
  /** Rows of q and out that stand before the first token's. Default 0. */
  firstRow?: number;
}

function random(shape: AttentionShape): { q: Float32Array<ArrayBuffer>; k: Float32Array; v: Float32Array } {
  const { nTokens, nHeads, nKvHeads, headDim, capacity } = shape;
  return {
    // Queries of this size make scores of some units, so that weights differ by orders of magnitude.
    q: randomFloats(nTokens * nHeads * headDim, 1, 4),
    k: randomFloats(nKvHeads * capacity * headDim, 2, 2),
    v: randomFloats(nKvHeads * capacity * headDim, 3),
  };
}

/** What the cache holds after storing the values, as f32. */
function stored(values: Float32Array, format: KvFormat, headDim: number): Float32Array {
  if (format === "f32") return values;
  if (format === "f16") return Float32Array.from(Float16Array.from(values));
  const words = packGroups(format, values, headDim);
  return Float32Array.from(unpackGroups(format, words, values.length / headDim, headDim).values);
}

/** The values as the cache holds them. */
function packed(values: Float32Array, format: KvFormat, headDim: number) {
  if (format === "f32") return Float32Array.from(values);
  return format === "f16" ? Float16Array.from(values) : packGroups(format, values, headDim);
}

/** Rows (nKvHeads, capacity, headDim) as a ring of `ring` rows holds the newest of them; rows not yet there are far off. */
function inRing(
  values: Float32Array,
  { nKvHeads, headDim, capacity, position, nTokens }: AttentionShape,
  ring: number,
  seed: number,
) {
  const length = position + nTokens;
  const rows = randomFloats(nKvHeads * ring * headDim, seed + 50, 1000);
  for (let head = 0; head < nKvHeads; head++) {
    for (let key = Math.max(0, length - ring); key < length; key++) {
      const from = (head * capacity + key) * headDim;
      rows.set(values.subarray(from, from + headDim), (head * ring + key % ring) * headDim);
    }
  }
  return rows;
}

async function run(
  { q, k, v }: { q: Float32Array<ArrayBuffer>; k: Float32Array; v: Float32Array },
  shape: Case,
  recorder: Recorder = gpu.record(shape.traits),
): Promise<Float32Array> {
  const { nTokens, nHeads, nKvHeads, headDim, capacity, position, cacheFormat, slack, window, firstRow = 0 } = shape;
  const cached = (name: string, values: Float32Array) => {
    const [dtype, extents] = kvTensorShape(cacheFormat, shape, capacity);
    return gpu.tensorOf(name, dtype, extents, packed(values, cacheFormat, headDim));
  };
  const maxKvLength = position + nTokens + slack;
  using keys = cached("k", k);
  using values = cached("v", v);
  const rows = new Float32Array((firstRow + nTokens) * nHeads * headDim);
  rows.set(q, firstRow * nHeads * headDim);
  using queries = upload("q", rows, [firstRow + nTokens, nHeads, headDim]);
  using state = gpu.tensorOf("state", "u32", [8], new Uint32Array([position, 0, 0, 0, 0, 0, 0, 0]));
  using out = gpu.createTensor("out", "f32", [firstRow + nTokens, nHeads, headDim]);
  using softmax = gpu.createTensor("softmax", "f32", [firstRow + nTokens, nHeads, 2]);
  attention(recorder, {
    ...{ q: queries, k: keys, v: values, state, out, softmax, nTokens, maxKvLength, capacity, cacheFormat },
    ...{ nHeads, nKvHeads, headDim, scale: headDim ** -0.5, window, firstRow },
  });
  await gpu.run(recorder);
  return await download(out);
}

type Shape = readonly [nTokens: number, nHeads: number, nKvHeads: number, headDim: number, position: number];

const shapes: readonly Shape[] = [
  [1, 9, 3, 64, 0],
  [97, 9, 3, 64, 0],
  [97, 9, 3, 64, 131],
  [1025, 1, 1, 32, 0],
  [3, 1, 1, 16, 66000],
  [97, 4, 4, 128, 5],
  [33, 8, 1, 80, 64],
  [40, 8, 2, 96, 7],
  [2, 4, 2, 32, 0],
  [50, 2, 1, 16, 61],
  [19, 2, 1, 256, 40],
  [70, 6, 2, 64, 3000],
  [21, 3, 3, 100, 12],
];
/** The formats differ only in how a quad is loaded, so that fewer shapes do for the others. */
const fewShapes = shapes.filter(([nTokens, , , headDim, position]) =>
  nTokens < 1000 && position > 0 && position < 1000 && [16, 64, 80, 96, 128].includes(headDim)
);

/** Shapes with a window, and the rows of the ring that holds it: a ring that is gone round many times, once, or never. */
const windows: readonly (readonly [...Shape, window: number, ring: number])[] = [
  [1, 9, 3, 64, 700, 300, 320],
  [97, 9, 3, 64, 331, 40, 192],
  [130, 8, 2, 96, 0, 65, 256],
  [3, 4, 4, 128, 200, 1, 64],
  [20, 2, 1, 64, 2100, 1500, 1536],
];

for (const { name, traits, rows, formats } of VARIANTS) {
  for (const cacheFormat of formats) {
    for (const [nTokens, nHeads, nKvHeads, headDim, position] of cacheFormat === "f32" ? shapes : fewShapes) {
      const title = `${nTokens} x ${nHeads}/${nKvHeads} x ${headDim} at ${position}, ${cacheFormat}`;
      Deno.test(`attention() ${name} agrees with its twin on ${title}`, async () => {
        const capacity = position + nTokens + 3;
        const shape = { nTokens, nHeads, nKvHeads, headDim, capacity, position };
        const inputs = random(shape);
        const actual = await run(inputs, { ...shape, cacheFormat, traits, slack: 0 });
        const [k, v] = [stored(inputs.k, cacheFormat, headDim), stored(inputs.v, cacheFormat, headDim)];
        const exact = twin(inputs.q, k, v, shape);
        const naive = twin(inputs.q, k, v, shape, Math.fround);
        if (cacheFormat !== "q4") assertWithinReference(actual, exact, naive);
        else assertWithinReference(actual, hadamard(exact, headDim), hadamard(naive, headDim, Math.fround));
      });
    }
  }

  for (const cacheFormat of ["f32", "q8", "q4"] as const) {
    Deno.test(`attention() ${name} gives a row the same bits in whatever chunk it comes, ${cacheFormat}`, async () => {
      const shape = { nTokens: 150, nHeads: 6, nKvHeads: 2, headDim: 64, capacity: 160, position: 0 };
      const inputs = random(shape);
      const whole = await run(inputs, { ...shape, cacheFormat, traits, slack: 0 });
      const width = 6 * 64;
      for (const [position, nTokens] of [[0, 2], [2, 7], [9, 64], [73, 77], [141, 9]] as const) {
        const q = inputs.q.slice(position * width, (position + nTokens) * width);
        const part = await run({ ...inputs, q }, {
          ...shape,
          ...{ position, nTokens, cacheFormat, traits, slack: 0 },
        });
        assertEquals(part, whole.slice(position * width, (position + nTokens) * width));
      }
    });
  }

  Deno.test(`attention() ${name} gives a row the same bits in whatever chunk it comes, with a window`, async () => {
    const shape = { nTokens: 800, nHeads: 1, nKvHeads: 1, headDim: 128, capacity: 800, position: 0, window: 300 };
    const inputs = random(shape);
    const options = { ...shape, cacheFormat: "f32", traits, slack: 0 } as const;
    const whole = await run(inputs, options);
    for (const [position, nTokens] of [[500, 30], [700, 100]] as const) {
      const q = inputs.q.slice(position * 128, (position + nTokens) * 128);
      const part = await run({ ...inputs, q }, { ...options, position, nTokens });
      assertEquals(part, whole.slice(position * 128, (position + nTokens) * 128));
    }
  });

  for (const cacheFormat of formats) {
    for (const [nTokens, nHeads, nKvHeads, headDim, position, window, ring] of windows) {
      const title = `${nTokens} x ${nHeads}/${nKvHeads} x ${headDim} at ${position}, ${cacheFormat}`;
      Deno.test(`attention() ${name} sees only a window of ${window} in a ring of ${ring}: ${title}`, async () => {
        const shape = { nTokens, nHeads, nKvHeads, headDim, capacity: position + nTokens, position, window };
        const inputs = random(shape);
        const [k, v] = [inputs.k, inputs.v].map((values, i) => inRing(values, shape, ring, i)) as [
          Float32Array,
          Float32Array,
        ];
        const actual = await run({ q: inputs.q, k, v }, {
          ...{ ...shape, capacity: ring, cacheFormat, traits, slack: 0 },
        });
        const [keys, values] = [stored(inputs.k, cacheFormat, headDim), stored(inputs.v, cacheFormat, headDim)];
        const exact = twin(inputs.q, keys, values, shape);
        const naive = twin(inputs.q, keys, values, shape, Math.fround);
        if (cacheFormat !== "q4") assertWithinReference(actual, exact, naive);
        else assertWithinReference(actual, hadamard(exact, headDim), hadamard(naive, headDim, Math.fround));
      });
    }
  }

  Deno.test(`attention() ${name} gives the same bits in a ring as in a cache of all tokens`, async () => {
    for (const nTokens of [1, 50]) {
      const shape = { nTokens, nHeads: 9, nKvHeads: 3, headDim: 64, capacity: 600, position: 550, window: 100 };
      const inputs = random(shape);
      const all = await run(inputs, { ...shape, cacheFormat: "f32", traits, slack: 0 });
      const [k, v] = [inRing(inputs.k, shape, 192, 0), inRing(inputs.v, shape, 192, 1)];
      const ring = await run({ ...inputs, k, v }, {
        ...{ ...shape, capacity: 192, cacheFormat: "f32", traits, slack: 300 },
      });
      assertEquals(ring, all);
    }
  });

  for (const [nTokens, cacheFormat] of [[1, "f16"], [5, "f16"], [1, "q4"], [5, "q4"]] as const) {
    Deno.test(`attention() ${name} takes ${nTokens} rows from firstRow on and no others, ${cacheFormat}`, async () => {
      const shape = { nTokens, nHeads: 6, nKvHeads: 2, headDim: 64, capacity: 160, position: 150 };
      const inputs = random(shape);
      const options = { ...shape, cacheFormat, traits, slack: 0 };
      const expected = new Float32Array((3 + nTokens) * 6 * 64);
      expected.set(await run(inputs, options), 3 * 6 * 64);
      assertEquals(await run(inputs, { ...options, firstRow: 3 }), expected);
    });
  }

  Deno.test(`attention() ${name} does not depend on the host's bound`, async () => {
    const shape = { nTokens: 1, nHeads: 9, nKvHeads: 3, headDim: 64, capacity: 900, position: 400 };
    const inputs = random(shape);
    const tight = await run(inputs, { ...shape, cacheFormat: "f32", traits, slack: 0 });
    const loose = await run(inputs, { ...shape, cacheFormat: "f32", traits, slack: 5000 });
    assertEquals(loose, tight);
  });

  for (const cacheFormat of ["f32", "q8", "q4"] as const) {
    Deno.test(`attention() ${name} of one token is the last row of a chunk, ${cacheFormat}`, async () => {
      const shape = { nTokens: 5, nHeads: 4, nKvHeads: 2, headDim: 64, capacity: 600, position: 512 };
      const inputs = random(shape);
      const chunk = await run(inputs, { ...shape, cacheFormat, traits, slack: 0 });
      const q = inputs.q.slice(4 * 256);
      const last = await run({ ...inputs, q }, {
        ...shape,
        ...{ nTokens: 1, position: 516, cacheFormat, traits, slack: 0 },
      });
      assertWithinReference(last, chunk.slice(4 * 256), chunk.slice(4 * 256), 1e-6);
    });
  }

  Deno.test(`attention() ${name} stands scores as far apart as f32 allows`, async () => {
    const shape = { nTokens: 3, nHeads: 1, nKvHeads: 1, headDim: 16, capacity: 40, position: 30 };
    const { k, v } = random(shape);
    const q = randomFloats(3 * 16, 7, 1e4);
    const actual = await run({ q, k, v }, { ...shape, cacheFormat: "f32", traits, slack: 0 });
    assertWithinReference(actual, twin(q, k, v, shape), twin(q, k, v, shape, Math.fround));
  });

  Deno.test(`attention() ${name} cuts a long chunk into dispatches that give the same bits`, async () => {
    const shape = { nTokens: 250, nHeads: 16, nKvHeads: 16, headDim: 128, capacity: 260, position: 3 };
    const inputs = random(shape);
    const options = { ...shape, cacheFormat: "f32", traits } as const;
    const whole = await run(inputs, { ...options, slack: 0 });
    // By a bound this large, every block of rows is a dispatch of its own; or there are 20 slabs of 512 keys for the 14
    // blocks that one takes, and 21 for the rest.
    const direct = name === "direct";
    const recorder = gpu.record(traits);
    const cut = await run(inputs, { ...options, slack: direct ? 1e4 : traits.isSoftware ? 1e6 : 1e9 }, recorder);
    assertEquals(recorder.steps.length, direct ? 20 + 21 : Math.ceil(250 / rows));
    assertEquals(cut, whole);
  });
}
