import { assert, assertEquals } from "@std/assert";
import { loadModel } from "../../mod.ts";

/** Checkpoints whose rotary frequencies change after 64 tokens: at once, or with every token. */
const NAMES = ["dynamic_ntk", "phi3_longrope"];

for (const name of NAMES) {
  Deno.test(`a sequence past the switch of its frequencies is as a fresh one: ${name}`, async () => {
    const directory = new URL(`../testdata/tiny/${name}`, import.meta.url).pathname;
    const { prompt, tokens: text } = JSON.parse(await Deno.readTextFile(`${directory}/expected.json`)) as {
      prompt: number[];
      tokens: number[];
    };
    using model = await loadModel(directory, { weights: "f32", kvCache: "f32", contextLength: 160 });
    const fresh = async (tokens: readonly number[], maxTokens: number) => [
      ...(await model.generate(tokens, { maxTokens }).result).tokens,
    ];
    assert(prompt.length < 64);
    using session = model.createSession();
    session.append(prompt);
    const first = [...(await session.generate({ maxTokens: 12 }).result).tokens];
    assertEquals(session.length, 70);
    assertEquals(first.slice(8), await fresh([...prompt, ...first.slice(0, 8)], 4));

    using fork = session.fork();
    fork.append(text.slice(1, 4));
    const forked = [...(await fork.generate({ maxTokens: 3 }).result).tokens];
    assertEquals(forked, await fresh([...prompt, ...first, ...text.slice(1, 4)], 3));

    // Back before the switch, where the short frequencies hold again.
    session.truncate(50);
    const again = [...(await session.generate({ maxTokens: 3 }).result).tokens];
    assertEquals(again, await fresh(prompt.slice(0, 50), 3));
  });
}
