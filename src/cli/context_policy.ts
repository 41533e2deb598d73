/**
 * `--context-policy`: what happens where the context ends, and the note that it happened.
 *
 * @module
 */
import type { ContextPolicy } from "../../mod.ts";
import { type Option, UsageError } from "./options.ts";

/** The option. */
export const contextPolicy: Option<ContextPolicy | undefined> = {
  placeholder: "POLICY",
  help: "Where the context ends: error (default), stop, or sink:4, which keeps 4 tokens and the newest; sink:4:900",
  read: (option, [value]) => {
    if (value === undefined || value === "error" || value === "stop") return value;
    const [, sinks, window] = /^sink:(\d+)(?::(\d+))?$/.exec(value) ?? [];
    if (sinks === undefined) {
      throw new UsageError(
        `Cannot use ${option} ${
          JSON.stringify(value)
        }: expected error, stop, sink:SINKS or sink:SINKS:WINDOW, as sink:4`,
      );
    }
    return { sinks: Number(sinks), ...(window === undefined ? {} : { window: Number(window) }) };
  },
};

/** What stderr says of a generation that forgot tokens; undefined where it forgot none. */
export function slideNote(contextSlides: number, contextLength: number): string | undefined {
  if (contextSlides === 0) return undefined;
  const times = contextSlides === 1 ? "once" : `${contextSlides} times`;
  return `note: the context of ${contextLength} tokens was full ${times}; all but its first and newest tokens were forgotten`;
}
