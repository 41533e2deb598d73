/**
 * Files that are written whole or not at all, and what is said where the disk is full. Through Deno.
 *
 * @module
 */
import { statfs } from "node:fs/promises";
import { CapacityError } from "../errors.ts";

/**
 * Writes a file. An existing one is replaced whole, or not at all: by what stands beside it, as `path`.part, while it is
 * being written. What a process that died left there is overwritten.
 *
 * @param pieces Its content.
 * @throws {CapacityError} If the disk is full.
 * @throws {Deno.errors.Busy} If it is being written by another program, or by another call.
 */
export async function writeWhole(
  path: string,
  pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<void> {
  const part = `${path}.part`;
  using file = await openLocked(part);
  let written = 0;
  try {
    for await (const piece of pieces) {
      for (let at = 0; at < piece.length;) {
        const count = await file.write(piece.subarray(at));
        at += count;
        written += count;
      }
    }
    await file.syncData();
    await Deno.rename(part, path);
  } catch (error) {
    await Deno.remove(part).catch(() => {});
    throw isDiskFull(error) ? diskFull(path, written, error) : error;
  }
}

/** An empty file that nobody else has open by this function. Its lock ends with the process, however that ends. */
async function openLocked(path: string): Promise<Deno.FsFile> {
  while (true) {
    const file = await Deno.open(path, { read: true, write: true, create: true });
    try {
      if (!await file.tryLock(true)) throw new Deno.errors.Busy(`Cannot write ${path}: it is being written already`);
      // Whoever had it before may have given it its final name since it was opened here.
      const [own, named] = [await file.stat(), await Deno.stat(path).catch(() => undefined)];
      if (named?.ino === own.ino && named.dev === own.dev) {
        if (own.size > 0) await file.truncate();
        return file;
      }
      file.close();
    } catch (error) {
      file.close();
      throw error;
    }
  }
}

/** Whether an error says that a disk, or a user's part of it, has no room. */
export function isDiskFull(error: unknown): boolean {
  const { code } = error as { readonly code?: unknown };
  return code === "ENOSPC" || code === "EDQUOT";
}

/**
 * The error of a full disk.
 *
 * @param path What was being written.
 * @param written Bytes of it that had found room.
 */
export function diskFull(path: string, written: number, cause: unknown): CapacityError {
  const error = new CapacityError(
    `Cannot write ${path}: the disk is full after ${written} bytes of it; free some space and try again`,
    { requested: written + 1, available: written, unit: "bytes" },
  );
  error.cause = cause;
  return error;
}

/**
 * Refuses to begin what the disk has no room for. Where it is not known how much room there is, because that may not be
 * asked, it is begun.
 *
 * @param folder A folder of the disk.
 * @param bytes What it will take.
 * @param action What is to be done, for the message: "download org/name".
 * @throws {CapacityError} With both numbers.
 */
export async function requireDiskSpace(folder: string, bytes: number, action: string): Promise<void> {
  const free = await freeBytes(folder);
  if (free === undefined || bytes <= free) return;
  throw new CapacityError(
    `Cannot ${action}: it takes ${bytes} bytes and the disk of ${folder} has ${free} free; free some space and try again`,
    { requested: bytes, available: free, unit: "bytes" },
  );
}

async function freeBytes(folder: string): Promise<number | undefined> {
  try {
    // Not asked where the user would be asked in turn.
    const query = { name: "sys", kind: "statfs" } as unknown as Deno.SysPermissionDescriptor;
    if ((await Deno.permissions.query(query)).state !== "granted") return undefined;
    const { bavail, bsize } = await statfs(folder);
    return bavail * bsize;
  } catch {
    return undefined;
  }
}
