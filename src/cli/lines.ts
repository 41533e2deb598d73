/**
 * Lines that a person types or a pipe brings.
 *
 * @module
 */

/** Lines of a stream without their ends, until it ends or the signal in force while waiting aborts. */
export async function* linesOf(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  signalWhileWaiting: () => AbortSignal,
): AsyncGenerator<string> {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  while (true) {
    const stopped = Promise.withResolvers<{ done: true; value: undefined }>();
    signalWhileWaiting().addEventListener("abort", () => stopped.resolve({ done: true, value: undefined }));
    const { done, value } = await Promise.race([reader.read(), stopped.promise]);
    if (done) break;
    const lines = (rest + value).split(/\r?\n/);
    rest = lines.pop()!;
    yield* lines;
  }
  if (rest !== "") yield rest;
}
