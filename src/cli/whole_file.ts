/**
 * Files that commands write: whole, or not at all.
 *
 * @module
 */
import { writeWhole } from "../checkpoint/whole_file.ts";
import { CapacityError } from "../errors.ts";
import { reasonOf, resolvePath } from "./command.ts";
import { UsageError } from "./options.ts";

/** A file to be written, which may be there already. */
export class WholeFile {
  readonly #flag: string;
  readonly #given: string;
  readonly #path: string;

  private constructor(flag: string, path: string) {
    this.#flag = flag;
    this.#given = path;
    this.#path = resolvePath(path);
  }

  /**
   * Makes sure that the file can be written, before there is something to lose.
   *
   * @param flag The option that names it.
   * @param path As the user gave it.
   * @throws {UsageError} If it is a directory, or its folder cannot be written to.
   */
  static async at(flag: string, path: string): Promise<WholeFile> {
    const file = new WholeFile(flag, path);
    const info = await Deno.stat(file.#path).catch(() => undefined);
    if (info?.isDirectory) throw new UsageError(`Cannot write ${flag} ${JSON.stringify(path)}: it is a directory`);
    const beside = `${file.#path}.${crypto.randomUUID()}.part`;
    await file.#named(async () => {
      await Deno.writeTextFile(beside, "", { createNew: true });
      await Deno.remove(beside);
    });
    return file;
  }

  /** What the file holds; undefined where it is not there. */
  async read(): Promise<string | undefined> {
    try {
      return await Deno.readTextFile(this.#path);
    } catch (cause) {
      if (cause instanceof Deno.errors.NotFound) return undefined;
      throw new UsageError(`Cannot read ${this.#flag} ${JSON.stringify(this.#given)}: ${reasonOf(cause)}`, { cause });
    }
  }

  /**
   * Replaces the file as a whole, so that it is never seen half written.
   *
   * @throws {CapacityError} If the disk is full.
   */
  async write(text: string): Promise<void> {
    await this.#named(() => writeWhole(this.#path, [new TextEncoder().encode(text)]));
  }

  async #named(action: () => Promise<void>): Promise<void> {
    try {
      await action();
    } catch (cause) {
      if (cause instanceof CapacityError) throw cause;
      const reason = cause instanceof Deno.errors.NotFound ? "its folder is not there" : reasonOf(cause);
      throw new UsageError(`Cannot write ${this.#flag} ${JSON.stringify(this.#given)}: ${reason}`, { cause });
    }
  }
}

/**
 * Makes sure that no two options name one file to write, of which only the last would be left.
 *
 * @param files Paths as the user gave them, by option.
 * @throws {UsageError} If two are the same.
 */
export function expectDifferentFiles(files: Readonly<Record<string, string | undefined>>): void {
  const given = Object.entries(files).flatMap(([flag, path]) => path === undefined ? [] : [{ flag, path }]);
  for (const [i, { flag, path }] of given.entries()) {
    const other = given.slice(0, i).find((each) => resolvePath(each.path) === resolvePath(path));
    if (other !== undefined) {
      throw new UsageError(`Cannot write ${other.flag} and ${flag} to ${JSON.stringify(path)}: name different files`);
    }
  }
}
