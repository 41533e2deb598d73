import { assertEquals } from "@std/assert";
import { Metrics } from "../../src/server/metrics.ts";

Deno.test("Metrics writes counters, gauges and histograms as Prometheus reads them", () => {
  const metrics = new Metrics();
  metrics.add("a_total", "As.", { route: "/x", status: "200" });
  metrics.add("a_total", "As.", { route: "/x", status: "200" }, 2);
  metrics.set("b", "Bs.", { model: 'q"\\\n' }, 4);
  metrics.set("b", "Bs.", { model: 'q"\\\n' }, 3);
  metrics.observe("c_seconds", "Cs.", {}, 0.3);
  metrics.observe("c_seconds", "Cs.", {}, 400);
  const lines = metrics.text().split("\n");
  assertEquals(lines.slice(0, 6), [
    "# HELP a_total As.",
    "# TYPE a_total counter",
    'a_total{route="/x",status="200"} 3',
    "# HELP b Bs.",
    "# TYPE b gauge",
    'b{model="q\\"\\\\\\n"} 3',
  ]);
  const buckets = lines.filter((line) => line.startsWith("c_seconds"));
  assertEquals(buckets.slice(2, 5), [
    'c_seconds_bucket{le="0.25"} 0',
    'c_seconds_bucket{le="0.5"} 1',
    'c_seconds_bucket{le="1"} 1',
  ]);
  assertEquals(buckets.slice(-3), ['c_seconds_bucket{le="+Inf"} 2', "c_seconds_sum 400.3", "c_seconds_count 2"]);
});
