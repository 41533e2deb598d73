import { assertEquals } from "@std/assert";
import { inOptionNames } from "../../src/cli/command.ts";

Deno.test("inOptionNames() says options as the command line spells them, and leaves other words alone", () => {
  for (
    const [said, meant] of [
      ["repetitionPenalty must be from 0.01 to 100, got 0", "--repetition-penalty must be from 0.01 to 100, got 0"],
      ["topK must be a whole number", "--top-k must be a whole number"],
      ["Cannot use the JSON Schema: at #: x", "Cannot use --json-schema: at #: x"],
      [
        "shorten the prompt or load with a larger contextLength",
        "shorten the prompt or give a larger --context-length",
      ],
      ["Cannot read config.json: topK must be there", "Cannot read config.json: topK must be there"],
    ] as const
  ) assertEquals(inOptionNames(said), meant);
});
