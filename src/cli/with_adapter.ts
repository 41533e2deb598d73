/**
 * Runs a command on a machine that has a WebGPU adapter: `with_adapter.ts COMMAND ARGUMENTS...`. Where there is none
 * it installs Mesa's software adapter if it may, and otherwise says which package the system needs.
 *
 * @module
 */
import { NO_ADAPTER } from "../gpu/adapter.ts";
import { chooseBackend } from "./backend.ts";

const PACKAGES = ["mesa-vulkan-drivers", "libvulkan1"];

async function hasAdapter(): Promise<boolean> {
  // Deno rejects instead of resolving to null where the loader finds no driver at all.
  return await navigator.gpu.requestAdapter().catch(() => null) !== null;
}

/** True on Debian, Ubuntu and what is derived from them. */
function hasApt(): boolean {
  try {
    return /^(ID|ID_LIKE)=.*(debian|ubuntu)/m.test(Deno.readTextFileSync("/etc/os-release"));
  } catch {
    return false;
  }
}

/** True if the packages may be installed: by root, who is asked first where there is somebody to ask. */
function mayInstall(): boolean {
  if (Deno.build.os !== "linux") return false;
  // Whoever starts this without the permission to tell who the user is does not want anything installed.
  if (Deno.permissions.querySync({ name: "sys", kind: "uid" }).state !== "granted") return false;
  if (Deno.uid() !== 0 || !hasApt()) return false;
  if (!Deno.stdin.isTerminal() || !Deno.stderr.isTerminal()) return true;
  return confirm(`skein: No WebGPU adapter found. Install ${PACKAGES.join(" and ")} (a software adapter) now?`);
}

async function install(): Promise<boolean> {
  console.error(`skein: no WebGPU adapter found, installing ${PACKAGES.join(" and ")}`);
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  for (const args of [["update"], ["install", "-y", "--no-install-recommends", ...PACKAGES]]) {
    const command = new Deno.Command("apt-get", { args: ["-q", ...args], env, stdout: "null", stderr: "inherit" });
    if (!(await command.output()).success) {
      console.error(`skein: apt-get ${args.join(" ")} failed`);
      return false;
    }
  }
  return true;
}

chooseBackend();
if (!await hasAdapter() && !(mayInstall() && await install())) {
  console.error(`skein: ${NO_ADAPTER}`);
  Deno.exit(1);
}
const [command, ...args] = Deno.args;
if (command === undefined) {
  console.error("skein: Expected a command to run");
  Deno.exit(1);
}
// The command's own `deno` must be this one: what npx puts on the path is a wrapper that hands no signals on.
const separator = Deno.build.os === "windows" ? ";" : ":";
const folder = Deno.execPath().replace(/[\\/][^\\/]*$/, "");
const env = { PATH: `${folder}${separator}${Deno.env.get("PATH") ?? ""}` };
const { code } = await new Deno.Command(command, { args, env }).spawn().status;
Deno.exit(code);
