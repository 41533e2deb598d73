/**
 * Prompt-lookup speculation (Saxena, 2023): what followed when the latest tokens stood there before is a guess of what
 * follows now. It costs no second model, and is right where a text quotes, repeats or edits what it has.
 *
 * @module
 */

/** Tokens that must match at least: one alone is too often followed by something else. */
const SHORTEST_MATCH = 2;

/** Tokens from which on a longer match is no better. */
const LONGEST_MATCH = 8;

/**
 * Guesses how tokens go on: as after the longest earlier occurrence of their end, the latest one among equals. A guess
 * that runs into the end goes round, as a repetition does.
 *
 * @param tokens All so far.
 * @param count How many to guess.
 * @returns `count` tokens, or none where the end has no earlier occurrence.
 */
export function lookUp(tokens: readonly number[], count: number): number[] {
  const end = tokens.length;
  const last = tokens[end - 1];
  let longest = SHORTEST_MATCH - 1;
  let follower = 0;
  for (let i = end - 2; i >= longest && longest < LONGEST_MATCH; i--) {
    if (tokens[i] !== last) continue;
    let length = 1;
    while (length < LONGEST_MATCH && length <= i && tokens[i - length] === tokens[end - 1 - length]) length++;
    if (length > longest) [longest, follower] = [length, i + 1];
  }
  if (follower === 0 || count <= 0) return [];
  return Array.from({ length: count }, (_, i) => tokens[follower + i % (end - follower)]!);
}
