/* tslint:disable */
/* eslint-disable */

/**
 * Decodes one token at a time, giving out every character as soon as its last byte is known.
 */
export class DecodeStream {
    private constructor();
    free(): void;
    [Symbol.dispose](): void;
    /**
     * The rest of the text; bytes that no token completed become replacement characters.
     */
    flush(): string;
    /**
     * The text that a token completes.
     */
    push(id: number): string;
}

/**
 * Reads the header of a checkpoint file. Does no input or output itself: supply the bytes that `wanted` names until
 * it is undefined, then take the table with `finish`.
 */
export class HeaderParser {
    free(): void;
    [Symbol.dispose](): void;
    /**
     * The table of tensors as JSON: `{tensors: [{name, dtype, shape, begin, end}], metadata}`.
     */
    finish(): string;
    /**
     * The tokenizer in a GGUF file's metadata.
     */
    ggufTokenizer(): Tokenizer;
    /**
     * Starts on a file of `fileSize` bytes. `format` is `safetensors`, `gguf` or `torch`.
     */
    constructor(format: "safetensors" | "gguf" | "torch", fileName: string, fileSize: number);
    /**
     * Supplies the bytes of the wanted range, all of them.
     */
    supply(bytes: Uint8Array | number[]): void;
    /**
     * The range of the file that is wanted next, begin and end in bytes; undefined when the header is complete.
     */
    wanted(): Float64Array | undefined;
}

/**
 * Text to token ids and back.
 */
export class Tokenizer {
    private constructor();
    free(): void;
    [Symbol.dispose](): void;
    /**
     * The text of some ids.
     */
    decode(ids: Uint32Array | number[], skipSpecialTokens: boolean): string;
    /**
     * The ids of a text, with BOS and EOS as the tokenizer's config says when `addSpecialTokens` is true.
     */
    encode(text: string, addSpecialTokens: boolean): Uint32Array;
    /**
     * Builds a tokenizer from `tokenizer.json` and, where there is one, `tokenizer_config.json`.
     */
    static fromJson(tokenizerJson: Uint8Array | number[], tokenizerConfig?: Uint8Array | number[] | null): Tokenizer;
    /**
     * How the vocabulary spells a token; undefined where an id has none.
     */
    piece(id: number): string | undefined;
    /**
     * Starts decoding one token at a time.
     */
    stream(skipSpecialTokens: boolean): DecodeStream;
    /**
     * The id that begins a text.
     */
    readonly bosId: number | undefined;
    /**
     * The Jinja template that turns messages into a prompt.
     */
    readonly chatTemplate: string | undefined;
    /**
     * The id that ends a text.
     */
    readonly eosId: number | undefined;
    /**
     * The ids of all special tokens, ascending.
     */
    readonly specialIds: Uint32Array;
    /**
     * One more than the highest id.
     */
    readonly vocabSize: number;
}

/**
 * Reads a shard index: `{weight_map: {tensor: file}}` as JSON, every file in the index's own folder.
 */
export function parseIndex(json: Uint8Array | number[]): string;
