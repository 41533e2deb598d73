import { assert, assertEquals, assertRejects } from "@std/assert";
import { DeviceLostError, loadModel, type LoadOptions } from "../../mod.ts";
import { FaultyDevice } from "./faulty_device.ts";

const folder = new URL("../testdata/tiny/head_dim_64", import.meta.url).pathname;
const PROMPT = Array.from({ length: 40 }, (_, i) => 3 + (i * 37) % 200);
const TOKENS = 12;

/** Storage of weights and of keys and values. */
const DTYPES = [["f32", "f32"], ["f16", "f16"], ["q8", "q8"], ["q4", "q4"]] as const;

const optionsOf = ([weights, kvCache]: (typeof DTYPES)[number]): LoadOptions => ({
  ...{ weights, kvCache, contextLength: 128, prefillChunk: 16, maxBatch: 4 },
});

/** Ends the device at the call of this number from now on. */
function loseAfter(faulty: FaultyDevice, calls: number): void {
  const at = faulty.calls + calls;
  faulty.onCall = (call) => {
    if (call === at) faulty.device.destroy();
  };
}

for (const dtypes of DTYPES) {
  const options = optionsOf(dtypes);

  Deno.test(`a device that is lost while a model is loaded is told of, and keeps nothing: ${dtypes[0]}`, async () => {
    using whole = await FaultyDevice.request();
    using _ = await loadModel(folder, { ...options, device: whole.device });
    for (let sixth = 0; sixth < 6; sixth++) {
      using faulty = await FaultyDevice.request();
      loseAfter(faulty, Math.floor(sixth / 6 * whole.calls));
      const load = () => loadModel(folder, { ...options, device: faulty.device });
      await assertRejects(load, DeviceLostError, "The GPU device was lost: it was destroyed");
      assertEquals(faulty.live.size, 0);
    }
  });

  for (const stage of ["prefill", "decode", "idle"] as const) {
    Deno.test(`a model whose device is lost goes on after reload(), sessions too: ${stage}, ${dtypes}`, async () => {
      using faulty = await FaultyDevice.request();
      using next = await FaultyDevice.request();
      const model = await loadModel(folder, { ...options, device: faulty.device });
      const expected = [...(await model.generate(PROMPT, { maxTokens: TOKENS }).result).tokens];
      using session = model.createSession();
      session.append(PROMPT);
      const seen: number[] = [];
      if (stage === "idle") {
        seen.push(...(await session.generate({ maxTokens: 5 }).result).tokens);
        faulty.device.destroy();
      } else if (stage === "prefill") {
        loseAfter(faulty, 20);
      }
      // What else is under way ends by the same error, and none of it waits for ever.
      const others: Promise<unknown>[] = [];
      const startOthers = () => {
        for (const work of [() => model.generate(PROMPT, { maxTokens: 60 }).result, () => model.score(PROMPT)]) {
          others.push(assertRejects(work, DeviceLostError));
        }
      };
      if (stage !== "decode") startOthers();
      await assertRejects(async () => {
        for await (const { tokens } of session.generate({ maxTokens: TOKENS })) {
          seen.push(...tokens);
          if (stage !== "decode" || seen.length !== 3) continue;
          startOthers();
          loseAfter(faulty, 1);
        }
      }, DeviceLostError);
      await Promise.all(others);
      await assertRejects(() => model.generate(PROMPT).result, DeviceLostError);
      await assertRejects(() => model.reload(), TypeError, "pass another as device");

      await model.reload({ device: next.device });
      assertEquals([faulty.live.size, faulty.uncaptured], [0, []]);
      assertEquals(session.tokens, [...PROMPT, ...seen]);
      assert(stage === "prefill" ? seen.length === 0 : seen.length >= 3 && seen.length < TOKENS);
      seen.push(...(await session.generate({ maxTokens: TOKENS - seen.length }).result).tokens);
      assertEquals(seen, expected);
      assertEquals([...(await model.generate(PROMPT, { maxTokens: TOKENS }).result).tokens], expected);
      model.dispose();
      assertEquals([next.live.size, next.uncaptured], [0, []]);
    });
  }
}
