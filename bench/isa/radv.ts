/**
 * Compiles WGSL as Deno would for an AMD GPU that need not be there: naga, then Mesa's RADV on its null device.
 *
 * @module
 */
import { UsageError } from "../../src/cli/options.ts";
import { type LoopFigures, readAssembly } from "./assembly.ts";
import type { ListedShader } from "./listing_device.ts";

/** Figures of one shader's machine code. */
export interface ShaderFigures extends LoopFigures {
  /** Vector registers of a lane. */
  readonly vgprs: number;
  /** Registers, vector or scalar, that did not fit and went to memory. */
  readonly spills: number;
  /** Bytes of private memory of a wave. */
  readonly scratch: number;
  /** Bytes of workgroup memory. */
  readonly lds: number;
  /** Waves that fit a SIMD at once. */
  readonly waves: number;
  /** Instructions. */
  readonly instructions: number;
  /** The compiler's estimate of a wave's cycles. */
  readonly latency: number;
  /** The compiler's estimate of cycles a wave occupies the busiest unit. */
  readonly inverseThroughput: number;
}

/** A compiler for one family. */
export interface Radv extends AsyncDisposable {
  /** Compiles one shader. */
  compile(shader: ListedShader): Promise<{ figures: ShaderFigures; assembly: string }>;
}

/** Bounds checks as wgpu asks naga for them where the driver checks buffers itself. */
const NAGA = ["--index-bounds-check-policy", "Restrict", "--buffer-bounds-check-policy", "Unchecked"];

const DRIVERS = ["radeon_icd.x86_64.json", "radeon_icd.aarch64.json", "radeon_icd.json"]
  .map((name) => `/usr/share/vulkan/icd.d/${name}`);

async function run(command: string, args: string[], env: Record<string, string> = {}): Promise<string> {
  let output: Deno.CommandOutput;
  try {
    output = await new Deno.Command(command, { args, env, stdout: "piped", stderr: "piped" }).output();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new UsageError(
      `Cannot find ${command}: install naga-cli 29 by cargo, and the packages gcc, libvulkan-dev, mesa-vulkan-drivers`,
    );
  }
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  if (!output.success) throw new Error(`${command} ${args.join(" ")} failed:\n${text(output.stderr)}`);
  return text(output.stdout);
}

/** Builds the compiler; it is removed with its temporary folder at the end. */
export async function openRadv(family: string): Promise<Radv> {
  const driver = DRIVERS.find((path) => {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  });
  if (driver === undefined) throw new UsageError("Cannot find RADV: install the package mesa-vulkan-drivers");
  const folder = await Deno.makeTempDir({ prefix: "skein_isa_" });
  const compiler = `${folder}/compile`;
  await run("gcc", ["-O1", "-o", compiler, new URL("compile.c", import.meta.url).pathname, "-lvulkan"]);
  const env = {
    RADV_FORCE_FAMILY: family,
    VK_ICD_FILENAMES: driver,
    VK_DRIVER_FILES: driver,
    MESA_SHADER_CACHE_DISABLE: "true",
    XDG_RUNTIME_DIR: folder,
  };
  return {
    async compile({ code, bindings }) {
      await Deno.writeTextFile(`${folder}/kernel.wgsl`, code);
      await run("naga", [...NAGA, `${folder}/kernel.wgsl`, `${folder}/kernel.spv`]);
      const output = await run(compiler, [`${folder}/kernel.spv`, bindings], env);
      const [told, assembly = ""] = output.split("\ndisassembly\n");
      const statistics = new Map(told!.split("\n").map((line) => line.split("\t") as [string, string]));
      const figure = (name: string): number => {
        const value = statistics.get(name);
        if (value === undefined) throw new Error(`The driver does not tell "${name}", only: ${[...statistics.keys()]}`);
        return Number(value);
      };
      const figures: ShaderFigures = {
        vgprs: figure("VGPRs"),
        spills: figure("Spilled VGPRs") + figure("Spilled SGPRs"),
        scratch: figure("Scratch size"),
        lds: figure("LDS size"),
        waves: figure("Subgroups per SIMD"),
        instructions: figure("Instructions"),
        latency: figure("Latency"),
        inverseThroughput: figure("Inverse Throughput"),
        ...readAssembly(assembly),
      };
      return { figures, assembly };
    },
    async [Symbol.asyncDispose]() {
      await Deno.remove(folder, { recursive: true });
    },
  };
}
