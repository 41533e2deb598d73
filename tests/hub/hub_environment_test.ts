import { assertEquals, assertRejects } from "@std/assert";
import { type HubEnvironment, hubEnvironment } from "../../src/hub/hub_environment.ts";

const VARIABLES = [
  ...["HF_ENDPOINT", "HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "HF_TOKEN", "HF_TOKEN_PATH"],
  ...["HOME", "USERPROFILE", "XDG_CACHE_HOME"],
];

/** The environment where these variables are set and no others of the hub's. */
async function withVariables(values: Record<string, string>): Promise<HubEnvironment> {
  const before = VARIABLES.map((name) => [name, Deno.env.get(name)] as const);
  const set = (name: string, value: string | undefined) =>
    value === undefined ? Deno.env.delete(name) : Deno.env.set(name, value);
  for (const name of VARIABLES) set(name, values[name]);
  try {
    return await hubEnvironment();
  } finally {
    for (const [name, value] of before) set(name, value);
  }
}

Deno.test("hubEnvironment() finds the cache where Hugging Face's programs do", async () => {
  const cases: [Record<string, string>, string][] = [
    [{ HOME: "/home/u" }, "/home/u/.cache/huggingface/hub"],
    [{ USERPROFILE: "C:/Users/u" }, "C:/Users/u/.cache/huggingface/hub"],
    [{ HOME: "/home/u", XDG_CACHE_HOME: "/x" }, "/x/huggingface/hub"],
    [{ HOME: "/home/u", XDG_CACHE_HOME: "/x", HF_HOME: "~/hf" }, "/home/u/hf/hub"],
    [{ HOME: "/home/u", HF_HOME: "/hf", HF_HUB_CACHE: "/c/" }, "/c"],
  ];
  for (const [values, cache] of cases) assertEquals((await withVariables(values)).cache, cache);
  await assertRejects(() => withVariables({}), Error, "neither HF_HUB_CACHE, HF_HOME nor HOME");
});

Deno.test("hubEnvironment() takes the token from the variable, else from the file of a login", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/token`, "hf_login\n");
    await Deno.writeTextFile(`${folder}/other`, "hf_other");
    assertEquals((await withVariables({ HF_HOME: folder })).token, "hf_login");
    assertEquals((await withVariables({ HF_HOME: folder, HF_TOKEN_PATH: `${folder}/other` })).token, "hf_other");
    assertEquals((await withVariables({ HF_HOME: folder, HF_TOKEN: " hf_own " })).token, "hf_own");
    assertEquals((await withVariables({ HF_HOME: `${folder}/none` })).token, undefined);
    await assertRejects(() => withVariables({ HF_HOME: folder, HF_TOKEN: "a\nb: c" }), TypeError, "no token has");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("hubEnvironment() reads the endpoint and whether to stay offline", async () => {
  const home = { HOME: "/home/u" };
  assertEquals((await withVariables(home)).endpoint, "https://huggingface.co");
  assertEquals(
    (await withVariables({ ...home, HF_ENDPOINT: "https://mirror.example/hf/" })).endpoint,
    "https://mirror.example/hf",
  );
  await assertRejects(() => withVariables({ ...home, HF_ENDPOINT: "mirror" }), TypeError, 'HF_ENDPOINT "mirror"');
  for (const [value, isOffline] of [["1", true], ["true", true], ["YES", true], ["on", true], ["0", false]] as const) {
    assertEquals((await withVariables({ ...home, HF_HUB_OFFLINE: value })).isOffline, isOffline);
  }
});
