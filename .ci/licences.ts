/**
 * Writes THIRD_PARTY.md: every package of the lock files with its version and licence, as the packages themselves tell
 * them. Wants cargo, and fetches packages that are not here yet.
 *
 * usage: deno task licences
 *
 * @module
 */
const ROOT = new URL("../", import.meta.url);

/** Packages that users load with Skein, and what those load; all others serve its tests, benches and builds. */
const SHIPPED_NPM = /^npm:(@huggingface\/jinja|webgpu)@/;

/** What is loaded only where a user asks for it, and is in no lock file because `deno task` would fetch it then. */
const UNLOCKED_NPM = ["npm:webgpu@0.6.2"];

/** Cargo.toml files, and whether what they build is a part of Skein. */
const CRATES = [["wasm/Cargo.toml", true], ["wasm/grammar/Cargo.toml", true], ["wasm/fuzz/Cargo.toml", false]] as const;

/** Builds of one program for many platforms, which npm has as packages of their own. */
const PLATFORMS = /^@esbuild\//;

interface Package {
  readonly name: string;
  readonly version: string;
  readonly licence: string;
  readonly isShipped: boolean;
}

async function jsonOf(command: string, args: readonly string[]) {
  const { success, stdout, stderr } = await new Deno.Command(command, { args: [...args], cwd: ROOT }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
}

async function npmPackages(): Promise<Package[]> {
  const { specifiers } = JSON.parse(await Deno.readTextFile(new URL("deno.lock", ROOT)));
  const found = new Map<string, Package>();
  for (const specifier of [...Object.keys(specifiers), ...UNLOCKED_NPM]) {
    const { npmPackages } = await jsonOf("deno", ["info", "--json", specifier]);
    for (const [id, { name, version, localPath }] of Object.entries<Record<string, string>>(npmPackages)) {
      if (PLATFORMS.test(name!)) continue;
      const { license } = JSON.parse(await Deno.readTextFile(`${localPath}/package.json`));
      const isShipped = SHIPPED_NPM.test(specifier) || found.get(id)?.isShipped === true;
      found.set(id, { name: name!, version: version!, licence: license, isShipped });
    }
  }
  return [...found.values()];
}

interface Metadata {
  readonly packages: readonly {
    readonly id: string;
    readonly name: string;
    readonly version: string;
    readonly license: string;
    readonly source: string | null;
  }[];
  readonly resolve: {
    readonly root: string;
    readonly nodes: readonly {
      readonly id: string;
      readonly deps: readonly {
        readonly pkg: string;
        readonly dep_kinds: readonly { readonly kind: string | null }[];
      }[];
    }[];
  };
}

async function crates(manifest: string, isPart: boolean): Promise<Package[]> {
  const metadata = (more: readonly string[]): Promise<Metadata> =>
    jsonOf("cargo", ["metadata", "--format-version=1", "--locked", `--manifest-path=${manifest}`, ...more]);
  const shipped = new Set<string>();
  if (isPart) {
    const { resolve: { root, nodes } } = await metadata(["--filter-platform=wasm32-unknown-unknown"]);
    const waiting = [root];
    for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
      for (const { pkg, dep_kinds: kinds } of nodes.find((node) => node.id === id)!.deps) {
        if (shipped.has(pkg) || !kinds.some(({ kind }) => kind === null)) continue;
        shipped.add(pkg);
        waiting.push(pkg);
      }
    }
  }
  const { packages } = await metadata([]);
  return packages.filter(({ source }) => source !== null).map(({ id, name, version, license }) => ({
    ...{ name, version, licence: license.replaceAll("/", " OR ").replaceAll(/ +/g, " ") },
    isShipped: shipped.has(id),
  }));
}

/** Rows of a table, each package once. */
function table(packages: readonly Package[]): string {
  const rows = new Set(packages.map(({ name, version, licence }) => `| ${name} | ${version} | ${licence} |`));
  return `| package | version | licence |\n| --- | --- | --- |\n${[...rows].sort().join("\n")}\n`;
}

const npm = await npmPackages();
const rust: Package[] = [];
for (const [manifest, isPart] of CRATES) rust.push(...await crates(manifest, isPart));
const shippedRust = new Set(rust.filter(({ isShipped }) => isShipped).map(({ name, version }) => `${name} ${version}`));
const isShippedRust = ({ name, version }: Package) => shippedRust.has(`${name} ${version}`);
await Deno.writeTextFile(
  new URL("THIRD_PARTY.md", ROOT),
  `# Third-party software

Written by \`deno task licences\` from the lock files; a test compares the two.

## Crates in the Wasm modules

${table(rust.filter(isShippedRust))}
## npm packages that users load

${table(npm.filter(({ isShipped }) => isShipped))}
## Crates for builds and tests, on any platform

${table(rust.filter((each) => !isShippedRust(each)))}
## npm packages for builds, benches and tests

esbuild's binaries for each platform are packages \`@esbuild/*\` of its own version and licence.

${table(npm.filter(({ isShipped }) => !isShipped))}`,
);
const { success } = await new Deno.Command("deno", { args: ["fmt", "-q", "THIRD_PARTY.md"], cwd: ROOT }).output();
Deno.exit(success ? 0 : 1);
