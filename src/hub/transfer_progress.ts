/**
 * How far a download is, how fast, and how long it still takes.
 *
 * @module
 */

/** How far a download is. */
export interface DownloadProgress {
  /** The phase that this is about. */
  readonly phase: "download";
  /** Bytes that are there, those of earlier runs included. */
  readonly loaded: number;
  /** Bytes of all files. */
  readonly total: number;
  /** The file that came further. */
  readonly file: string;
  /** Pace of the last seconds; undefined where there is none yet. */
  readonly bytesPerSecond: number | undefined;
  /** What is left at that pace. */
  readonly secondsLeft: number | undefined;
}

/** The pace is that of so many milliseconds. */
const SPAN_MS = 5000;

/** Reports are at least so many milliseconds apart. */
const INTERVAL_MS = 100;

/** Counts bytes and tells about them. */
export class TransferProgress {
  readonly #tell: (progress: DownloadProgress) => void;
  readonly #now: () => number;
  /** Times, and bytes that had come over the network by then. */
  readonly #history: { time: number; fetched: number }[];
  #loaded = 0;
  #fetched = 0;
  #total = 0;
  #told = -Infinity;

  /**
   * @param tell Told at most ten times a second, and of the end.
   * @param now A clock in ms.
   */
  constructor(tell: (progress: DownloadProgress) => void, now: () => number = () => performance.now()) {
    this.#tell = tell;
    this.#now = now;
    this.#history = [{ time: now(), fetched: 0 }];
  }

  /** More bytes are expected. */
  expect(bytes: number): void {
    this.#total += bytes;
  }

  /** Bytes that were there before. */
  found(bytes: number, file: string): void {
    this.#loaded += bytes;
    this.#report(file);
  }

  /** Bytes that came; negative where they were wrong and come again. */
  came(bytes: number, file: string): void {
    this.#loaded += bytes;
    this.#fetched += Math.max(0, bytes);
    this.#report(file);
  }

  #report(file: string): void {
    const time = this.#now();
    if (time - this.#told < INTERVAL_MS && this.#loaded < this.#total) return;
    this.#told = time;
    this.#history.push({ time, fetched: this.#fetched });
    while (this.#history.length > 2 && time - this.#history[1]!.time > SPAN_MS) this.#history.shift();
    const [oldest] = this.#history as [{ time: number; fetched: number }];
    const pace = (this.#fetched - oldest.fetched) / (time - oldest.time) * 1000;
    const bytesPerSecond = pace > 0 && Number.isFinite(pace) ? pace : undefined;
    this.#tell({
      phase: "download",
      loaded: this.#loaded,
      total: this.#total,
      file,
      bytesPerSecond,
      secondsLeft: bytesPerSecond === undefined ? undefined : (this.#total - this.#loaded) / bytesPerSecond,
    });
  }
}
