import { assert, assertEquals } from "@std/assert";
import { CapacityError, loadModel, Model } from "../../mod.ts";
import { FaultyDevice } from "./faulty_device.ts";

const folder = new URL("../testdata/tiny/head_dim_64", import.meta.url).pathname;

for (const mode of ["scope", "throw"] as const) {
  Deno.test(`a load without memory for any one buffer says which and leaves none: ${mode}`, async () => {
    using faulty = await FaultyDevice.request();
    const { device, live } = faulty;
    for (let failing = 0;; failing++) {
      const first = faulty.allocations;
      faulty.failureOf = (allocation) => allocation === first + failing ? mode : undefined;
      const outcome = await loadModel(folder, { device, contextLength: 64 }).catch((error) => error);
      if (outcome instanceof Model) {
        assert(failing > 60, `${failing} allocations`);
        outcome.dispose();
        assertEquals(live.size, 0);
        break;
      }
      assert(outcome instanceof CapacityError, `Allocation ${failing}: ${outcome}`);
      assert(
        /^Cannot allocate .+ \(\d+ bytes.*\): Not enough memory left; ask for/.test(outcome.message),
        outcome.message,
      );
      // Nothing is known of the model when the buffer for params is made, which is the first.
      if (failing > 0) assert(/the plan is \d+: weights \d+/.test(outcome.message), outcome.message);
      assertEquals([live.size, faulty.uncaptured], [0, []], `Allocation ${failing}: ${outcome.message}`);
    }
  });
}
