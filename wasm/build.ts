/**
 * Builds the Rust crates, the core into `wasm/pkg/` and the grammars into `wasm/grammar/pkg/`, or with `--check` checks
 * that what is committed there is current. `core` or `grammar` as an argument means that one alone.
 *
 * The files in a `pkg/` begin with the hash of the sources and the versions of the tools. `--check` compares the
 * hash and builds again where a toolchain is found: with equal versions the bytes must be equal, with others the tests
 * run on the rebuilt files. `--check --hash-only` does not build.
 *
 * Toolchains: a rustup toolchain with the target wasm32-unknown-unknown, or Debian's rustc-web, cargo-web,
 * rust-web-src and lld. Both need the wasm-bindgen command of the version that Cargo.toml pins, and wasm-opt
 * (binaryen).
 *
 * @module
 */

const here = new URL(".", import.meta.url);
const target = "wasm32-unknown-unknown";

/** A crate and the package that is made of it. */
interface Crate {
  /** What its files begin with. */
  name: string;
  folder: URL;
  /** Files that the built ones depend on, beside those in `src/`. */
  files: string[];
  /** Flags for rustc of its own. */
  flags: string[];
  /** Tests of the built files, from the repository's root. */
  tests: string[];
}

const crates: readonly Crate[] = [
  {
    name: "core",
    folder: here,
    files: ["Cargo.toml", "Cargo.lock", ".cargo/config.toml"],
    flags: [],
    tests: ["tests/wasm", "tests/tokenizer"],
  },
  {
    name: "grammar",
    folder: new URL("grammar/", here),
    files: ["Cargo.toml", "Cargo.lock"],
    // What a grammar may take, whoever wrote it.
    flags: [`-Clink-arg=--max-memory=${2 ** 29}`],
    tests: ["tests/grammar"],
  },
];

/** A way to compile for Wasm: the command, what it needs from the environment, flags for rustc, extra arguments. */
interface Toolchain {
  cargo: string;
  env: Record<string, string>;
  flags: string[];
  args: string[];
  versions: Record<string, string>;
}

