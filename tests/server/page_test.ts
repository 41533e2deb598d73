import { assertEquals, assertStringIncludes } from "@std/assert";
import { folderPage } from "../../src/server/page.ts";

Deno.test("folderPage() gives the files of a folder and nothing outside of it", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.mkdir(`${folder}/page/model`, { recursive: true });
    for (const file of ["secret.txt", "page/index.html", "page/skein.js", "page/model/config.json", "page/.hidden"]) {
      await Deno.writeTextFile(`${folder}/${file}`, file);
    }
    const page = folderPage(new URL(`file://${folder}/page/`));
    const textOf = async (path: string) => {
      const file = await page(path);
      return file === undefined
        ? undefined
        : `${file.type.split(";")[0]} ${
          typeof file.body === "string" ? file.body : new TextDecoder().decode(file.body)
        }`;
    };
    assertEquals(await textOf("/"), "text/html page/index.html");
    await Deno.writeTextFile(`${folder}/page/index.html`, '<html lang="en" data-api="">');
    assertEquals(await textOf("/"), 'text/html <html lang="en" data-api="/v1">');
    assertEquals(await textOf("/skein.js"), "text/javascript page/skein.js");
    assertEquals(await textOf("/model/config.json"), "application/json page/model/config.json");
    for (
      const path of [
        "/none.js",
        "/model",
        "/../secret.txt",
        "/..%2fsecret.txt",
        "/model/../../secret.txt",
        "//secret.txt",
        "/.hidden",
        "/\\..\\secret.txt",
      ]
    ) assertEquals([path, await textOf(path)], [path, undefined]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("folderPage() says a few words where nothing has been built", async () => {
  for (const folder of ["file:///nowhere/at/all/", "https://registry.example/package/dist/browser/"]) {
    const page = folderPage(new URL(folder));
    assertStringIncludes((await page("/"))!.body as string, "deno task build:browser");
    assertEquals(await page("/skein.js"), undefined);
  }
});
