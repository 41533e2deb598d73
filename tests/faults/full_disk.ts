/**
 * A disk that is full after some bytes.
 *
 * @module
 */

/** Runs work while files take `bytes` more bytes together, and then fail as on a full disk. */
export async function withRoomFor<T>(bytes: number, work: () => Promise<T>): Promise<T> {
  const prototype = Deno.FsFile.prototype;
  const write = prototype.write;
  let room = bytes;
  prototype.write = function (data) {
    if (room === 0) {
      const error = new Error("No space left on device (os error 28)");
      return Promise.reject(Object.assign(error, { code: "ENOSPC" }));
    }
    const taken = data.subarray(0, room);
    room -= taken.length;
    return write.call(this, taken);
  };
  try {
    return await work();
  } finally {
    prototype.write = write;
  }
}
