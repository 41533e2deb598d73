import { assertEquals } from "@std/assert";
import { clearSeen, createSelection, markSeen } from "../../src/kernels/select.ts";
import { markSeen as twin } from "../reference/mark_seen.ts";
import { gpu, random } from "./fixture.ts";
import { words } from "./selection_fixture.ts";

for (const [vocabSize, nTokens] of [[1, 1], [97, 97], [49152, 1025], [128256, 5]] as const) {
  Deno.test(`markSeen() sets the bits of ${nTokens} tokens of ${vocabSize}, until clearSeen()`, async () => {
    const selection = createSelection(gpu, vocabSize, 1);
    const next = random(nTokens);
    const ids = Uint32Array.from({ length: nTokens }, () => Math.floor((next() + 1) / 2 * vocabSize));
    ids[0] = vocabSize - 1;
    using tokens = gpu.tensorOf("tokens", "u32", [nTokens], ids);
    const recorder = gpu.record();
    markSeen(recorder, { tokens, selection, nTokens });
    gpu.submit([recorder]);
    assertEquals(await words(selection.seen), twin(ids, vocabSize));
    clearSeen(gpu, selection);
    assertEquals(Math.max(...await words(selection.seen)), 0);
    selection.dispose();
  });
}
