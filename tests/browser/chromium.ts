/**
 * Debian's Chromium, with WebGPU on SwiftShader: a second implementation of WebGPU (Dawn, where Deno has wgpu) on a
 * second software adapter, whose subgroups have four lanes.
 *
 * @module
 */
// Named here and not in deno.json, because `deno task` fetches what is named there even for tasks without a browser.
// deno-lint-ignore no-import-prefix
import { type Browser, chromium, type Page } from "npm:playwright-core@1.65.1";

/** Where Debian and others put it. */
const PATHS = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

const FLAGS = [
  "--no-sandbox",
  "--enable-unsafe-webgpu",
  "--use-webgpu-adapter=swiftshader",
  "--enable-features=Vulkan",
];

/** Milliseconds that anything may take: Chromium computes on the processor, and may share it. */
export const PATIENCE_MS = 120_000;

const MIME_TYPES: Readonly<Record<string, string>> = {
  css: "text/css",
  html: "text/html",
  js: "text/javascript",
  json: "application/json",
  txt: "text/plain",
};

/** A browser. */
export interface Chromium extends AsyncDisposable {
  /** A new page; what it writes to its console as an error, and what it throws, goes to `complaints`. */
  newPage(options?: Parameters<Browser["newPage"]>[0]): Promise<Page>;
  /** See `newPage`. */
  readonly complaints: readonly string[];
}

/** A browser and a server of a folder. */
export interface Site extends Chromium {
  /** The server's address, with a slash at its end. */
  readonly url: string;
}

/**
 * Starts Chromium.
 *
 * @throws {Error} If there is no Chromium, with the package that has it.
 */
export async function openChromium(flags: readonly string[] = FLAGS): Promise<Chromium> {
  const executablePath = PATHS.find((path) => {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  });
  if (executablePath === undefined) {
    throw new Error(
      `No Chromium found at ${PATHS.join(", ")}: install the package chromium (apt-get install chromium)`,
    );
  }
  const browser = await chromium.launch({ executablePath, args: [...flags] });
  const complaints: string[] = [];
  return {
    complaints,
    async newPage(options) {
      const page = await browser.newPage(options);
      page.setDefaultTimeout(PATIENCE_MS);
      page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
      page.on("pageerror", (error) => complaints.push(error.message));
      return page;
    },
    [Symbol.asyncDispose]: () => browser.close(),
  };
}

/**
 * Serves a folder and starts Chromium.
 *
 * @throws {Error} If there is no Chromium, with the package that has it.
 */
export async function openSite(folder: URL): Promise<Site> {
  const chromium = await openChromium();
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    (request) => serve(folder, request),
  );
  return {
    ...chromium,
    url: `http://127.0.0.1:${server.addr.port}/`,
    async [Symbol.asyncDispose]() {
      await chromium[Symbol.asyncDispose]();
      await server.shutdown();
    },
  };
}

/** A file of a folder, whole or a range of it. */
async function serve(folder: URL, request: Request): Promise<Response> {
  const { pathname } = new URL(request.url);
  const name = pathname === "/" ? "index.html" : pathname.slice(1);
  const bytes = await Deno.readFile(new URL(name, folder)).catch(() => undefined);
  if (bytes === undefined) return new Response(null, { status: 404 });
  const headers = {
    "accept-ranges": "bytes",
    "content-type": MIME_TYPES[name.split(".").at(-1)!] ?? "application/octet-stream",
    "etag": `"${bytes.length}"`,
  };
  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.get("range") ?? "");
  if (range === null) return new Response(bytes, { headers });
  const [begin, last] = [Number(range[1]), range[2] === "" ? bytes.length - 1 : Number(range[2])];
  const part = bytes.subarray(begin, last + 1);
  const contentRange = `bytes ${begin}-${begin + part.length - 1}/${bytes.length}`;
  return new Response(part, { status: 206, headers: { ...headers, "content-range": contentRange } });
}
