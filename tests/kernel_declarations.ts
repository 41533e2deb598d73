/**
 * Collects every kernel that `src/kernels` declares. Their declarations are private to their modules, so each module
 * is loaded once more with a `defineKernel` that also writes down what it is given.
 *
 * @module
 */
import type { Kernel } from "../src/gpu/kernel.ts";

const FOLDER = new URL("../src/kernels/", import.meta.url);
const KERNEL_MODULE = new URL("../src/gpu/kernel.ts", import.meta.url).href;

/** A declaration and the module that it stands in. */
export interface Declaration {
  /** File name under `src/kernels`. */
  readonly file: string;
  /** The declaration itself. */
  readonly kernel: Kernel;
}

/** All declarations, by module. Writes to and removes a temporary folder. */
export async function kernelDeclarations(): Promise<Declaration[]> {
  const folder = await Deno.makeTempDir({ prefix: "skein_kernels_" });
  const declared: Declaration[] = [];
  const globals = globalThis as unknown as { declareKernel?: (kernel: Kernel) => void };
  try {
    await Deno.writeTextFile(
      `${folder}/kernel.ts`,
      `export * from ${JSON.stringify(KERNEL_MODULE)};
export function defineKernel(kernel) { globalThis.declareKernel(kernel); return kernel; }\n`,
    );
    for await (const { name: file } of Deno.readDir(FOLDER)) {
      const url = new URL(file, FOLDER);
      const text = (await Deno.readTextFile(url)).replaceAll(/from "(\.[^"]+)"/g, (_, path) => {
        const { href } = new URL(path, url);
        return `from ${JSON.stringify(href === KERNEL_MODULE ? "./kernel.ts" : href)}`;
      });
      await Deno.writeTextFile(`${folder}/${file}`, text);
      globals.declareKernel = (kernel) => declared.push({ file, kernel });
      await import(`file://${folder}/${file}`);
    }
  } finally {
    delete globals.declareKernel;
    await Deno.remove(folder, { recursive: true });
  }
  return declared;
}
