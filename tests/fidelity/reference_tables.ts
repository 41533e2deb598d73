/**
 * What was measured beside what transformers gives, kept in reference_tables.json and shown in reference_tables.md.
 *
 * @module
 */
import { alignedTable } from "../../src/cli/table.ts";

const JSON_FILE = new URL("reference_tables.json", import.meta.url);
const MARKDOWN_FILE = new URL("reference_tables.md", import.meta.url);

/** One figure, ours and transformers'. */
export interface Figure {
  /** As measured here. */
  readonly ours: string;
  /** As transformers 5.23.0 has it in float32. */
  readonly reference: string;
  /** What lies between. */
  readonly difference: string;
}

/** Figures by table, row and column. */
type Tables = Record<string, Record<string, Record<string, Figure>>>;

/** Puts a figure into a table, which may be there from an earlier run, and writes both files. */
export async function recordFigure(table: string, row: string, column: string, figure: Figure): Promise<void> {
  const tables = await readTables();
  ((tables[table] ??= {})[row] ??= {})[column] = figure;
  await Deno.writeTextFile(JSON_FILE, `${JSON.stringify(tables, undefined, 1)}\n`);
  await Deno.writeTextFile(MARKDOWN_FILE, markdown(tables));
}

/** Whether a figure is there already, so that a run of an hour can be made in parts. */
export async function isRecorded(table: string, row: string, column: string): Promise<boolean> {
  return (await readTables())[table]?.[row]?.[column] !== undefined;
}

async function readTables(): Promise<Tables> {
  try {
    return JSON.parse(await Deno.readTextFile(JSON_FILE));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return {};
    throw error;
  }
}

function markdown(tables: Tables): string {
  const sections = sorted(tables).map(([title, rows]) => {
    const lines = sorted(rows).flatMap(([row, columns]) =>
      sorted(columns).map(([column, figure]) => [row, column, figure.ours, figure.reference, figure.difference])
    );
    const table = alignedTable([["model", "at", "Skein", "transformers", "difference"], ...lines]);
    return `## ${title}\n\n\`\`\`text\n${table}\`\`\`\n`;
  });
  return `# pg-nano beside transformers

Written by \`deno task fidelity SMOLLM2 DATA perplexity scalings positions passkey\`, which runs \`skein perplexity\`,
\`compare\` and \`passkey\` on 42 windows of 14 PG19 books and 100 keys. The reference is transformers 5.23.0 in float32.

${sections.join("\n")}`;
}

/** Entries by name, numbers within names by their value: what is measured first does not come first. */
function sorted<T>(record: Readonly<Record<string, T>>): [string, T][] {
  return Object.entries(record).sort(([a], [b]) => a.localeCompare(b, "en", { numeric: true }));
}
