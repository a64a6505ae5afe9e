#!/usr/bin/env python3
"""What tests/gpu/kernel_costs_test.py finds: planted kernels that became worse, and loops of code
whose shape is known. Exit status 77: nvcc, or the tools that read machine code, are missing."""
import dataclasses
import sys
import unittest
from pathlib import Path

import kernel_costs
import kernel_sass
import kernel_tools

# A search (0x30-0x40) within the work (0x10-0x80), done for each of many things (0x00-0xa0), and a
# function that is called.
NESTED = """
\t\tFunction : nested
        /*0000*/                   S2R R0, SR_TID.X ;              /* 0x0000000000027919 */
        /*0010*/                   LDG.E.128 R4, desc[UR4][R2.64] ; /* 0x0000000000027919 */
        /*0020*/                   WARPSYNC 0xffffffff ;
        /*0030*/                   IADD3 R1, R1, 0x1, RZ ;
        /*0040*/              @!P1 BRA 0x30 ;
        /*0050*/                   LOP3.LUT R7, R7, R8, RZ, 0x3c, !PT ;
        /*0060*/              @!PT IMAD.IADD R7, R7, 0x1, R3 ;
        /*0070*/                   UIADD3 UR4, UR4, 0x1, URZ ;
        /*0080*/                   BRA.U !UP0, 0x10 ;
        /*0090*/                   CALL.REL.NOINC 0xc0 ;
        /*00a0*/               @P0 BRA P2, 0x0 ;
        /*00b0*/                   EXIT ;
        /*00c0*/                   MUFU.RCP R1, R1 ;
        /*00d0*/                   RET.REL.NODEC R2 0x0 ;
        /*00e0*/                   BRA 0xe0;
        /*00f0*/                   NOP ;
"""

FORKED = """
\t\tFunction : forked
        /*0000*/              @!P1 BRA 0x40 ;
        /*0010*/                   MOV R1, R2 ;
        /*0020*/                   MOV R2, R3 ;
        /*0030*/                   BRA 0x50 ;
        /*0040*/                   MOV R3, R4 ;
        /*0050*/               @P0 BRA 0x0 ;
        /*0060*/                   EXIT ;
"""

PLANTED = r"""
template <int kRounds>
__global__ void BOUND stir(const uint4* __restrict__ from, uint4* to, unsigned count) {
  unsigned v[24];
  for (int i = 0; i < 24; ++i) v[i] = i * threadIdx.x;
#pragma unroll 1
  for (unsigned at = 0; at < count; ++at) {
    const uint4 next = from[at * 32 + threadIdx.x];
    v[0] ^= next.x, v[5] ^= next.y, v[9] ^= next.z, v[14] ^= next.w;
#pragma unroll
    for (int round = 0; round < kRounds + EXTRA; ++round) {
      for (int i = 0; i < 24; ++i) v[i] = (v[i] ^ v[(i + 7) % 24]) + (v[(i + 1) % 24] >> 3);
    }
  }
  for (int i = 0; i < 6; ++i) to[i] = {v[4 * i], v[4 * i + 1], v[4 * i + 2], v[4 * i + 3]};
}
template __global__ void stir<2>(const uint4*, uint4*, unsigned);
"""


class Loops(unittest.TestCase):
    def setUp(self):
        self.code = kernel_sass.functions(NESTED)["nested"]

    def test_nest(self):
        loops = kernel_sass.loops(self.code)
        self.assertEqual([(loop.head, max(loop.body), loop.depth, len(loop.own))
                          for loop in loops if max(loop.body) < 0xb0],
                         [(0x0, 0xa0, 1, 3), (0x10, 0x80, 2, 6), (0x30, 0x40, 3, 2)])

    def test_the_work_is_hot(self):
        loop = kernel_sass.hot_loop(self.code)
        self.assertEqual(min(loop.body), 0x10)
        hot = [each for each in self.code if each.at in loop.own]
        self.assertEqual(kernel_sass.by_pipe(hot),
                         {"alu": 1, "fma": 1, "memory": 1, "uniform": 1, "control": 2})
        self.assertEqual(sum(each.loaded_bytes for each in hot), 16)

    def test_of_a_depth(self):
        for depth, begin in ((1, 0x0), (2, 0x10), (3, 0x30)):
            self.assertEqual(min(kernel_sass.hot_loop(self.code, depth).body), begin)

    def test_the_shortest_turn(self):
        way = kernel_sass.shortest_turn(self.code, kernel_sass.hot_loop(self.code))
        self.assertEqual(sorted(way), list(range(0x10, 0x90, 0x10)))
        forked = kernel_sass.functions(FORKED)["forked"]
        way = kernel_sass.shortest_turn(forked, kernel_sass.hot_loop(forked))
        self.assertEqual(sorted(way), [0x00, 0x40, 0x50])

    def test_none(self):
        code = kernel_sass.functions("\t\tFunction : straight\n        /*0000*/    EXIT ;\n")
        self.assertIsNone(kernel_sass.hot_loop(code["straight"]))