async function output(command: string, args: string[], env: Record<string, string> = {}): Promise<string | undefined> {
  try {
    const { success, stdout } = await new Deno.Command(command, { args, env, cwd: here, stderr: "null" }).output();
    return success ? new TextDecoder().decode(stdout).trim() : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

async function run(cwd: URL, command: string, args: string[], env: Record<string, string> = {}): Promise<void> {
  const { success, code } = await new Deno.Command(command, { args, env, cwd }).spawn().status;
  if (!success) throw new Error(`Cannot build: ${command} ${args.join(" ")} ended with code ${code}`);
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

async function findToolchain(): Promise<Toolchain | undefined> {
  const bindgen = await output("wasm-bindgen", ["--version"]);
  const opt = await output("wasm-opt", ["--version"]);
  if (!bindgen || !opt) return undefined;
  const versions = { "wasm-bindgen": bindgen.split(" ").at(-1)!, "wasm-opt": opt.split(" ")[2] ?? opt };
  const sysroot = await output("/usr/bin/rustc", ["--print", "sysroot"]);
  if (sysroot && await exists(`${sysroot}/lib/rustlib/src/rust/library/std`)) {
    const rustc = await output("/usr/bin/rustc", ["--version"]);
    return {
      cargo: "/usr/bin/cargo",
      env: {
        RUSTC: "/usr/bin/rustc",
        RUSTC_BOOTSTRAP: "1",
        CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER: "wasm-ld",
        // A panic stops the program either way; without its message and place the file is a sixth smaller.
        CARGO_PROFILE_RELEASE_PANIC: "immediate-abort",
      },
      flags: ["-Zlocation-detail=none", "-Zunstable-options"],
      args: ["-Zbuild-std=std", "-Zpanic-immediate-abort"],
      versions: { rustc: rustc ?? "unknown", ...versions },
    };
  }
  const libdir = await output("rustc", ["--print", "target-libdir", "--target", target]);
  if (libdir && await exists(libdir)) {
    return {
      cargo: "cargo",
      env: {},
      flags: [],
      args: [],
      versions: { rustc: await output("rustc", ["--version"]) ?? "", ...versions },
    };
  }
  return undefined;
}

/** Hash of everything that the built files depend on, in a fixed order. */
async function hashSources(crate: Crate): Promise<string> {
  const files = [...crate.files];
  for await (const entry of Deno.readDir(new URL("src/", crate.folder))) files.push(`src/${entry.name}`);
  const parts: Uint8Array[] = [];
  for (const file of files.sort()) {
    parts.push(new TextEncoder().encode(`${file}\0`), await Deno.readFile(new URL(file, crate.folder)));
  }
  const digest = await crypto.subtle.digest("SHA-256", await new Blob(parts as BlobPart[]).arrayBuffer());
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function header(sourceHash: string, versions: Record<string, string>): string {
  const tools = Object.entries(versions).map(([name, version]) => `// ${name}: ${version}\n`).join("");
  return `// @generated by wasm/build.ts\n// deno-lint-ignore-file\n// source-hash: ${sourceHash}\n${tools}`;
}

/** Builds the four files of the package. */
async function build(crate: Crate, toolchain: Toolchain, sourceHash: string): Promise<Map<string, Uint8Array>> {
  const { name, folder: cwd } = crate;
  await run(cwd, toolchain.cargo, ["fetch", "--locked", "--target", target], toolchain.env);
  const cargoHome = Deno.env.get("CARGO_HOME") ?? `${Deno.env.get("HOME")}/.cargo`;
  const sysroot = await output(toolchain.env.RUSTC ?? "rustc", ["--print", "sysroot"]);
  // The order matters: of several prefixes that fit, rustc takes the last.
  const remapped = new Map([[cargoHome, "cargo"], [`${sysroot}`, "rust"], [
    decodeURIComponent(cwd.pathname),
    "wasm/",
  ]]);
  for await (const { name } of Deno.readDir(`${cargoHome}/registry/src`)) {
    remapped.set(`${cargoHome}/registry/src/${name}`, "crates");
  }
  const flags = [
    '--cfg=getrandom_backend="wasm_js"',
    // References to JavaScript objects as numbers: wasm-opt before version 110 breaks tables of references.
    "-Ctarget-cpu=mvp",
    "-Ctarget-feature=+bulk-memory,+sign-ext,+nontrapping-fptoint,+mutable-globals",
    ...toolchain.flags,
    ...crate.flags,
    ...[...remapped].map(([from, to]) => `--remap-path-prefix=${from}=${to}`),
  ];
  const env = { ...toolchain.env, CARGO_ENCODED_RUSTFLAGS: flags.join("\x1f") };
  await run(cwd, toolchain.cargo, ["build", "--release", "--locked", "--target", target, ...toolchain.args], env);
  const folder = decodeURIComponent(new URL("target/pkg", cwd).pathname);
  const built = `target/${target}/release/skein_${name}.wasm`;
  await run(cwd, "wasm-bindgen", [built, "--target", "bundler", "--out-dir", folder, "--out-name", name]);
  const wasm = `${folder}/${name}_bg.wasm`;
  const features = ["bulk-memory", "nontrapping-float-to-int", "sign-ext", "mutable-globals"];
  await run(cwd, "wasm-opt", ["-Oz", ...features.map((name) => `--enable-${name}`), wasm, "-o", wasm]);
  const files = new Map<string, Uint8Array>([[`${name}_bg.wasm`, await Deno.readFile(wasm)]]);
  const top = header(sourceHash, toolchain.versions);
  for (const file of [`${name}.js`, `${name}_bg.js`, `${name}.d.ts`]) {
    let text = await Deno.readTextFile(`${folder}/${file}`);
    if (file.endsWith(".d.ts")) {
      text = text.replace(/^( *)(free|\[Symbol\.dispose\])\(\): void;$/gm, "$1/** Gives the memory back. */\n$&");
    }
    files.set(file, new TextEncoder().encode(top + text));
  }
  return files;
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

async function write(crate: Crate, files: Map<string, Uint8Array>): Promise<void> {
  const pkg = new URL("pkg/", crate.folder);
  await Deno.mkdir(pkg, { recursive: true });
  for (const [name, bytes] of files) await Deno.writeFile(new URL(name, pkg), bytes);
}

async function readCommitted({ name, folder }: Crate): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  for (const file of [`${name}.js`, `${name}_bg.js`, `${name}.d.ts`, `${name}_bg.wasm`]) {
    files.set(file, await Deno.readFile(new URL(`pkg/${file}`, folder)));
  }
  return files;
}

/** Checks the committed files; returns a sentence about what was compared. */
async function check(crate: Crate, rebuild: boolean): Promise<string> {
  const { name, tests } = crate;
  const committed = await readCommitted(crate);
  const sourceHash = await hashSources(crate);
  const top = new TextDecoder().decode(committed.get(`${name}.js`));
  if (!top.includes(`// source-hash: ${sourceHash}\n`)) {
    throw new Error(`The built ${name} is not of these sources: run deno run -A wasm/build.ts ${name}`);
  }
  if (!rebuild) return `the built ${name} has the hash of its sources`;
  const toolchain = await findToolchain();
  if (!toolchain) return `the built ${name} has the hash of its sources; no Wasm toolchain to build it again`;
  const files = await build(crate, toolchain, sourceHash);
  if (top.startsWith(header(sourceHash, toolchain.versions))) {
    for (const [file, bytes] of files) {
      if (!equal(bytes, committed.get(file)!)) throw new Error(`Rebuilt ${file} differs from the committed file`);
    }
    return `the built ${name} is rebuilt byte for byte`;
  }
  await write(crate, files);
  try {
    const root = new URL("../", here);
    await run(root, "deno", ["test", "--allow-read", "--config", "deno.json", ...tests]);
  } finally {
    await write(crate, committed);
  }
  return `the built ${name}, rebuilt by other tool versions, passes the tests`;
}

if (import.meta.main) {
  const wanted = crates.filter(({ name }) => Deno.args.includes(name));
  for (const crate of wanted.length > 0 ? wanted : crates) {
    if (Deno.args.includes("--check")) {
      console.log(await check(crate, !Deno.args.includes("--hash-only")));
      continue;
    }
    const toolchain = await findToolchain();
    if (!toolchain) {
      console.error(
        "skein: No Wasm toolchain: install rustc-web, cargo-web, rust-web-src, lld, binaryen and wasm-bindgen-cli",
      );
      Deno.exit(1);
    }
    const files = await build(crate, toolchain, await hashSources(crate));
    await write(crate, files);
    console.log(`${crate.name}_bg.wasm: ${files.get(`${crate.name}_bg.wasm`)!.length} bytes`);
  }
}
