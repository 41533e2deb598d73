/**
 * A pull in a process of its own, to be killed: `killed_pull.ts ENDPOINT CACHE`. Prints a line when it begins.
 *
 * @module
 */
import { parseModelId } from "../../src/hub/model_id.ts";
import { pullModel } from "../../src/hub/pull.ts";

const [endpoint, cache] = Deno.args as [string, string];
const retry = { attempts: 4, firstDelayMs: 1, stallMs: 30_000 };
console.log("begins");
await pullModel(parseModelId("org/tiny")!, { endpoint, cache, token: undefined, isOffline: false, retry }, {
  segmentBytes: 65_536,
});
