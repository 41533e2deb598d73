/**
 * JSON Schemas by the keywords of the official test suite (draft 2020-12) that grammars know, each named by the suite's
 * file whose cases it follows. They bound what they describe, so that a model that picks tokens at random comes to an end.
 *
 * @module
 */

/** A schema as JSON has it. */
export type JsonSchema = boolean | Readonly<Record<string, unknown>>;

const word = { type: "string", maxLength: 8 };
const small = { type: "integer", minimum: -99, maximum: 99 };

function object(properties: Record<string, unknown>, rest: Record<string, unknown> = {}): JsonSchema {
  return { type: "object", properties, additionalProperties: false, ...rest };
}

/** The schemas, by file of the suite and case. */
export const schemas: Readonly<Record<string, JsonSchema>> = {
  "type: integer": { ...small },
  "type: number": { type: "number", minimum: -1000, maximum: 1000, multipleOf: 0.25 },
  "type: string": word,
  "type: object": object({ a: word }),
  "type: array": { type: "array", items: small, maxItems: 4 },
  "type: boolean": { type: "boolean" },
  "type: null": { type: "null" },
  "type: multiple types can be specified in an array": { type: ["integer", "null"], minimum: 0, maximum: 9 },
  "enum: simple enum": { enum: [1, 2, 3] },
  "enum: heterogeneous enum": { enum: [6, "foo", [], true, { foo: 12 }] },
  "enum: enum with escaped characters": { enum: ["foo\nbar", "foo\rbar"] },
  "enum: enums in properties": object({ foo: { enum: ["foo"] }, bar: { enum: ["bar"] } }, { required: ["bar"] }),
  "const: const with object": { const: { foo: "bar", baz: "bax" } },
  "const: const with array": { const: [{ foo: "bar" }] },
  "const: const with null": { const: null },
  "const: nul characters in strings": { const: "hello\u0000there" },
  "const: float and integers are equal up to 64-bit": { const: 9007199254740992 },
  "properties: object properties": object({ foo: small, bar: word }),
  "properties: with escaped characters": object({
    "foo\nbar": small,
    'foo"bar': small,
    "foo\\bar": small,
    "foo\tbar": small,
  }),
  "properties: names of JavaScript's own": object({
    __proto__x: small,
    toString: object({ length: word }),
    constructor: small,
  }),
  "required: required with escaped characters": object({ 'a"b': small, "c\\d": small }, { required: ['a"b', "c\\d"] }),
  "required: required validation": object({ foo: small, bar: small, baz: word }, { required: ["foo"] }),
  "additionalProperties: being a schema": {
    type: "object",
    properties: { foo: small },
    additionalProperties: { type: "boolean" },
    required: ["foo"],
    maxProperties: 3,
  },
  "additionalProperties: non-ASCII pattern": {
    type: "object",
    patternProperties: { "^á[a-z]{0,3}$": small },
    additionalProperties: false,
    maxProperties: 2,
  },
  "patternProperties: properties matching a regex": {
    type: "object",
    patternProperties: { "^f[a-z]{1,4}o$": small },
    additionalProperties: false,
    maxProperties: 3,
  },
  "minProperties and maxProperties": {
    type: "object",
    patternProperties: { "^[a-z]{1,5}$": small },
    additionalProperties: false,
    minProperties: 1,
    maxProperties: 2,
  },
  "items: a schema given for items": { type: "array", items: word, maxItems: 3 },
  "items: nested items": {
    type: "array",
    maxItems: 2,
    items: { type: "array", maxItems: 2, items: { type: "array", maxItems: 2, items: { type: "boolean" } } },
  },
  "items: prefixItems with no additional items allowed": { type: "array", prefixItems: [small, word], items: false },
  "prefixItems: a schema given for prefixItems": {
    type: "array",
    prefixItems: [small, word, { type: "null" }],
    items: small,
    minItems: 3,
    maxItems: 5,
  },
  "minItems and maxItems": { type: "array", items: { type: "boolean" }, minItems: 2, maxItems: 5 },
  "minLength: counts graphemes' code points": { type: "string", minLength: 2, maxLength: 6 },
  "maxLength: zero": { type: "string", maxLength: 0 },
  "minimum: with signed integer": { type: "integer", minimum: -2, maximum: 300 },
  "minimum: fractions": { type: "number", minimum: 1.1, maximum: 9.75, multipleOf: 0.05 },
  "exclusiveMinimum and exclusiveMaximum": { type: "integer", exclusiveMinimum: 10, exclusiveMaximum: 12 },
  "exclusiveMaximum: numbers": { type: "number", exclusiveMinimum: -3, exclusiveMaximum: 3, multipleOf: 0.5 },
  "multipleOf: by int": { type: "integer", multipleOf: 7, minimum: 0, maximum: 700 },
  "multipleOf: by number": { type: "number", multipleOf: 0.01, minimum: 0, maximum: 10 },
  "pattern: anchored": { type: "string", pattern: "^a{1,5}$" },
  "pattern: not anchored": { type: "string", pattern: "[0-9]+", maxLength: 10 },
  "pattern: with alternatives and classes": { type: "string", pattern: "^(left|right)-[0-9a-f]{2,4}(\\.[A-Z])?$" },
  "format: date": { type: "string", format: "date" },
  "format: time": { type: "string", format: "time", maxLength: 20 },
  "format: uuid": { type: "string", format: "uuid" },
  "format: ipv4": { type: "string", format: "ipv4" },
  "anyOf: simple": { anyOf: [small, word] },
  "anyOf: complex types": {
    anyOf: [object({ bar: small }, { required: ["bar"] }), object({ foo: word }, { required: ["foo"] })],
  },
  "anyOf: nested, to check semantics": { anyOf: [{ anyOf: [{ type: "null" }] }] },
  "allOf: with base schema": {
    type: "object",
    properties: { bar: small },
    required: ["bar"],
    allOf: [
      { properties: { foo: word }, required: ["foo"] },
      { properties: { baz: { type: "null" } }, required: ["baz"] },
    ],
    maxProperties: 3,
  },
  "allOf: simple types": { type: "integer", allOf: [{ maximum: 30 }, { minimum: 20 }] },
  "oneOf: cases that exclude one another": {
    oneOf: [
      object({ kind: { const: "point" }, at: small }, { required: ["kind", "at"] }),
      object({ kind: { const: "text" }, text: word }, { required: ["kind", "text"] }),
    ],
  },
  "ref: relative pointer ref to object": {
    type: "object",
    properties: { foo: small, bar: { $ref: "#/properties/foo" } },
    additionalProperties: false,
    required: ["bar"],
  },
  "ref: nested refs": {
    $defs: { a: small, b: { $ref: "#/$defs/a" }, c: { $ref: "#/$defs/b" } },
    $ref: "#/$defs/c",
  },
  "ref: recursive references between schemas": {
    $defs: {
      node: object({ value: small, next: { anyOf: [{ type: "null" }, { $ref: "#/$defs/node" }] } }, {
        required: ["value", "next"],
      }),
    },
    $ref: "#/$defs/node",
  },
  "defs: a record as programs ask for": {
    $defs: {
      person: object({ name: word, age: { type: "integer", minimum: 0, maximum: 120 } }, { required: ["name"] }),
    },
    ...object({
      title: word,
      authors: { type: "array", items: { $ref: "#/$defs/person" }, minItems: 1, maxItems: 2 },
      price: { type: "number", minimum: 0, maximum: 100, multipleOf: 0.01 },
      language: { enum: ["en", "fr", "日本"] },
      inPrint: { type: "boolean" },
    }, { required: ["title", "authors", "language"] }) as Record<string, unknown>,
  },
};
