/**
 * Continuing a text.
 *
 * @module
 */
import { button, element, follow } from "./elements.ts";
import { showContext } from "./meter.ts";
import type { Writer } from "./writer.ts";

const OPENING = "The old man looked at the sea and";

/** Milliseconds after the last key until the text is counted: long texts take a while. */
const COUNT_AFTER_MS = 200;

/** Lets the manuscript be continued by the writer of the moment. */
export function setUpManuscript(writer: () => Writer | undefined): { readonly count: () => void } {
  const sheet = element("manuscript", HTMLElement);
  const takeBack = button("take-back");
  sheet.textContent = OPENING;
  /** Lengths of the text before each continuation, to go back to. */
  const lengths: number[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;

  const count = () => {
    const speaker = writer()?.speaker;
    if (speaker === undefined) return;
    // A server counts when it is asked for more.
    const used = speaker.model?.tokenizer.encode(sheet.textContent).length ?? 0;
    showContext(used, speaker.contextLength);
  };
  const forget = () => {
    lengths.length = 0;
    takeBack.disabled = true;
  };

  const extend = async (current: Writer, signal: AbortSignal) => {
    const text = sheet.textContent;
    const fresh = document.createElement("span");
    fresh.className = "new";
    sheet.replaceChildren(text, fresh);
    sheet.contentEditable = "false";
    try {
      await current.continue(text, (piece) => follow(button("continue"), () => fresh.append(piece)), signal);
    } finally {
      sheet.contentEditable = "plaintext-only";
      if (fresh.textContent !== "") lengths.push(text.length);
      takeBack.disabled = lengths.length === 0;
    }
  };
  const run = async () => {
    const current = writer();
    await current?.run(button("continue"), (signal) => extend(current, signal));
  };

  button("continue").addEventListener("click", run);
  takeBack.addEventListener("click", async () => {
    await writer()?.stop();
    sheet.textContent = sheet.textContent.slice(0, lengths.pop());
    takeBack.disabled = lengths.length === 0;
    count();
  });
  sheet.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      run();
    }
  });
  sheet.addEventListener("input", () => {
    // An edit may lie before what a continuation added.
    forget();
    clearTimeout(timer);
    timer = setTimeout(count, COUNT_AFTER_MS);
  });
  return { count };
}
