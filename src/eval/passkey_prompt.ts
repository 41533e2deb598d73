/**
 * A prompt with a number hidden in filler, worded as in jquesnelle/yarn's eval/passkey.py.
 *
 * @module
 */
const TASK = "There is an important info hidden inside a lot of irrelevant text. Find it and memorize them. " +
  "I will quiz you about the important information there.";
const FILLER = "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again.";

/** The last line of every prompt. */
export const QUESTION: string = "What is the pass key? The pass key is";

/** What a prompt is made of. */
export interface PasskeyPrompt {
  /** The number to hide. */
  readonly key: string;
  /** Characters of filler before the line with the key. */
  readonly before: number;
  /** Characters of filler after it. */
  readonly after: number;
}

/** The line that the key stands in. */
export function keyLine(key: string): string {
  return `The pass key is ${key}. Remember it. ${key} is the pass key.`;
}

/** The prompt's text. */
export function passkeyPrompt({ key, before, after }: PasskeyPrompt): string {
  const filler = `${FILLER} `.repeat(Math.ceil(Math.max(before, after) / FILLER.length) + 1);
  return [TASK, filler.slice(0, before), keyLine(key), filler.slice(0, after), QUESTION].join("\n");
}
