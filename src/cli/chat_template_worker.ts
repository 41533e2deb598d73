/**
 * Renders one chat template; see `chat_template.ts`.
 *
 * @module
 */
// Named here and not in deno.json, because `deno task` fetches what is named there even for commands without chat.
// deno-lint-ignore no-import-prefix
import { Template } from "npm:@huggingface/jinja@0.5.11";
import type { RenderAnswer, RenderRequest } from "./chat_template.ts";

/** What a worker's global scope has and the window's types lack. */
const scope = globalThis as unknown as {
  onmessage: (event: MessageEvent<RenderRequest>) => void;
  postMessage(answer: RenderAnswer): void;
};

scope.onmessage = ({ data: { template, messages, specialTokens } }) => {
  try {
    const text = new Template(template).render({ messages, ...specialTokens, add_generation_prompt: true });
    scope.postMessage({ text });
  } catch (error) {
    scope.postMessage({ error: (error as Error).message });
  }
};
