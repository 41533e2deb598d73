import { assertEquals, assertRejects } from "@std/assert";
import { documentsFingerprint, EvaluationState, modelFingerprint } from "../../src/cli/evaluation_state.ts";
import { UsageError } from "../../src/cli/options.ts";
import { PG_NANO } from "./skein_process.ts";

const IDENTITY = { model: "a", documents: "b", method: "c" };

async function withState(run: (path: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await run(`${folder}/state.json`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("EvaluationState gives back what was added, to the bit", () =>
  withState(async (path) => {
    const state = await EvaluationState.open(path, IDENTITY);
    assertEquals([state.windows, state.of("x 256")], [0, []]);
    await state.add("x 256", [1 / 3, 2e-17]);
    await state.add("x 256", [7]);
    await state.add('{"type":"yarn"} 512', [Math.PI]);
    await state.flush();
    const again = await EvaluationState.open(path, IDENTITY);
    assertEquals(again.of("x 256"), [[1 / 3, 2e-17], [7]]);
    assertEquals(again.of('{"type":"yarn"} 512'), [[Math.PI]]);
    assertEquals(again.windows, 3);
  }));

Deno.test("EvaluationState refuses what belongs to something else, and files that are none", () =>
  withState(async (path) => {
    const state = await EvaluationState.open(path, IDENTITY);
    await state.add("row", [1]);
    await state.flush();
    const others = { model: "another model", documents: "other documents", method: "another method" };
    for (const [part, other] of Object.entries(others)) {
      const run = () => EvaluationState.open(path, { ...IDENTITY, [part]: "other" });
      await assertRejects(run, UsageError, `it was written for ${other}`);
    }
    const whole = await Deno.readTextFile(path);
    for (
      const [content, reason] of [
        [whole.slice(0, -10), "it is not JSON"],
        ["[]", "it is no state of an evaluation"],
        ["null", "it is no state of an evaluation"],
        [whole.replace("[[1]]", "[[null]]"), 'row "row" holds no numbers'],
      ] as const
    ) {
      await Deno.writeTextFile(path, content);
      await assertRejects(() => EvaluationState.open(path, IDENTITY), UsageError, reason);
      assertEquals(await Deno.readTextFile(path), content);
    }
  }));

Deno.test("fingerprints tell documents and storage apart", async () => {
  const book = (tokens: number[]) => ({ name: "book", tokens: Uint32Array.from(tokens) });
  const one = await documentsFingerprint([book([1, 2, 3])]);
  assertEquals(await documentsFingerprint([{ ...book([1, 2, 3]), name: "moved" }]), one);
  assertEquals(one === await documentsFingerprint([book([1, 2]), book([3])]), false);
  const model = await modelFingerprint(PG_NANO, ["f16", "f16"]);
  assertEquals(await modelFingerprint(PG_NANO, ["f16", "f16"]), model);
  assertEquals(model === await modelFingerprint(PG_NANO, ["q8", "f16"]), false);
});
