/**
 * Where in a JSON Schema something is wrong. What compiles schemas says only what.
 *
 * @module
 */

/** Keywords of schemas by their names, of lists of schemas, and of one schema. */
const BY_NAME = ["$defs", "definitions", "properties", "patternProperties"];
const LISTS = ["prefixItems", "anyOf", "allOf", "oneOf"];
const SINGLE = ["items", "additionalProperties"];

/** Schemas are compiled again to find the place, for this long at most, in milliseconds. */
const PATIENCE_MS = 300;

type Json = Readonly<Record<string, unknown>>;

/**
 * The innermost part of a schema that alone fails as the whole does, as a JSON pointer behind `#`; the whole is `#`.
 *
 * @param schema What fails.
 * @param isFault Whether a schema fails as the whole does.
 */
export function placeOfFault(schema: unknown, isFault: (part: unknown) => boolean): string {
  const deadline = performance.now() + PATIENCE_MS;
  // References are looked up from the top.
  const named = Object.entries(isObject(schema) ? schema : {}).filter(([key]) =>
    key === "$defs" || key === "definitions"
  );
  const alone = (part: unknown) => isObject(part) ? { ...Object.fromEntries(named), ...part } : part;
  let place = "#";
  for (let part = schema;;) {
    const inner = partsOf(part).find(([, each]) => performance.now() < deadline && isFault(alone(each)));
    if (inner === undefined) return place;
    [, part] = inner;
    place += `/${inner[0].map((step) => step.replaceAll("~", "~0").replaceAll("/", "~1")).join("/")}`;
  }
}

/** The schemas right in a schema, each with the steps to it. */
function partsOf(schema: unknown): [steps: string[], part: unknown][] {
  if (!isObject(schema)) return [];
  const named = BY_NAME.flatMap((key) =>
    isObject(schema[key]) ? Object.entries(schema[key]).map(([name, part]) => [[key, name], part] as const) : []
  );
  const listed = LISTS.flatMap((key) =>
    Array.isArray(schema[key]) ? schema[key].map((part, index) => [[key, String(index)], part] as const) : []
  );
  const single = SINGLE.filter((key) => Object.hasOwn(schema, key)).map((key) => [[key], schema[key]] as const);
  return [...named, ...listed, ...single].map(([steps, part]) => [[...steps], part]);
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
