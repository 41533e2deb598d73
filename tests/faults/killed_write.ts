/**
 * Writes in a process of its own, to be killed: `killed_write.ts save|convert FOLDER`. Prints a line when it begins.
 *
 * @module
 */
import { convertModel, loadModel } from "../../mod.ts";

const [way, folder] = Deno.args as ["save" | "convert", string];
const TINY = new URL("../testdata/tiny/gqa_tied", import.meta.url).pathname;

if (way === "save") {
  using model = await loadModel(TINY, { contextLength: 2048, kvCache: "f32" });
  const sessions = [1500, 1900].map((length) => {
    const session = model.createSession();
    session.append(Array.from({ length }, (_, i) => 3 + (i * 37) % 200));
    return session;
  });
  for (const [i, session] of sessions.entries()) {
    await session.generate({ maxTokens: 1 }).result;
    await session.save(`${folder}/expected-${i}`);
  }
  console.log("begins");
  for (let i = 0; i < 200; i++) await sessions[i % 2]!.save(`${folder}/saved`);
} else {
  console.log("begins");
  await convertModel(TINY, `${folder}/converted`, { weights: "q8", shardBytes: 8000 });
}
