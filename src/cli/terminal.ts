/**
 * What a command may write: results to stdout, notes and progress to stderr.
 *
 * @module
 */

/** The two output streams of a command. */
export class Terminal {
  readonly #encoder = new TextEncoder();
  readonly #showsProgress: boolean;
  readonly #dim: boolean;
  /** Whether the result stands in the middle of a line of the terminal that notes go to. */
  #isMidLine = false;
  #progressShown = false;

  /** @param quiet True to show no progress even at a terminal. */
  constructor({ quiet = false }: { quiet?: boolean } = {}) {
    this.#showsProgress = !quiet && Deno.stderr.isTerminal();
    this.#dim = !Deno.env.get("NO_COLOR");
  }

  /** Writes a part of the result. Throws `Deno.errors.BrokenPipe` where nobody reads any more. */
  write(text: string): void {
    if (text === "") return;
    this.#clearProgress();
    this.#writeAll(Deno.stdout, text);
    this.#isMidLine = !text.endsWith("\n") && Deno.stdout.isTerminal() && Deno.stderr.isTerminal();
  }

  /** Writes the one JSON document of a `--json` run. JSON knows no NaN or infinities; they become null. */
  json(document: unknown): void {
    this.write(`${JSON.stringify(document)}\n`);
  }

  /** Tells the user something that is no part of the result. */
  note(text: string): void {
    this.#clearProgress();
    this.#writeError(`${this.#isMidLine ? "\n" : ""}skein: ${text}\n`);
    this.#isMidLine = false;
  }

  /** Writes text to stderr as it is. */
  aside(text: string): void {
    this.#clearProgress();
    this.#writeError(text);
    this.#isMidLine = false;
  }

  /** Replaces the progress line, at a terminal. */
  progress(text: string): void {
    if (!this.#showsProgress || this.#isMidLine) return;
    this.#writeError(`\r\x1b[2K${this.#dim ? `\x1b[2m${text}\x1b[22m` : text}`);
    this.#progressShown = true;
  }

  #clearProgress(): void {
    if (this.#progressShown) this.#writeError("\r\x1b[2K");
    this.#progressShown = false;
  }

  #writeError(text: string): void {
    try {
      this.#writeAll(Deno.stderr, text);
    } catch (error) {
      // Who closes stderr wants no notes; the result may still be wanted.
      if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
    }
  }

  #writeAll(stream: { writeSync(bytes: Uint8Array): number }, text: string): void {
    let rest = this.#encoder.encode(text);
    while (rest.length > 0) rest = rest.subarray(stream.writeSync(rest));
  }
}
