import { assert, assertEquals } from "@std/assert";
import openapi from "../../src/server/openapi.json" with { type: "json" };
import type { ApiError } from "../../src/server/api_error.ts";
import { readChatRequest } from "../../src/server/chat_request.ts";
import { readCompletionRequest } from "../../src/server/completion_request.ts";
import { freeSharedModel, serveModel } from "./served_model.ts";

Deno.test.afterAll(freeSharedModel);

type Schema = { readonly properties: Readonly<Record<string, { minimum?: number; maximum?: number }>> };
const schemas = openapi.components.schemas as unknown as Readonly<Record<string, Schema>>;
const valid = { model: "m", messages: [{ role: "user", content: "hi" }] };
const READERS = {
  ChatRequest: (fields: object) => readChatRequest({ ...valid, ...fields }),
  CompletionRequest: (fields: object) => readCompletionRequest({ model: "m", prompt: "hi", ...fields }),
};

/** The field that a request is refused for; undefined where it is not. */
function refused(read: () => unknown): string | undefined {
  try {
    read();
  } catch (error) {
    return (error as ApiError).fields.param;
  }
}

for (const [name, read] of Object.entries(READERS)) {
  Deno.test(`the fields of openapi.json's ${name} are those that are taken, with their bounds`, () => {
    for (const [key, { minimum, maximum }] of Object.entries(schemas[name]!.properties)) {
      const isNeeded = ["model", "messages", "prompt"].includes(key);
      assertEquals([key, refused(() => read({ [key]: null }))], [key, isNeeded ? key : undefined]);
      const also = key === "top_logprobs" ? { logprobs: true } : name === "CompletionRequest" ? { echo: true } : {};
      // Completions with an echo tell no alternatives, and choose the best of n only.
      const isLinked = ["logprobs", "best_of"].includes(key);
      if (minimum === undefined || maximum === undefined || isLinked) continue;
      for (const value of [minimum, maximum]) {
        assertEquals([key, refused(() => read({ ...also, [key]: value }))], [key, undefined]);
      }
      for (const value of [minimum - 1, maximum + 1]) assertEquals(refused(() => read({ ...also, [key]: value })), key);
    }
    assertEquals(refused(() => read({ other: 1 })), "other");
  });
}

Deno.test("openapi.json is served, names every route, and refers to what is there", async () => {
  await using served = await serveModel();
  assertEquals(await (await served.ask("/openapi.json")).json(), openapi as unknown);
  for (const [path, methods] of Object.entries(openapi.paths)) {
    for (const method of ["get", "post"]) {
      const response = await served.ask(path.replace("{model}", "pg-nano"), { method: method.toUpperCase() });
      await response.body?.cancel();
      const isThere = ![404, 405].includes(response.status);
      assertEquals([path, method, isThere], [path, method, Object.hasOwn(methods, method)]);
    }
  }
  const refs = [...JSON.stringify(openapi).matchAll(/"#\/components\/schemas\/(\w+)"/g)].map(([, name]) => name!);
  for (const name of refs) assert(Object.hasOwn(schemas, name), name);
  assertEquals(Object.keys(schemas).filter((name) => !refs.includes(name)), []);
});
