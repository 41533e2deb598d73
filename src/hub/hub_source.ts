/**
 * A model's files straight from the hub, by range, without a cache. Runs in browsers too.
 *
 * @module
 */
import { shardsOf, weightMapOf } from "../checkpoint/checkpoint_files.ts";
import { httpSource } from "../checkpoint/http_source.ts";
import { PATIENT } from "../checkpoint/retry.ts";
import { type ModelSource, readFile } from "../checkpoint/source.ts";
import { chooseFiles } from "./choose_files.ts";
import { explain, fetchRevision, fileUrl, type Hub, hubHeaders, PUBLIC_ENDPOINT } from "./hub_api.ts";
import { formatModelId, type ModelId } from "./model_id.ts";

/** The public hub, asked by nobody in particular. */
export const PUBLIC_HUB: Hub = { endpoint: PUBLIC_ENDPOINT, token: undefined, retry: PATIENT };

/**
 * A source of a hub model's files. All of them are of the commit that the revision stands for now.
 *
 * @throws {DownloadError} If there is no such model, or it may not be read.
 * @throws {FormatError} If it is none that Skein runs.
 */
export async function hubSource(id: ModelId, hub: Hub = PUBLIC_HUB, signal?: AbortSignal): Promise<ModelSource> {
  const { commit, files } = await fetchRevision(hub, id, signal);
  const { small, weights, parts } = chooseFiles(files.map(({ path }) => path), id);
  const options = {
    headers: hubHeaders(hub),
    name: formatModelId(id),
    retry: hub.retry,
    explain: (error: unknown) => explain(error, hub, id),
    ...(signal === undefined ? {} : { signal }),
  };
  const folder = fileUrl(hub, id, commit, "");
  const chosen = [...small, weights.file, ...parts];
  if (!weights.isIndex) return httpSource(folder, { ...options, files: chosen });
  const index = httpSource(folder, { ...options, files: chosen });
  const shards = shardsOf(weightMapOf(await readFile(index, weights.file), weights.file));
  index.close();
  return httpSource(folder, { ...options, files: [...chosen, ...shards] });
}
