/**
 * The demo: the same weights and the same prompt, with plain RoPE and with YaRN.
 *
 * usage: deno task demo [KEY], a number of five digits
 *
 * @module
 */
import { inspectModel, loadModel } from "../../mod.ts";
import { planTable } from "./inspect.ts";
import { keyLine, passkeyPrompt, QUESTION } from "../eval/passkey_prompt.ts";

const TESTDATA = new URL("../../tests/testdata/", import.meta.url);
const MODEL = new URL("pg-nano-yarn-2k/", TESTDATA).pathname;
const LLAMA_7B = new URL("yarn-llama-2-7b-64k/", TESTDATA).pathname;

/** Filler that puts the key 1,500 tokens before the end of a prompt of about 2,000. */
const FILLER = { before: 1750, after: 5250 };

const write = (text: string) => Deno.stdout.writeSync(new TextEncoder().encode(text));

/** Asks for the key; returns whether the answer is right. */
async function ask(name: string, key: string, ropeScaling?: "none"): Promise<boolean> {
  const started = performance.now();
  using model = await loadModel(MODEL, ropeScaling === undefined ? {} : { ropeScaling });
  const generation = model.generate(passkeyPrompt({ key, ...FILLER }), { maxTokens: 6 });
  write(`  ${name.padEnd(14)}${QUESTION}`);
  let answer = "";
  for await (const { text } of generation) {
    answer += text;
    write(text.replaceAll("\n", " "));
  }
  const right = answer.trim().startsWith(key);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  write(`   ${right ? "right" : "wrong"} (${seconds} s)\n`);
  return right;
}

async function main(): Promise<number> {
  const key = Deno.args[0] ?? "14577";
  if (!/^[1-9]\d{4}$/.test(key)) {
    console.error(`skein: Cannot hide ${JSON.stringify(key)}: expected a number of five digits`);
    return 1;
  }
  {
    using model = await loadModel(MODEL);
    const encode = (text: string) => model.tokenizer.encode(text).length;
    const prompt = passkeyPrompt({ key, ...FILLER });
    const total = encode(prompt);
    const distance = total - encode(prompt.slice(0, prompt.indexOf(keyLine(key))));
    write(`Skein on ${model.deviceName}
pg-nano-yarn-2k: a Llama trained on texts of 256 tokens, then extended to 2,048 by YaRN.

The key ${key} hides in a text of ${total.toLocaleString("en-US")} tokens, ${
      distance.toLocaleString("en-US")
    } tokens before the question.
The same weights, the same text:

`);
  }
  await ask("plain RoPE", key, "none");
  const found = await ask("YaRN x8", key);
  const { plan, config } = await inspectModel(LLAMA_7B, {});
  write(`
Now a model of your own, SmolLM2-135M-Instruct or any Llama: a folder from Hugging Face or a .gguf file.

  deno task skein generate path/to/model --prompt "Once upon a time"
  deno task skein chat path/to/model
  deno task skein inspect path/to/model

What Yarn-Llama-2-7b-64k takes at ${config.maxPositionEmbeddings.toLocaleString("en-US")} tokens:

${planTable(plan).replaceAll(/^/gm, "  ").trimEnd()}
`);
  return found ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main());
