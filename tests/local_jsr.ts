/**
 * A registry shaped like JSR: takes what `deno publish` uploads, and hands it out as JSR does.
 *
 * @module
 */

/** A published package. */
export interface PublishedPackage {
  /** Name with scope. */
  readonly name: string;
  /** Version. */
  readonly version: string;
  /** Files by path, which begins with a slash, as they were uploaded. */
  readonly files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>;
}

/** A registry on a port of its own. */
export interface LocalJsr extends AsyncDisposable {
  /** Its address, for the variable JSR_URL. */
  readonly url: string;
  /** What was published, in order. */
  readonly published: readonly PublishedPackage[];
}

/** Starts an empty registry. Any token may publish anything. */
export function startJsr(): LocalJsr {
  const published: PublishedPackage[] = [];
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    async (request) => await answer(request, published) ?? new Response(null, { status: 404 }),
  );
  return {
    url: `http://127.0.0.1:${server.addr.port}/`,
    published,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

async function answer(request: Request, published: PublishedPackage[]): Promise<Response | undefined> {
  const { pathname } = new URL(request.url);
  const upload = /^\/api\/scopes\/([\w-]+)\/packages\/([\w-]+)(?:\/versions\/([\w.+-]+))?$/.exec(pathname);
  if (upload !== null) {
    const [, scope, name, version] = upload;
    if (version === undefined) return Response.json({ scope, name });
    if (request.method !== "POST") return undefined;
    published.push({ name: `@${scope}/${name}`, version, files: await untar(request.body!) });
    return Response.json({ id: "00000000-0000-4000-8000-000000000000", status: "success", error: null });
  }
  for (const { name, version, files } of published) {
    if (pathname === `/${name}/meta.json`) {
      return Response.json({ name, latest: version, versions: { [version]: {} } });
    }
    if (pathname === `/${name}/${version}_meta.json`) {
      const config = JSON.parse(new TextDecoder().decode(files.get("/deno.json")));
      const manifest = Object.fromEntries(
        await Promise.all([...files].map(async ([path, bytes]) => [path, await manifestEntry(bytes)])),
      );
      return Response.json({ manifest, exports: config.exports });
    }
    const bytes = files.get(pathname.slice(`/${name}/${version}`.length));
    if (pathname.startsWith(`/${name}/${version}/`) && bytes !== undefined) return new Response(bytes);
  }
  return undefined;
}

async function manifestEntry(bytes: Uint8Array<ArrayBuffer>): Promise<{ size: number; checksum: string }> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return { size: bytes.length, checksum: `sha256-${digest.toHex()}` };
}

/** The files of a gzipped tar archive (POSIX.1-1988, with the long names of GNU). */
async function untar(archive: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<Map<string, Uint8Array<ArrayBuffer>>> {
  const bytes = await new Response(archive.pipeThrough(new DecompressionStream("gzip"))).bytes();
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  const text = (begin: number, end: number) =>
    new TextDecoder().decode(bytes.subarray(begin, end)).replace(/\0.*$/s, "");
  let longName: string | undefined;
  for (let at = 0; at + 512 <= bytes.length && bytes[at] !== 0;) {
    const size = parseInt(text(at + 124, at + 136), 8);
    const begin = at + 512;
    const kind = text(at + 156, at + 157);
    if (kind === "L") longName = text(begin, begin + size);
    else {
      const name = longName ?? text(at, at + 100);
      longName = undefined;
      files.set(name.replace(/^\.?\/?/, "/"), bytes.slice(begin, begin + size));
    }
    at = begin + Math.ceil(size / 512) * 512;
  }
  return files;
}
