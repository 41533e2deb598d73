/**
 * Where the hub and its cache are, by the environment variables that every program of Hugging Face's follows. Reads only
 * what it is permitted to, and asks for nothing.
 *
 * @module
 */
import { PATIENT } from "../checkpoint/retry.ts";
import { DownloadError } from "../errors.ts";
import { type Hub, PUBLIC_ENDPOINT } from "./hub_api.ts";

/** The hub and the folder that keeps what came from it. */
export interface HubEnvironment extends Hub {
  /** Folder of the cache: one folder a model. */
  readonly cache: string;
  /** True where nothing may be fetched. */
  readonly isOffline: boolean;
}

/** Variables that are read, for permissions. */
export const HUB_VARIABLES: readonly string[] = [
  "HF_ENDPOINT",
  "HF_HOME",
  "HF_HUB_CACHE",
  "HF_HUB_OFFLINE",
  "HF_TOKEN",
  "HF_TOKEN_PATH",
  "HOME",
  "USERPROFILE",
  "XDG_CACHE_HOME",
];

/**
 * The environment of this process.
 *
 * @throws {TypeError} If a variable has no usable value.
 * @throws {DownloadError} If no variable tells where the cache is.
 */
export async function hubEnvironment(): Promise<HubEnvironment> {
  const home = variable("HOME") ?? variable("USERPROFILE");
  const caches = variable("XDG_CACHE_HOME") ?? (home === undefined ? undefined : `${home}/.cache`);
  const root = variable("HF_HOME") ?? (caches === undefined ? undefined : `${caches}/huggingface`);
  const cache = variable("HF_HUB_CACHE") ?? (root === undefined ? undefined : `${root}/hub`);
  if (cache === undefined) {
    throw new DownloadError(
      "NotFound",
      "Cannot find the cache of the Hugging Face hub: neither HF_HUB_CACHE, HF_HOME nor HOME can be read; " +
        "set one, and run with --allow-env",
    );
  }
  const expanded = expand(cache, home);
  return {
    endpoint: endpointOf(variable("HF_ENDPOINT") ?? PUBLIC_ENDPOINT),
    token: await tokenOf(root === undefined ? undefined : expand(root, home)),
    retry: PATIENT,
    cache: expanded.replace(/(?<=.)[\\/]+$/, ""),
    isOffline: /^(1|true|yes|on)$/i.test(variable("HF_HUB_OFFLINE") ?? ""),
  };
}

/** A variable that is set to something and may be read. */
function variable(name: string): string | undefined {
  if (Deno.permissions.querySync({ name: "env", variable: name }).state !== "granted") return undefined;
  return Deno.env.get(name) || undefined;
}

function expand(path: string, home: string | undefined): string {
  return home !== undefined && /^~(?=[\\/]|$)/.test(path) ? home + path.slice(1) : path;
}

function endpointOf(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.search !== "" || url.hash !== "") {
    throw new TypeError(
      `Cannot use HF_ENDPOINT ${JSON.stringify(text)}: expected an address such as ${PUBLIC_ENDPOINT}`,
    );
  }
  return url.href.replace(/\/+$/, "");
}

/** HF_TOKEN, or what a login left in a file. */
async function tokenOf(root: string | undefined): Promise<string | undefined> {
  let token = variable("HF_TOKEN");
  const file = variable("HF_TOKEN_PATH") ?? (root === undefined ? undefined : `${root}/token`);
  if (token === undefined && file !== undefined) {
    const isReadable = Deno.permissions.querySync({ name: "read", path: file }).state === "granted";
    token = isReadable ? await Deno.readTextFile(file).catch(() => undefined) : undefined;
  }
  const trimmed = token?.trim();
  if (trimmed === undefined || trimmed === "") return undefined;
  if (!/^[\x21-\x7e]{1,4096}$/.test(trimmed)) {
    throw new TypeError("Cannot use HF_TOKEN: it has characters that no token has");
  }
  return trimmed;
}