class Figures(unittest.TestCase):
    def test_names_have_no_hashes(self):
        for demangled, plain in (
                ("void cairn::gpu::(anonymous namespace)::hash<true>(cairn::gpu::Trees)",
                 "hash<true>"),
                ("cairn::gpu::(anonymous namespace)::join(unsigned int*)", "join"),
                ("void cairn::gpu::hash<(cairn::gpu::(anonymous namespace)::Kind)2>(Kind)",
                 "hash<2>"),
                ("void cairn::gpu::cast<(unsigned int)4, cairn::gpu::Bf16>(void (*)(int))",
                 "cast<4, Bf16>")):
            self.assertEqual(kernel_tools.plain_name(demangled), plain)

    def test_occupancy(self):
        for registers, threads, shared, share in (
                (32, 256, 0, 1), (33, 256, 0, 0.75), (64, 256, 0, 0.5), (64, 1024, 0, 0.5),
                (65, 1024, 0, 0), (16, 32, 0, 0.5), (32, 256, 48 << 10, 0.5)):
            self.assertEqual(kernel_costs.occupancy(registers, threads, shared), share,
                             (registers, threads, shared))

    def test_ceiling(self):
        turn = kernel_costs.Turn({"alu": 569, "fma": 125}, loaded=64, around=0)
        self.assertAlmostEqual(turn.ceiling(64) / 1e9, 1881, delta=1)


class Planted(unittest.TestCase):
    """The same kernel, as it was and worse."""

    @classmethod
    def setUpClass(cls):
        cls.disassembler = kernel_tools.Disassembler()
        cls.folder = kernel_tools.scratch()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.before = cls.costs(cls)
        cls.limits = {name: cost.proposed() for name, cost in cls.before.items()}

    def costs(self, extra=0, bound="", flags=()):
        source = Path(self.folder.name, "planted.cu")
        source.write_text(f"#define EXTRA {extra}\n#define BOUND {bound}\n{PLANTED}")
        made = kernel_tools.compile_kernels(source, self.folder.name, *flags)
        return kernel_costs.measure(self.disassembler, [made], [kernel_costs.MAIN])

    def wrong_of(self, costs):
        return "\n".join(kernel_costs.judge(costs, self.limits))

    def test_as_it_was(self):
        self.assertEqual(list(self.before), ["stir<2>"])
        self.assertEqual(self.before["stir<2>"].turn().loaded, 16)
        self.assertEqual(self.before["stir<2>"].spills[kernel_costs.MAIN], 0)
        self.assertEqual(self.wrong_of(self.before), "")

    def test_more_work_for_the_same(self):
        wrong = self.wrong_of(self.costs(extra=1))
        self.assertRegex(wrong, r"stir<2>: \d+ ALU instructions per 64 bytes, \d+ allowed")

    def test_registers_that_spill(self):
        wrong = self.wrong_of(self.costs(flags=["-maxrregcount=24"]))
        self.assertRegex(wrong, r"stir<2>: \d+ spills on sm_90, 0 allowed")

    def test_more_registers(self):
        less = dict(registers=self.limits["stir<2>"].registers - 1)
        limits = {"stir<2>": dataclasses.replace(self.limits["stir<2>"], **less)}
        self.assertRegex("\n".join(kernel_costs.judge(self.before, limits)),
                         r"stir<2>: \d+ registers on sm_90")

    def test_bounded_by_fewer_threads_than_it_is_launched_with(self):
        wrong = self.wrong_of(self.costs(bound="__launch_bounds__(256)"))
        self.assertRegex(wrong, r"stir<2>: launched in blocks of 1024 threads.* sm_90: at most 256")

    def test_without_limits_it_says_which(self):
        (wrong,) = kernel_costs.judge(self.before, {})
        self.assertIn("stir<2>: give it limits", wrong)
        line = wrong.splitlines()[1]
        limits = eval(f"{{{line}}}", {"Limits": kernel_costs.Limits})  # as in the table
        self.assertEqual(kernel_costs.judge(self.before, limits), [])

    def test_limits_without_a_kernel(self):
        self.assertRegex("\n".join(kernel_costs.judge({}, self.limits)), "stir<2>: .* no kernel")


if __name__ == "__main__":
    try:
        kernel_tools.find("nvcc", "cuobjdump", "nvdisasm", "ar", "c++filt")
    except kernel_tools.Missing as missing:
        print(f"skipped: {missing}")
        sys.exit(77)
    unittest.main()
