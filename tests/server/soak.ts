/**
 * Lets many clients, good and bad, at one server for a while, and writes what came of it as JSON.
 *
 * usage: deno task soak [MINUTES [SEED [FILE]]]: 2 minutes and seed 1 unless given; FILE takes the report
 *
 * It fails where an answer was lost, a status came that the client did not deserve, a stream told other tokens than
 * alone, the server did not end as asked, or the memory of the GPU was not what it was at the beginning.
 *
 * @module
 */
import { Pcg32 } from "../../src/eval/pcg32.ts";
import { chatFolder } from "../chat/chat_folder.ts";
import { startServed } from "./served_process.ts";
import { type Client, CLIENTS, comparedPrompts, greedyStream, type Soak, type Span } from "./soak_clients.ts";

/** Clients at work at a time, and their longest pause between two requests in milliseconds. */
const CLIENTS_AT_ONCE = 12;
const LONGEST_PAUSE_MS = 1000;

/** Generations at a time, requests that wait, and prefixes that are kept. */
const LIMITS = { running: 6, queue: 6, prefixes: 4 };

/** Milliseconds between two looks at the clock, and how late one may be. */
const TICK_MS = 100;
const LONGEST_TICK_MS = 1000;

/** Seconds between two looks at the server's memory. */
const SAMPLE_S = 5;

const [minutes, seed] = [Deno.args[0] ?? 2, Deno.args[1] ?? 1].map((given) => {
  const count = Number(given);
  if (count > 0 && count <= 10_000) return count;
  console.error(`skein: Cannot soak by ${JSON.stringify(given)}: expected a number over 0`);
  Deno.exit(1);
}) as [number, number];

const key = "sk-soak";
await using folder = await chatFolder();
const served = await startServed([
  folder.path,
  ...["--api-key", key, "--context-length", "1536", "--max-running", String(LIMITS.running)],
  ...["--max-queue", String(LIMITS.queue), "--prefix-cache", String(LIMITS.prefixes)],
]);
const headers = { authorization: `Bearer ${key}` };
const { data: [{ id: model }] } = await (await fetch(`${served.url}/v1/models`, { headers })).json();
const soak: Soak = {
  url: served.url,
  key,
  model,
  text: await Deno.readTextFile(new URL("../testdata/pg19/keith_of_the_border.txt", import.meta.url)),
  random: new Pcg32(seed),
  firstTokens: [],
  gaps: [],
  alone: new Map(),
  compared: { same: 0, ties: 0, wrong: 0 },
  tokens: 0,
};

/** What the server tells of itself: requests by status, and bytes on the GPU. */
async function metrics(): Promise<{ statuses: Record<string, number>; gpuBytes: number; busy: number }> {
  const text = await (await fetch(`${served.url}/metrics`, { headers })).text();
  const statuses: Record<string, number> = {};
  for (const [, status, count] of text.matchAll(/^skein_requests_total\{.*status="(\d+)"\} (\d+)$/gm)) {
    statuses[status!] = (statuses[status!] ?? 0) + Number(count);
  }
  const gauge = (name: string) => Number(new RegExp(`^${name}\\{.*\\} (\\d+)$`, "m").exec(text)![1]);
  return { statuses, gpuBytes: gauge("skein_gpu_bytes"), busy: gauge("skein_running") + gauge("skein_waiting") };
}

/** Resident memory of the server in MiB. */
async function residentMiB(): Promise<number> {
  const status = await Deno.readTextFile(`/proc/${served.process.pid}/status`);
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)![1]) / 1024;
}

/** Brings the server to where nothing runs and its prefixes are those of the compared prompts; bytes on the GPU there. */
async function quiet(): Promise<number> {
  while ((await metrics()).busy > 0) await new Promise((resolve) => setTimeout(resolve, 100));
  for (const prompt of comparedPrompts(soak)) {
    const streamed = await greedyStream(soak, prompt);
    if (streamed instanceof Response) throw new Error(await streamed.text());
    if (!soak.alone.has(prompt)) soak.alone.set(prompt, streamed);
  }
  return (await metrics()).gpuBytes;
}

const outcomes = new Map<string, Map<string, number>>();
const unexpected: string[] = [];
const weights = Object.values(CLIENTS).reduce((sum, { weight }) => sum + weight, 0);

function choose(): readonly [name: string, client: Client] {
  let at = soak.random.integer(0, 1e6) / 1e6 * weights;
  return Object.entries(CLIENTS).find(([, { weight }]) => (at -= weight) < 0) ?? Object.entries(CLIENTS)[0]!;
}

