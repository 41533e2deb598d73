import { assert, assertEquals } from "@std/assert";
import { readAssembly } from "../../bench/isa/assembly.ts";
import { createListingDevice } from "../../bench/isa/listing_device.ts";
import { formatTable, problems } from "../../bench/isa/report.ts";
import { shapeOf } from "../../bench/shapes.ts";
import { SyntheticModel } from "../../bench/synthetic_model.ts";
import { Gpu } from "../../src/gpu/device.ts";

const ASSEMBLY = `
BB0:
	s_mov_b32 s0, 0                                             ; be800380
BB1:
	s_cmp_ge_u32 s0, s1                                         ; bf098000
	s_cbranch_scc1 BB4                                          ; bf850000
BB2:
	global_load_dwordx4 v[4:7], v0, s[2:3]                      ; dc388000
	v_mov_b32_e32 v8, 0                                         ; 7e100280
	v_fmac_f32_e32 v1, v4, v5                                   ; 56020b04
	v_dot4_i32_i8 v2, v6, v7, v2                                ; cc160002
	s_cbranch_scc0 BB2                                          ; bf840000
BB3:
	s_branch BB1                                                ; bf820000
BB4:
	s_endpgm                                                    ; bf810000
`;

Deno.test("the innermost loop of a disassembly is found and its instructions are told apart", () => {
  const { loopInstructions, arithmeticShare, multiplyAddShare, dot4 } = readAssembly(ASSEMBLY);
  assertEquals(loopInstructions, 5);
  assertEquals(arithmeticShare, 2 / 5);
  assertEquals(multiplyAddShare, 2 / 5);
  assertEquals(dot4, 1);
});

Deno.test("code without a loop has none", () => {
  assertEquals(readAssembly("BB0:\n  v_add_f32_e32 v0, v1, v2\n  s_endpgm").loopInstructions, 0);
});

Deno.test("the listing device finds every kernel of a model whose weights would never fit", async () => {
  const { device, shaders } = createListingDevice({ subgroupSize: 32, maxTensorBytes: 2 ** 31 - 16 });
  using gpu = await Gpu.from(device);
  const options = { config: shapeOf("Llama-2-7B", 2), weights: "q4", kvFormat: "q8", fill: false } as const;
  using model = await SyntheticModel.create(gpu, { ...options, contextLength: 65536, prefillChunk: 512 });
  model.decode(0);
  model.prefill(0, 512, true);
  const names = new Set(shaders.map(({ name }) => name.replace(/\..*/, "")));
  for (const name of ["attention_prefill_shared", "attention_decode_shared", "matmul_tiled", "matvec_shared"]) {
    assert(names.has(name), `${name} is not among ${[...names]}`);
  }
});

Deno.test("spills and too few waves are problems, and stand in the table", () => {
  const good = {
    ...{ name: "7B matvec", vgprs: 64, spills: 0, scratch: 0, lds: 0, waves: 12, instructions: 9, latency: 1 },
    ...{ inverseThroughput: 1, loopInstructions: 4, arithmeticShare: 0.5, multiplyAddShare: 0.25, dot4: 0 },
  };
  assertEquals(problems([good]), []);
  assertEquals(problems([{ ...good, spills: 3, scratch: 64 }]), ["7B matvec spills 3 registers, 64 bytes of scratch"]);
  assertEquals(problems([{ ...good, waves: 5 }]), ["7B matvec runs 5 waves, fewer than 8"]);
  assertEquals(problems([{ ...good, name: "7B silu_mul", waves: 5 }]), []);
  assert(formatTable("navi21", [good]).includes("50%      25%"));
});
