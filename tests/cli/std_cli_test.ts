import { assertEquals } from "@std/assert";
import { parseArgs } from "@std/cli";

Deno.test("parseArgs() reads values, flags and positionals as std's does", () => {
  const args = parseArgs(["model", "--name=a", "--name", "b", "--json", "5"], {
    string: ["name", "_"],
    boolean: ["json", "quiet"],
    collect: ["name"],
  });
  assertEquals(args, { _: ["model", "5"], name: ["a", "b"], json: true, quiet: false });
});

Deno.test("parseArgs() tells of what it does not know, and leaves it out when told to", () => {
  const seen: unknown[] = [];
  const args = parseArgs(["a", "--what", "b"], {
    string: ["_"],
    unknown: (arg, key) => {
      seen.push([arg, key]);
      return key === undefined;
    },
  });
  assertEquals(seen, [["a", undefined], ["--what", "what"], ["b", undefined]]);
  assertEquals(args._, ["a", "b"]);
});
