import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { startHub } from "../hub/local_hub.ts";

const ROOT = new URL("../../", import.meta.url);
const MAIN = new URL("src/cli/main.ts", ROOT).pathname;
const MODEL = new URL("tests/testdata/tiny/storage_forms/safetensors_bf16", ROOT).pathname;
const SOURCE = new URL("src", ROOT).pathname;
const WASM = new URL("wasm", ROOT).pathname;
const FILE = new URL(".gitignore", ROOT).pathname;

/** What each row's commands are called with, by how the row names them. */
const ARGUMENTS: Readonly<Record<string, readonly string[]>> = {
  generate: ["MODEL", "--prompt", "Hello", "--max-tokens", "1"],
  inspect: ["MODEL"],
  "generate --regex": ["MODEL", "--prompt", "Hello", "--max-tokens", "1", "--regex", "[a-z]+"],
  chat: ["MODEL", "--max-tokens", "1"],
  score: ["MODEL", "--file", "FILE"],
  serve: ["MODEL", "--port", "8080"],
  convert: ["MODEL", "FOLDER/out", "--weights", "q8"],
  pull: ["org/tiny"],
};

/** Runs a command with no more than some permissions; true where it ends well, or listens and answers a chat. */
async function works(permissions: readonly string[], args: readonly string[], env: Record<string, string>) {
  await using process = new Deno.Command("deno", {
    args: ["run", "-q", "--no-check", "--no-prompt", ...permissions, MAIN, ...args],
    env: { NO_COLOR: "1", ...env },
    stdin: "piped",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  await new Blob(["Hello\n"]).stream().pipeTo(process.stdin).catch(() => {});
  let log = "";
  let isStopped = false;
  let isAnswered = true;
  for await (const text of process.stderr.pipeThrough(new TextDecoderStream())) {
    log += text;
    const [, url, model] = /listening on (\S+) for (\S+)/.exec(log) ?? [];
    if (isStopped || url === undefined) continue;
    isStopped = true;
    const body = JSON.stringify({ model, messages: [{ role: "user", content: "Hello" }], max_tokens: 1 });
    const headers = { "content-type": "application/json" };
    const response = await fetch(`${url}/v1/chat/completions`, { method: "POST", headers, body });
    log += await response.text();
    isAnswered = response.ok;
    process.kill("SIGTERM");
  }
  return { isWell: (await process.status).code === 0 && isAnswered, log };
}

Deno.test("the commands of the README need the permissions that it names, each of them and no others", async () => {
  const readme = await Deno.readTextFile(new URL("README.md", ROOT));
  const [, everywhere] = /all want `(--allow-env=\S+)` too/.exec(readme)!;
  const rows = [...readme.matchAll(/^\| (`\w+ .*?) +\| `(.*--allow-read=.*)` +\|$/gm)];
  const commands = rows.flatMap(([, names, permissions]) =>
    [...names!.matchAll(/`([a-z]+)\b(?:[^`]*( --regex))?[^`]*`/g)]
      .map(([, name, option = ""]) => [`${name}${option}`, permissions!] as const)
  );
  assertEquals(commands.map(([name]) => name), Object.keys(ARGUMENTS));
  const names = [...Deno.readDirSync(MODEL)].map(({ name }) => name);
  const hub = startHub(new Map(names.map((name) => [name, Deno.readFileSync(`${MODEL}/${name}`)])));
  const folder = await Deno.makeTempDir();
  const model = `${folder}/model`;
  await Deno.mkdir(model);
  for (const name of names) await Deno.copyFile(`${MODEL}/${name}`, `${model}/${name}`);
  await Deno.writeTextFile(`${model}/chat_template.jinja`, "{{ messages[0].content }}");
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const port = String((listener.addr as Deno.NetAddr).port);
  listener.close();
  let attempt = 0;
  /** A line of the README with this machine's names, and places that nothing was written to yet. */
  const here = () => {
    const scratch = `${folder}/${attempt++}`;
    const places: Readonly<Record<string, string>> = {
      ...{ "MODEL": model, "FILE": FILE, "FOLDER": scratch, "=HF_HOME": `=${scratch}`, "8080": port },
      ...{ ",src": `,${SOURCE}`, ",wasm": `,${WASM}` },
      ...{ "HOSTS": new URL(hub.endpoint).host },
    };
    const put = (text: string) =>
      text.replace(/MODEL|FILE|FOLDER|=HF_HOME|8080|HOSTS|,src|,wasm/g, (name) => places[name]!);
    return { scratch, put };
  };
  const run = async (name: string, permissions: readonly string[]) => {
    const { scratch, put } = here();
    await Deno.mkdir(scratch);
    const env = { HF_HOME: scratch, HF_ENDPOINT: hub.endpoint };
    return await works(
      [...permissions, everywhere!].map(put),
      [name.split(" ")[0]!, ...ARGUMENTS[name]!.map(put)],
      env,
    );
  };
  try {
    for (const [name, text] of commands) {
      const permissions = text.split(" ").map((permission) => permission.replaceAll("'", ""));
      const { isWell, log } = await run(name, permissions);
      assert(isWell, `${name} ${text}: ${log}`);
      const parts = ["src", "wasm"].filter((part) => text.includes(`,${part}`));
      await Promise.all([...permissions, ...parts].map(async (left) => {
        const fewer = permissions.filter((permission) => permission !== left);
        const without = await run(name, fewer.map((permission) => permission.replace(`,${left}`, "")));
        assert(!without.isWell, `${name} works without ${left}`);
        assertStringIncludes(without.log.trimEnd().split("\n").at(-1)!, "skein: ");
      }));
    }
  } finally {
    await hub.close();
    await Deno.remove(folder, { recursive: true });
  }
});
