/**
 * The demo's model with a chat template, in a folder of its own.
 *
 * @module
 */

const PG_NANO = new URL("../testdata/pg-nano-yarn-2k/", import.meta.url);

/** Roles and texts on lines of their own. */
export const PLAIN_TEMPLATE =
  "{{ bos_token }}{% for message in messages %}{{ message.role }}:{{ message.content }}\n{% endfor %}" +
  "{% if add_generation_prompt %}assistant:{% endif %}";

/** Makes the folder; disposing of it removes it. */
export async function chatFolder(
  { template = PLAIN_TEMPLATE }: { template?: string } = {},
): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await Deno.makeTempDir();
  for (const file of ["config.json", "generation_config.json", "model.safetensors", "tokenizer.json"]) {
    await Deno.copyFile(new URL(file, PG_NANO), `${path}/${file}`);
  }
  const config = JSON.parse(await Deno.readTextFile(new URL("tokenizer_config.json", PG_NANO)));
  await Deno.writeTextFile(`${path}/tokenizer_config.json`, JSON.stringify({ ...config, chat_template: template }));
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}
