/**
 * Reads the logits of a model's last pass, which the public API does not give, from the device that it runs on.
 *
 * @module
 */

/**
 * Finds the buffer of logits when a model that is loaded on this device makes it.
 *
 * @returns Reads its first row: (vocabSize) f32.
 */
export function watchLogits(device: GPUDevice, vocabSize: number): () => Promise<Float32Array<ArrayBuffer>> {
  const create = device.createBuffer.bind(device);
  let buffer: GPUBuffer | undefined;
  device.createBuffer = (descriptor) => {
    const made = create(descriptor);
    // The first is that of prefill, by which the first token of a generation is selected.
    if (descriptor.label === "scratch logits") buffer ??= made;
    return made;
  };
  return async () => {
    if (buffer === undefined) throw new Error("No buffer is labelled as the logits' is: was a model loaded?");
    const size = vocabSize * 4;
    const copy = create({ size, usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ });
    const encoder = device.createCommandEncoder();
    encoder.copyBufferToBuffer(buffer, 0, copy, 0, size);
    device.queue.submit([encoder.finish()]);
    await copy.mapAsync(GPUMapMode.READ);
    const values = new Float32Array(copy.getMappedRange().slice(0));
    copy.destroy();
    return values;
  };
}