async function work(endsAt: number): Promise<void> {
  while (performance.now() < endsAt) {
    const [name, { expected, ask }] = choose();
    const outcome = await ask(soak).catch(({ message, cause }) =>
      `lost: ${[message, cause].filter(Boolean).join(": ")}`
    );
    const counts = outcomes.get(name) ?? new Map<string, number>();
    outcomes.set(name, counts.set(outcome, (counts.get(outcome) ?? 0) + 1));
    if (!expected.includes(outcome)) unexpected.push(`${name}: ${outcome}`);
    await new Promise((resolve) => setTimeout(resolve, soak.random.integer(0, LONGEST_PAUSE_MS)));
  }
}

/** Slope of a line through points, by least squares. */
function slope(points: readonly (readonly [x: number, y: number])[]): number {
  const mean = (at: 0 | 1) => points.reduce((sum, point) => sum + point[at], 0) / points.length;
  const [x, y] = [mean(0), mean(1)];
  const above = points.reduce((sum, point) => sum + (point[0] - x) * (point[1] - y), 0);
  return above / points.reduce((sum, point) => sum + (point[0] - x) ** 2, 0);
}

/** Times at which the machine kept even this program waiting: what spans them tells nothing of the server. */
const pauses: Span[] = [];
let latestTick = performance.now();
const ticking = setInterval(() => {
  const now = performance.now();
  if (now - latestTick > LONGEST_TICK_MS) pauses.push({ from: latestTick, to: now });
  latestTick = now;
}, TICK_MS);

const quantiles = (spans: readonly Span[]) => {
  const sorted = spans.filter(({ from, to }) => !pauses.some((pause) => pause.from < to && pause.to > from))
    .map(({ from, to }) => to - from).sort((a, b) => a - b);
  const at = (share: number) => Math.round(sorted[Math.floor(share * (sorted.length - 1))] ?? NaN);
  return { p50: at(0.5), p99: at(0.99), most: at(1), count: sorted.length, leftOut: spans.length - sorted.length };
};

// What is compiled and allocated once is there when each kind of client has been served.
await quiet();
for (const { ask } of Object.values(CLIENTS)) await ask(soak);
Object.assign(soak, { firstTokens: [], gaps: [], compared: { same: 0, ties: 0, wrong: 0 }, tokens: 0 });
const gpuBytesBefore = await quiet();
const { statuses: statusesBefore } = await metrics();
const started = performance.now();
const resident: [minutes: number, mib: number][] = [];
const sampling = setInterval(async () => {
  resident.push([(performance.now() - started) / 60_000, await residentMiB()]);
}, 1000 * SAMPLE_S);
await Promise.all(Array.from({ length: CLIENTS_AT_ONCE }, () => work(started + 60_000 * minutes)));
clearInterval(sampling);
clearInterval(ticking);
const seconds = (performance.now() - started) / 1000;
const statuses = Object.fromEntries(
  Object.entries((await metrics()).statuses).map(([status, count]) => [status, count - (statusesBefore[status] ?? 0)]),
);
const gpuBytesAfter = await quiet();
// Buffers, caches and compiled code come in the first part.
const settled = resident.slice(Math.floor(resident.length / 4));
const mibPerMinute = slope(settled);
const requests = [...outcomes.values()].flatMap((counts) => [...counts.values()]).reduce((a, b) => a + b, 0);
const exitStatus = await served.stop();
const errors = (served.log().match(/^skein: error .*$/gm) ?? []).length;
const report = {
  minutes: Math.round(seconds / 6) / 10,
  seed,
  clientsAtOnce: CLIENTS_AT_ONCE,
  limits: LIMITS,
  machine: `${Deno.build.target}, ${navigator.hardwareConcurrency} processors, load ${Deno.loadavg()[1]!.toFixed(1)}`,
  pauses: pauses.length,
  requests,
  tokens: soak.tokens,
  tokensPerSecond: Math.round(soak.tokens / seconds),
  firstTokenMs: quantiles(soak.firstTokens),
  betweenTokensMs: quantiles(soak.gaps),
  statuses,
  clients: Object.fromEntries([...outcomes].sort().map(([name, counts]) => [name, Object.fromEntries(counts)])),
  lost: unexpected.filter((story) => story.includes("lost")).length,
  unexpected: unexpected.slice(0, 20),
  comparedStreams: soak.compared,
  serverErrors: errors,
  residentMiB: {
    first: Math.round(settled[0]?.[1] ?? NaN),
    last: Math.round(settled.at(-1)?.[1] ?? NaN),
    most: Math.round(Math.max(...resident.map(([, mib]) => mib))),
    perMinute: Math.round(100 * mibPerMinute) / 100,
  },
  gpuBytes: { before: gpuBytesBefore, after: gpuBytesAfter },
  exitStatus,
};
const text = `${JSON.stringify(report, null, 2)}\n`;
console.log(text);
if (Deno.args[2] !== undefined) await Deno.writeTextFile(Deno.args[2], text);
const isSound = unexpected.length === 0 && errors === 0 && exitStatus === 0 && soak.compared.wrong === 0 &&
  gpuBytesBefore === gpuBytesAfter;
Deno.exit(isSound ? 0 : 1);
