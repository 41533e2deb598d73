/**
 * How a model on the Hugging Face hub is named.
 *
 * @module
 */

/** A model on the hub, or one file of it. */
export interface ModelId {
  /** Owner and name: "org/name". */
  readonly repository: string;
  /** Branch, tag or commit. */
  readonly revision: string;
  /** The GGUF file that is meant, where one is named. */
  readonly file: string | undefined;
}

/** The hub's own rule: letters, digits, `.`, `_`, `-`, beginning and ending with a letter or digit. */
const WORD = "[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?";
const REPOSITORY = new RegExp(`^${WORD}/${WORD}$`);
const REVISION = /^[A-Za-z0-9][A-Za-z0-9._/-]{0,200}$/;

/**
 * Reads `ORG/NAME`, `ORG/NAME@REVISION` and `ORG/NAME/FILE.gguf@REVISION`.
 *
 * @returns The id with revision "main" where none is named; undefined where the text is none, and may be a path.
 */
export function parseModelId(text: string): ModelId | undefined {
  const at = text.indexOf("@");
  const [path, revision] = at < 0 ? [text, "main"] : [text.slice(0, at), text.slice(at + 1)];
  const [org = "", name = "", ...rest] = path.split("/");
  const repository = `${org}/${name}`;
  const file = rest.length === 0 ? undefined : rest.join("/");
  const isFile = file === undefined ? !repository.endsWith(".gguf") : file.endsWith(".gguf") && isSafePath(file);
  const isId = REPOSITORY.test(repository) && !/--|\.\./.test(repository) && isFile &&
    REVISION.test(revision) && isSafePath(revision);
  return isId ? { repository, revision, file } : undefined;
}

/** The id as `parseModelId` reads it. */
export function formatModelId({ repository, revision, file }: ModelId): string {
  return `${repository}${file === undefined ? "" : `/${file}`}${revision === "main" ? "" : `@${revision}`}`;
}

/** Whether the revision is a commit, whose files never change. */
export function isCommit(revision: string): boolean {
  return /^[0-9a-f]{40}$/.test(revision);
}

/** Whether a path stays below its folder on every system, and can be a file's name there. */
export function isSafePath(path: string): boolean {
  return path.length <= 1024 && path.split("/").every((part) =>
    // deno-lint-ignore no-control-regex
    part !== "" && part.length <= 255 && !/^\.\.?$|[\\:*?"<>|\x00-\x1f\x7f]|[. ]$/.test(part)
  );
}
