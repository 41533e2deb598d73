/**
 * Cuts tensors into pieces of a file: ranges small enough for one buffer, read in the order of the file, each with the
 * rows that it holds.
 *
 * @module
 */

/** Rows that lie one after the other in a file. */
export interface RowRange {
  /** The file. */
  readonly file: string;
  /** First byte of row 0. */
  readonly begin: number;
  /** Bytes of a row. */
  readonly rowBytes: number;
  /** Number of rows. */
  readonly rows: number;
}

/** Some rows of a range within a piece. */
export interface PieceRows<T> {
  /** The range. */
  readonly range: T;
  /** Its first row in this piece. */
  readonly firstRow: number;
  /** Rows in this piece. */
  readonly rows: number;
  /** Where they begin in the piece, in bytes. */
  readonly offset: number;
}

/** One read. */
export interface Piece<T> {
  /** The file. */
  readonly file: string;
  /** First byte. */
  readonly begin: number;
  /** First byte after it. */
  readonly end: number;
  /** What it holds, in the order of the file. */
  readonly contents: readonly PieceRows<T>[];
}

/** Ranges in a piece; each becomes commands that are submitted together, and those are limited too. */
const MOST_RANGES = 1024;

/** Unneeded bytes between two tensors that are cheaper to read than to skip. */
const GAP = 65536;

/**
 * Pieces that hold all rows.
 *
 * @param ranges What is needed, in any order; ranges may share bytes.
 * @param most Bytes of a piece. A row that is longer gets a piece of its own.
 */
export function planPieces<T extends RowRange>(ranges: readonly T[], most: number): Piece<T>[] {
  const order = [...ranges].sort((a, b) => a.file === b.file ? a.begin - b.begin : a.file < b.file ? -1 : 1);
  const pieces: (Piece<T> & { end: number; contents: PieceRows<T>[] })[] = [];
  for (const range of order) {
    for (let firstRow = 0; firstRow < range.rows;) {
      const begin = range.begin + firstRow * range.rowBytes;
      let piece = pieces.at(-1);
      const fits = piece !== undefined && piece.file === range.file && begin >= piece.end && begin - piece.end <= GAP &&
        begin + range.rowBytes - piece.begin <= most && piece.contents.length < MOST_RANGES;
      if (!fits) pieces.push(piece = { file: range.file, begin, end: begin, contents: [] });
      const offset = begin - piece!.begin;
      const rows = Math.min(range.rows - firstRow, Math.max(1, Math.floor((most - offset) / range.rowBytes)));
      piece!.contents.push({ range, firstRow, rows, offset });
      piece!.end = begin + rows * range.rowBytes;
      firstRow += rows;
    }
  }
  return pieces;
}
