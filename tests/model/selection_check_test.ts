import { assert, assertEquals, assertRejects } from "@std/assert";
import { resolveSampling } from "../../src/generate/sampling.ts";
import { Gpu } from "../../src/gpu/device.ts";
import { CHECKED_LOGITS, checkScores, checkSelection, DRAWN, drawSettings } from "../../src/model/selection_check.ts";
import { FaultyDevice } from "../faults/faulty_device.ts";
import { draw, masses } from "../reference/sample.ts";

Deno.test("the draws that a device is checked by are the twin's, and stay so where it rounds otherwise", () => {
  const exact = masses(CHECKED_LOGITS, 1);
  for (const hasTopK of [false, true]) {
    for (const hasMinP of [false, true]) {
      for (const error of [0, 3e-6, -3e-6]) {
        const rounded = Uint32Array.from(exact, (mass, i) => Math.min(2 ** 31, mass * (1 + error * (i % 3 - 1)) + 0.5));
        const ids = drawSettings(hasTopK, hasMinP).map((sampling, i) => draw(CHECKED_LOGITS, rounded, sampling, i));
        assertEquals(ids, DRAWN[`${hasTopK} ${hasMinP}`]);
      }
    }
  }
});

Deno.test("checkSelection() passes on this adapter, once for each kind of generation, and frees its tensors", async () => {
  using gpu = await Gpu.request();
  const everything = { topK: 3, minP: 0.1, logitBias: { 1: 1 }, presencePenalty: 1, topLogprobs: 1, seed: 1 };
  const look = async () => {
    await checkSelection(gpu, { sampling: resolveSampling(everything), isMasked: true });
    await checkScores(gpu);
  };
  await Promise.all([look(), look()]);
  assertEquals(gpu.allocatedBytes, 0);
  const before = gpu.pipelines.size;
  gpu.submit = () => {
    throw new Error("It ran again");
  };
  await look();
  await checkSelection(gpu, { sampling: resolveSampling(), isMasked: false });
  assert(before > 5 && gpu.pipelines.size === before);
});

Deno.test("a check ends with its own model, and with no other of the same device", async () => {
  using faulty = await FaultyDevice.request();
  const [leaving, staying] = [await Gpu.from(faulty.device), await Gpu.from(faulty.device)];
  const selecting = { sampling: resolveSampling({ seed: 1 }), isMasked: false };
  const checks = [leaving, staying].map((gpu) => checkSelection(gpu, selecting));
  leaving.dispose();
  await Promise.all([assertRejects(() => checks[0]!, TypeError, "The GPU was disposed"), checks[1]]);
  staying.dispose();
  assertEquals([faulty.live.size, faulty.uncaptured], [0, []]);
});
