import { assertEquals } from "@std/assert";
import { ToolCallParser } from "../../src/chat/tool_calls.ts";

/** Parses a text that comes in pieces of `size` characters. */
function parse(text: string, size: number) {
  const parser = new ToolCallParser();
  let given = "";
  for (let at = 0; at < text.length; at += size) given += parser.push(text.slice(at, at + size));
  const { text: rest, calls } = parser.end();
  return { text: given + rest, calls: calls.map(({ name, arguments: inner }) => [name, inner]) };
}

const ADD = ["add", { a: 1, b: [2] }] as const;
const JSON_ADD = '{"name": "add", "arguments": {"a": 1, "b": [2]}}';

for (
  const [story, answer, text, calls] of [
    ["no call", "Just <b>words</b> [and] {more}", "Just <b>words</b> [and] {more}", []],
    ["white space alone", " \n", " \n", []],
    ["a Hermes call", `<tool_call>\n${JSON_ADD}\n</tool_call>`, "", [ADD]],
    [
      "words and two Hermes calls",
      `I add. <tool_call>${JSON_ADD}</tool_call>\n<tool_call>${JSON_ADD}</tool_call>`,
      "I add. ",
      [
        ADD,
        ADD,
      ],
    ],
    ["a Hermes call that was cut at its end", `<tool_call>${JSON_ADD}`, "", [ADD]],
    ["a Hermes call that is broken", '<tool_call>{"name": "add"', '<tool_call>{"name": "add"', []],
    ["Mistral calls", `[TOOL_CALLS][${JSON_ADD}, ${JSON_ADD}]`, "", [ADD, ADD]],
    ["a Llama call", '{"name": "add", "parameters": {"a": 1, "b": [2]}}', "", [ADD]],
    ["a Llama call after its token", `<|python_tag|>${JSON_ADD}`, "", [ADD]],
    ["Llama calls in a row", `${JSON_ADD}; ${JSON_ADD}`, "", [ADD, ADD]],
    ["arguments as a text", '{"name": "add", "arguments": "{\\"a\\": 1, \\"b\\": [2]}"}', "", [ADD]],
    ["JSON that is no call", '{"a": 1}', '{"a": 1}', []],
    ["a call whose arguments are none", '{"name": "add", "arguments": [1]}', '{"name": "add", "arguments": [1]}', []],
    ["a marker that is never whole", "a <tool_ca", "a <tool_ca", []],
    ["a marker that turns out another word", "<tool_calm> sea", "<tool_calm> sea", []],
  ] as const
) {
  Deno.test(`ToolCallParser finds ${story}, however it is cut`, () => {
    for (const size of [1, 2, 7, 1000]) {
      assertEquals(parse(answer, size), { text, calls: calls.map(([name, inner]) => [name, inner]) });
    }
  });
}

Deno.test("ToolCallParser lets words through at once", () => {
  const parser = new ToolCallParser();
  assertEquals(parser.push("Hello"), "Hello");
  assertEquals(parser.push(" <"), " ");
  assertEquals(parser.push("b> and <tool_call>{"), "<b> and ");
});
