import { assertEquals, assertThrows } from "@std/assert";
import { ApiError } from "../../src/server/api_error.ts";
import { Guard, type GuardOptions } from "../../src/server/guard.ts";

const guard = (options: Partial<GuardOptions> = {}) =>
  new Guard({ hostname: "127.0.0.1", allowedHosts: [], corsOrigins: [], apiKeys: [], ...options });

function passes(action: () => unknown): boolean {
  try {
    action();
    return true;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return false;
  }
}

const OWN = [
  "localhost",
  "localhost:8080",
  "LOCALHOST:1",
  "127.0.0.1:8080",
  "127.9.9.9",
  "[::1]:8080",
  "app.localhost",
];
const STRANGE = [
  undefined,
  "",
  "evil.example",
  "evil.example:8080",
  "localhost.evil.example",
  "127.0.0.1.evil.example",
  "127.0.0.1@evil.example",
  "evil.example/localhost",
  "local host",
  "10.0.0.7",
];

Deno.test("Guard on a loopback address answers for its own names only, with a key and without", () => {
  for (const apiKeys of [[], ["sk-1"]]) {
    for (const host of OWN) assertEquals([host, passes(() => guard({ apiKeys }).checkHost(host))], [host, true]);
    for (const host of STRANGE) assertEquals([host, passes(() => guard({ apiKeys }).checkHost(host))], [host, false]);
  }
  assertEquals(passes(() => guard({ allowedHosts: ["my.box"] }).checkHost("My.Box.:8080")), true);
});

Deno.test("Guard on a public address answers for addresses, and for any name where a key is needed", () => {
  const open = guard({ hostname: "0.0.0.0" });
  assertEquals([passes(() => open.checkHost("10.0.0.7:80")), passes(() => open.checkHost("evil.example"))], [
    true,
    false,
  ]);
  const keyed = guard({ hostname: "0.0.0.0", apiKeys: ["sk-1"] });
  assertEquals([passes(() => keyed.checkHost("my.box")), passes(() => keyed.checkHost("a b"))], [true, false]);
});

Deno.test("Guard lets pages of allowed origins ask, and its own", () => {
  const some = guard({ corsOrigins: ["https://app.example"] });
  assertEquals(some.corsHeaders(undefined, "localhost"), {});
  assertEquals(some.corsHeaders("http://localhost:8080", "localhost:8080"), {});
  const headers = some.corsHeaders("https://app.example", "localhost:8080");
  assertEquals([headers["access-control-allow-origin"], headers.vary], ["https://app.example", "origin"]);
  for (const origin of ["https://evil.example", "null", "http://localhost:9999", "https://app.example.evil.example"]) {
    assertThrows(() => some.corsHeaders(origin, "localhost:8080"), ApiError, "--cors-origin");
  }
  assertEquals(guard({ corsOrigins: ["*"] }).corsHeaders("null", undefined)["access-control-allow-origin"], "null");
});

Deno.test("Guard wants one of its keys, whole", () => {
  const keyed = guard({ apiKeys: ["sk-one", "sk-two"] });
  for (const header of ["Bearer sk-one", "bearer  sk-two"]) keyed.checkKey(header);
  for (const header of ["Bearer sk-on", "Bearer sk-one2", "Bearer ", "sk-one", "Basic sk-one", "", undefined]) {
    const { status, fields } = assertThrows(() => keyed.checkKey(header), ApiError);
    assertEquals([status, fields.type], [401, "authentication_error"]);
  }
  guard().checkKey(undefined);
});
