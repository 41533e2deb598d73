/**
 * The model that lies beside the page.
 *
 * @module
 */
import { blobSource, type ModelSource } from "../mod.ts";

const FOLDER = "model/";
const FILES = ["config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"];

/** What the model is called. */
export const BUNDLED_NAME = "pg-nano-yarn-2k";

/** Fetches the model. `onProgress` is told the share that has arrived, from 0 to 1. */
export async function fetchBundledModel(
  onProgress: (share: number) => void,
  signal: AbortSignal,
): Promise<ModelSource> {
  const responses = await Promise.all(FILES.map((file) => fetch(FOLDER + file, { signal })));
  let loaded = 0;
  let total = 0;
  for (const [i, { ok, status, headers }] of responses.entries()) {
    if (!ok) throw new Error(`The bundled model is not whole: ${FILES[i]} gave status ${status}`);
    total += Number(headers.get("content-length") ?? 0);
  }
  const blobs = await Promise.all(responses.map(async (response) => {
    const pieces: Uint8Array<ArrayBuffer>[] = [];
    const reader = response.body!.getReader();
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
      pieces.push(piece.value);
      loaded += piece.value.length;
      if (total > 0) onProgress(Math.min(1, loaded / total));
    }
    return new Blob(pieces);
  }));
  return blobSource(new Map(FILES.map((file, i) => [file, blobs[i]!])), BUNDLED_NAME);
}
