/**
 * A validator of JSON that is not ours, for the tests.
 *
 * @module
 */
// Named here and not in deno.json, because `deno task` fetches what is named there even for commands without tests.
// deno-lint-ignore no-import-prefix
import { Ajv2020 } from "npm:ajv@8.20.0/dist/2020.js";

const ajv = new Ajv2020({
  strict: false,
  allErrors: true,
  // Otherwise an object without a property toString has one.
  ownProperties: true,
  // 2.3 is a multiple of 0.05, which floating-point division denies.
  multipleOfPrecision: 9,
  formats: {
    date: (text: string) => /^\d{4}-\d\d-\d\d$/.test(text) && isDate(text),
    time: /^([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$/i,
    uuid: /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i,
    ipv4: /^((25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(\.(?!$)|$)){4}$/,
  },
});

function isDate(text: string): boolean {
  const date = new Date(`${text}T00:00:00Z`);
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(text);
}

/** What is wrong with a value under a JSON Schema; nothing if it is valid. */
export function violations(schema: boolean | Readonly<Record<string, unknown>>, value: unknown): string {
  return ajv.validate(schema, value) ? "" : ajv.errorsText();
}
