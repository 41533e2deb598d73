import { assertEquals } from "@std/assert";
import { formatModelId, isSafePath, parseModelId } from "../../src/hub/model_id.ts";

Deno.test("parseModelId() reads repository, revision and file", () => {
  const cases = {
    "org/name": ["org/name", "main", undefined],
    "org/name@v1.0": ["org/name", "v1.0", undefined],
    "org/name@refs/pr/12": ["org/name", "refs/pr/12", undefined],
    "NousResearch/Yarn-Llama-2-7b-64k": ["NousResearch/Yarn-Llama-2-7b-64k", "main", undefined],
    "o/n-GGUF/n.Q4_0.gguf": ["o/n-GGUF", "main", "n.Q4_0.gguf"],
    "o/n-GGUF/sub/n.gguf@main2": ["o/n-GGUF", "main2", "sub/n.gguf"],
  } as const;
  for (const [text, [repository, revision, file]] of Object.entries(cases)) {
    assertEquals(parseModelId(text), { repository, revision, file });
    assertEquals(formatModelId(parseModelId(text)!), text);
  }
});

Deno.test("parseModelId() leaves paths alone", () => {
  const paths = [
    ...["name", "./org/name", "../org/name", "/org/name", "C:\\models\\name", "org\\name", "org/", "/name", ""],
    ...[
      "org/name/sub",
      "org/model.gguf",
      "org/name/../x.gguf",
      "org/name/.gguf/..",
      "org/..",
      "org/na--me",
      "o/n.",
      "-o/n",
    ],
    ...[
      "org/name@",
      "org/name@../x",
      "org/name@a/../b",
      "org/name@-x",
      "org/na me",
      "https://host/org/name",
      "a/b@c@d",
    ],
  ];
  assertEquals(paths.filter((path) => parseModelId(path) !== undefined), []);
});

Deno.test("isSafePath() refuses what could leave a folder on any system", () => {
  for (const path of ["a", "a/b.c", "a b", ".gitattributes", "..a"]) assertEquals(isSafePath(path), true, path);
  const unsafe = [
    "",
    "/a",
    "a/",
    "a//b",
    ".",
    "..",
    "a/../b",
    "a\\b",
    "c:a",
    "a\0",
    "a\n",
    "a.",
    "a ",
    "x".repeat(256),
  ];
  for (const path of unsafe) assertEquals(isSafePath(path), false, path);
});
