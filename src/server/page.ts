/**
 * The page at `/`: what `deno task build:browser` makes, where it has been built.
 *
 * @module
 */

/** A file of the page. */
export interface PageFile {
  /** Its content-type. */
  readonly type: string;
  /** Its bytes. */
  readonly body: string | Uint8Array;
}

/** Gives the file at a path such as `/` or `/page.js`; undefined where there is none. */
export type Page = (path: string) => Promise<PageFile | undefined>;

const TYPES: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  json: "application/json",
  txt: "text/plain; charset=utf-8",
  svg: "image/svg+xml",
  wasm: "application/wasm",
};

const PLAIN = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Skein</title>
<style>body { font: 1rem/1.5 system-ui; max-width: 40rem; margin: 3rem auto; padding: 0 1rem; color-scheme: light dark }</style>
<h1>Skein</h1>
<p>This server speaks the OpenAI API under <code>/v1</code>, as <a href="/openapi.json">openapi.json</a> describes it; a
page to chat in is here where it runs from Skein’s repository and <code>deno task build:browser</code> was run there.</p>
</html>
`;

/** Where the page looks for the API that it is served beside, and what it finds there. */
const API_UNKNOWN = 'data-api=""';
const API_KNOWN = 'data-api="/v1"';

/**
 * The page in a folder, or a few words where there is none. Files are read when they are asked for; what is no plain
 * name of a file in the folder or one below it is not there. The page is told that the API is beside it.
 */
export function folderPage(folder: URL): Page {
  return async (path) => {
    const name = path === "/" ? "index.html" : path.slice(1);
    // The package as it is fetched from a registry has no folder, and no build.
    if (folder.protocol === "file:" && /^([\w-]+\/)?[\w-]+(\.[\w-]+)*$/.test(name)) {
      try {
        const body = await Deno.readFile(new URL(name, folder));
        const type = TYPES[name.split(".").at(-1)!] ?? "application/octet-stream";
        if (name !== "index.html") return { type, body };
        return { type, body: new TextDecoder().decode(body).replace(API_UNKNOWN, API_KNOWN) };
      } catch (error) {
        const isMissing = error instanceof Deno.errors.NotFound || error instanceof Deno.errors.IsADirectory ||
          error instanceof Deno.errors.NotCapable;
        if (!isMissing) throw error;
      }
    }
    return path === "/" ? { type: TYPES.html!, body: PLAIN } : undefined;
  };
}
