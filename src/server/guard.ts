/**
 * Who may ask: by the host that a request names, by the page that it comes from, and by its key.
 *
 * @module
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { ApiError } from "./api_error.ts";

/** What a guard lets through. */
export interface GuardOptions {
  /** Address that the server listens on. */
  readonly hostname: string;
  /** More names that requests may call the server by. */
  readonly allowedHosts: readonly string[];
  /** Origins of pages that may ask; `*` for all. */
  readonly corsOrigins: readonly string[];
  /** Keys, one of which a request must have; without any, none is needed. */
  readonly apiKeys: readonly string[];
}

/** See the module's description. */
export class Guard {
  readonly #options: GuardOptions;
  readonly #keys: readonly Uint8Array[];

  /** Keeps digests of the keys, and not the keys. */
  constructor({ apiKeys, ...options }: GuardOptions) {
    this.#options = { ...options, apiKeys: [] };
    this.#keys = apiKeys.map(digest);
  }

  /** Whether requests need a key. */
  get hasKeys(): boolean {
    return this.#keys.length > 0;
  }

  /**
   * Refuses a request that names another host. A page on the web can make its own name lead here, and would else ask
   * as if it were of this machine; it cannot know a key, so that with keys on a public address any name will do.
   *
   * @throws {ApiError} 403.
   */
  checkHost(header: string | undefined): void {
    const name = hostnameOf(header);
    const { hostname, allowedHosts } = this.#options;
    const isLocal = isLoopback(hostname);
    if (name !== undefined) {
      if (isLoopback(name) || name === hostname.toLowerCase() || allowedHosts.includes(name)) return;
      if (!isLocal && (this.hasKeys || isAddress(name))) return;
    }
    throw new ApiError(
      403,
      `Cannot answer for the host ${
        JSON.stringify((name ?? "").slice(0, 100))
      }: if it is this server, start it with --allow-host`,
      { type: "permission_error", code: "host_not_allowed" },
    );
  }

  /**
   * Headers that let a page of another origin read the answer.
   *
   * @returns Nothing where the request comes from no page, or from this server's own.
   * @throws {ApiError} 403 if that origin is not allowed.
   */
  corsHeaders(origin: string | undefined, host: string | undefined): Record<string, string> {
    if (origin === undefined || host !== undefined && /^https?:\/\/(.*)$/.exec(origin)?.[1] === host) return {};
    const { corsOrigins } = this.#options;
    if (!corsOrigins.includes("*") && !corsOrigins.includes(origin)) {
      throw new ApiError(403, "Cannot answer a page of this origin: start the server with --cors-origin", {
        type: "permission_error",
        code: "origin_not_allowed",
      });
    }
    return {
      "access-control-allow-origin": origin,
      "access-control-allow-headers": "authorization, content-type",
      "access-control-allow-methods": "GET, POST",
      "access-control-expose-headers": "x-request-id, retry-after",
      "access-control-max-age": "600",
      "vary": "origin",
    };
  }

  /**
   * Refuses a request without one of the keys. Every key is compared, and in a time that does not depend on them.
   *
   * @throws {ApiError} 401.
   */
  checkKey(authorization: string | undefined): void {
    if (!this.hasKeys) return;
    const [, given] = /^Bearer +(.+)$/i.exec(authorization ?? "") ?? [];
    const asked = digest(given ?? "");
    const fits = this.#keys.map((key) => timingSafeEqual(key, asked)).includes(true);
    if (given !== undefined && fits) return;
    throw new ApiError(
      401,
      given === undefined ? "Expected an API key: send it as Authorization: Bearer KEY" : "The API key is wrong",
      {
        type: "authentication_error",
        code: given === undefined ? "missing_api_key" : "invalid_api_key",
        headers: { "www-authenticate": "Bearer" },
      },
    );
  }
}

function digest(text: string): Uint8Array {
  return createHash("sha256").update(text).digest();
}

/** The name in a Host header, in lower case and without the port; undefined where it is none. */
function hostnameOf(header: string | undefined): string | undefined {
  const [, name] = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?$/.exec((header ?? "").toLowerCase()) ?? [];
  return name?.replace(/^\[(.*)\]$/, "$1").replace(/\.$/, "");
}

/** Whether only programs on this machine reach an address. */
export function isLoopback(hostname: string): boolean {
  const name = hostname.toLowerCase();
  return name === "localhost" || name.endsWith(".localhost") || name === "::1" || /^127(\.\d{1,3}){3}$/.test(name);
}

function isAddress(name: string): boolean {
  return name.includes(":") || /^\d{1,3}(\.\d{1,3}){3}$/.test(name);
}
