/**
 * A kernel is data: its WGSL source, the names of its constants, bindings and parameters, and how its grid
 * follows from them. Keys are snake_case or upper case because they are the names in the WGSL file.
 *
 * @module
 */

/** How a kernel uses a buffer. `read_write` costs a barrier after the dispatch, so inputs are `read`. */
export type Access = "read" | "read_write";

/** Host type of a field of `struct Params`. */
export type ParamType = "u32" | "f32";

/** Values that are fixed when a pipeline is built: numbers become `const N = 64u;`, booleans `const`, strings `alias`. */
export type Constants = Readonly<Record<string, number | boolean | string>>;

/** Workgroups in x, y and z; missing extents are 1. */
export type Grid = readonly [number, number?, number?];

/** What a kernel file needs from the host. See `defineKernel`. */
export interface Kernel<B extends string = string, P extends string = string, C extends string = string> {
  /** File name under `wgsl/` without its ending, also the pipeline's label; families add a suffix after a dot. */
  readonly name: string;
  /** WGSL texts, joined in this order after the prelude. */
  readonly source: readonly string[];
  /** Names that the prelude must define. */
  readonly constants: readonly C[];
  /** Storage buffers in order of `@binding`; the uniform `params` follows where there are params. */
  readonly bindings: Readonly<Record<B, Access>>;
  /** Fields of `struct Params`, in order. */
  readonly params: Readonly<Record<P, ParamType>>;
  /** True where the kernel calls subgroup builtins, which some compilers want announced. */
  readonly subgroups?: boolean;
  /** Grid for one dispatch. */
  workgroups(params: Record<P, number>, constants: Record<C, number>): Grid;
  /** Work of one dispatch in multiply-adds, used only to cut long recordings into short submits. */
  cost(params: Record<P, number>, constants: Record<C, number>): number;
}

/**
 * Declares a kernel. The compiler then refuses a dispatch that misses a buffer, a parameter or a constant.
 *
 * @param kernel The declaration; `workgroups` and `cost` are pure functions of params and constants.
 * @returns The same object, with its literal key types kept.
 */
export function defineKernel<B extends string, P extends string = never, C extends string = never>(
  kernel: Kernel<B, P, C>,
): Kernel<B, P, C> {
  return kernel;
}

/** Packs params in the declared order into the bytes of `struct Params` (all fields are 4 bytes wide). */
export function packParams(
  kernel: Kernel,
  params: Readonly<Record<string, number>>,
  out: DataView,
  byteOffset: number,
): void {
  let at = byteOffset;
  for (const [name, type] of Object.entries(kernel.params)) {
    const value = params[name]!;
    if (type === "f32") out.setFloat32(at, value, true);
    else out.setUint32(at, value, true);
    at += 4;
  }
}
