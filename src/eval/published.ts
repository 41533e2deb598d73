/**
 * Perplexities that the authors of YaRN published.
 *
 * @module
 */

/** Context lengths of the rows, in tokens. */
const LENGTHS = [2048, 4096, 8192, 16384, 32768, 49152, 65536, 81920, 98304, 114688, 131072] as const;

const ROWS = {
  "Yarn-Llama-2-7b-64k": [4.1407, 3.6892, 3.5065, 2.9875, 2.6547, 2.5169, 2.4217, 4.6314, 15.5107, 38.361],
  "Yarn-Llama-2-7b-128k": [4.2137, 3.7524, 3.5621, 3.0356, 2.698, 2.5566, 2.4534, 2.3906, 2.3635, 2.3575, 2.372],
  "Yarn-Llama-2-13b-64k": [3.8069, 3.4013, 3.2516, 2.7907, 2.496, 2.3729, 2.2886, 4.7674, 18.6206, 42.4236, 78.8841],
  "Yarn-Llama-2-13b-128k": [3.861, 3.4459, 3.2904, 2.8263, 2.5287, 2.4027, 2.3117, 2.2549, 2.2302, 2.2247, 2.2391],
} as const;

/** A model with a published row. */
export type PublishedModel = keyof typeof ROWS;

/** All of them. */
export const PUBLISHED_MODELS = Object.keys(ROWS) as [PublishedModel, ...PublishedModel[]];

/**
 * Perplexity on ten documents of Proof-pile of at least 131,072 tokens, each cut to the length and read in one pass
 * (data/proofpile-long-small.csv of jquesnelle/yarn; Peng et al., 2023, table 2, has it rounded).
 *
 * @returns Undefined where nothing was published for the length.
 */
export function proofPilePerplexity(model: PublishedModel, contextLength: number): number | undefined {
  const row: readonly number[] = ROWS[model];
  return row[LENGTHS.findIndex((length) => length === contextLength)];
}
