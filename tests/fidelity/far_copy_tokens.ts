/**
 * The tokens of the far-copy model: 65,536 of them, most with a random code to be copied, some that look for one.
 *
 * @module
 */
import { Pcg32 } from "../../src/eval/pcg32.ts";

/** What the model is built for. */
export interface FarCopyShape {
  /** Elements of a head. */
  readonly headDim: number;
  /** Layers. */
  readonly nLayers: number;
  /** Positions. */
  readonly contextLength: number;
  /** Tokens to prefill; 33 more fit. */
  readonly nPrompt: number;
}

/** Query heads of a layer. */
export const N_HEADS = 4;

/** KV heads of a layer: the first of sharp heads, the second of gated ones. */
export const N_KV_HEADS = 2;

/** Tokens decoded after the prompt, one pass each. */
export const N_DECODED = 32;

/** Bits of a token's code: what is copied, each as +1 or -1. */
export const CODE_BITS = 8;

/** Tokens with a code and nothing else; as many follow that are anchors too. */
export const N_CODES = 2 ** CODE_BITS;

/** A token that looks elsewhere. */
export interface Lookup {
  /** Its position. */
  readonly row: number;
  /** Positions that its heads copy from: (nLayers, N_HEADS). */
  readonly targets: readonly (readonly number[])[];
}

/** What to feed the model. */
export interface FarCopyTokens {
  /** (nPrompt + N_DECODED) ids. The last N_DECODED are what greedy decoding finds. */
  readonly tokens: readonly number[];
  /** The token that comes after them. */
  readonly last: number;
  /** Lookups in order of their rows; those of the last N_DECODED + 1 rows are the chain. */
  readonly lookups: readonly Lookup[];
}

/** Whether a query head is of the first KV head. */
export function isSharp(h: number): boolean {
  return h < N_HEADS / N_KV_HEADS;
}

/** Places that borders of tiles, splits, chunks and regimes make special; the last are counted from the end. */
function borders({ contextLength, nPrompt }: FarCopyShape): number[] {
  const half = contextLength / 2;
  const early = [0, 1, 7, 8, 127, 128, 129, 255, 256, 4095, 4096, 4097];
  const late = [half - 1, half, half + 1, half + 127, half + 128, 5 * half / 4 + 3, 3 * half / 2];
  return [...early, ...late, nPrompt - 97, nPrompt - 96, nPrompt - 2];
}

/** A tile of keys, by its first, that lookups of the prompt and of the decoded tokens copy from. */
export function watchedTile({ contextLength }: FarCopyShape): number {
  return 5 * contextLength / 8;
}

/** Chooses the tokens: random codes, lookups in the prompt's last part and at borders, and what they look for. */
export function layOut(shape: FarCopyShape): FarCopyTokens {
  const { nLayers, contextLength: n, nPrompt } = shape;
  const random = new Pcg32(65_536);
  const special = borders(shape);
  const half = n / 2;
  const prefilled = [1000, 1023, 4098, n / 4, half - 10, half + 10, half + 200, 5 * n / 8 + 100, 11 * n / 16]
    .concat([3 * n / 4 + 7, 13 * n / 16, 7 * n / 8, 15 * n / 16].map(Math.floor))
    .concat([nPrompt - 300, nPrompt - 129, nPrompt - 95, nPrompt - 10]);
  const chain = Array.from({ length: N_DECODED + 1 }, (_, i) => nPrompt - 1 + i);
  const rows = [...prefilled, ...chain].sort((a, b) => a - b);
  const isLookup = new Set(rows);
  const codes = Array.from({ length: nPrompt }, () => random.integer(0, N_CODES - 1));
  // A neighbour that is mistaken for a target must show.
  for (let t = 1; t < nPrompt; t++) if (codes[t] === codes[t - 1]) codes[t] = (codes[t]! + 1) % N_CODES;
  const anchors = new Set<number>();
  const chained = new Set<number>();
  const firstOfChain = rows.length - N_DECODED - 1;
  let [draws, turn] = [0, 0];
  const draw = (row: number, isFit: (position: number) => boolean) => {
    // Every other one at a border: the rest of the range counts too.
    for (let tries = draws++ % 2 * special.length; tries < special.length; tries++) {
      const position = special[turn++ % special.length]!;
      if (position <= row && isFit(position)) return position;
    }
    while (true) {
      const position = random.integer(0, Math.min(row, nPrompt - 1));
      if (isFit(position)) return position;
    }
  };
  const isPlain = (position: number) => !isLookup.has(position);
  const lookups = rows.map((row, i): Lookup => {
    const targets = Array.from({ length: nLayers }, (_, layer) =>
      Array.from({ length: N_HEADS }, (_, h) => {
        if (!isSharp(h)) {
          const position = draw(row, (p) => isPlain(p) && [...anchors].every((other) => Math.abs(other - p) > 7));
          anchors.add(position);
          return position;
        }
        if (layer < nLayers - 1 || h > 0 || i < firstOfChain) return draw(row, () => true);
        const position = draw(row, (p) => isPlain(p) && !chained.has(p));
        chained.add(position);
        codes[position] = (i + 1) % N_CODES;
        return position;
      }));
    return { row, targets };
  });
  const tokens = codes.map((code, t) => anchors.has(t) ? N_CODES + code : code);
  rows.forEach((row, i) => tokens[row] = 2 * N_CODES + i);
  return { tokens, last: 2 * N_CODES + rows.length, lookups };
}
