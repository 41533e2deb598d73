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
<p>This server speaks the OpenAI API under <code>/v1</code>; <a href="/openapi.json">openapi.json</a> describes it.</p>
<p>A page to chat in is here once <code>deno task build:browser</code> has been run.</p>
</html>
`;

/**
 * The page in a folder, or a few words where there is none. Files are read when they are asked for; what is no plain
 * name of a file in the folder or one below it is not there.
 */
export function folderPage(folder: URL): Page {
  return async (path) => {
    const name = path === "/" ? "index.html" : path.slice(1);
    if (/^([\w-]+\/)?[\w-]+(\.[\w-]+)*$/.test(name)) {
      try {
        const body = await Deno.readFile(new URL(name, folder));
        return { type: TYPES[name.split(".").at(-1)!] ?? "application/octet-stream", body };
      } catch (error) {
        const isMissing = error instanceof Deno.errors.NotFound || error instanceof Deno.errors.IsADirectory ||
          error instanceof Deno.errors.NotCapable;
        if (!isMissing) throw error;
      }
    }
    return path === "/" ? { type: TYPES.html!, body: PLAIN } : undefined;
  };
}
