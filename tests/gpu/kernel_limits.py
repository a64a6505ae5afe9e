"""What each kernel may cost. A kernel without a row fails tests/gpu/kernel_costs_test.py, which
prints the row to add here, with what was measured; give it thought before you take it over:

  threads        of a block as it is usually launched, for the occupancy
  bytes          that a thread gets done in one turn of the hot loop (kernel_sass.hot_loop), as the
                 kernel's rate counts them; proposed is what the loop loads, which is too much where
                 it loads in one of several ways
  registers      at most, on any architecture
  alu, all       instructions of the hot loop per 64 bytes at most: on the ALU pipe, and on all
  around         instructions of the whole kernel that are not counted in these at most
  occupancy      warps on a multiprocessor of those that it can hold at least
  depth          of the hot loop in other loops, where another one is meant than what is found
  shortest       True: of the shortest way around the loop, where what is seldom done or done
                 otherwise (data at odd addresses) is much of its code
  stack          bytes of memory that a thread keeps variables in at most (0 if left out)
  spills         instructions that move registers there and back at most (0 if left out)
  shared         bytes of shared memory of a block at most (0 if left out)

All but registers, stack and spills is of compute capability 9.0. Another release of CUDA's compiler
makes other code: with another one than that of these figures, what is above its limit is no failure.
"""
import dataclasses

CUDA = "13.0"


@dataclasses.dataclass(frozen=True)
class Limits:
    threads: int
    bytes: int
    registers: int
    alu: float
    all: float
    around: int
    occupancy: float
    depth: int = 0
    shortest: bool = False
    stack: int = 0
    spills: int = 0
    shared: int = 0


LIMITS = {
    # BLAKE3: the arithmetic alone is 569 on the ALU pipe and 125 sums that are made as products.
    "hash_leaves<true>": Limits(threads=256, bytes=64, registers=64, alu=590, all=735, around=285,
                                occupancy=0.5),
    "hash_leaves<false>": Limits(threads=256, bytes=64, registers=64, alu=720, all=920, around=390,
                                 occupancy=0.5),  # loads aligned and not: 144 bytes to see
    "join_nodes": Limits(threads=256, bytes=64, registers=61, alu=580, all=695, around=830,
                         occupancy=0.5),
    # Changed chunks. The first is for each chunk once, 32 bytes now and before.
    "mark_dirty": Limits(threads=256, bytes=64, registers=28, alu=30, all=54, around=1,
                         occupancy=1),
    "list_dirty": Limits(threads=1024, bytes=4, registers=32, alu=1877, all=3885, around=82,
                         occupancy=1, shared=512),  # 32 marks a turn
    "gather_dirty": Limits(threads=256, bytes=128, registers=64, alu=16, all=40, around=640,
                           occupancy=0.5, shortest=True),  # read and written
    # Back into tensors: what takes sixteen bytes at a time where they are aligned.
    "scatter_pieces": Limits(threads=256, bytes=16, registers=62, alu=107, all=253, around=1330,
                             occupancy=0.5, shortest=True),
    # Cuts: the first is for all bytes, the others for candidates, some in a MiB.
    "mark_segments": Limits(threads=256, bytes=64, registers=64, alu=178, all=301, around=1020,
                            occupancy=0.5, shortest=True),
    "place_groups": Limits(threads=1024, bytes=8, registers=28, alu=547, all=1012, around=45,
                           occupancy=1, shared=256),
    "list_starts": Limits(threads=256, bytes=16, registers=29, alu=82, all=270, around=175,
                          occupancy=1, shared=128),
    "link_starts": Limits(threads=256, bytes=8, registers=28, alu=139, all=351, around=68,
                          occupancy=1),
    "contract_links": Limits(threads=1024, bytes=16, registers=20, alu=253, all=698, around=1,
                             occupancy=1, shared=8192),
    "walk_links": Limits(threads=32, bytes=8, registers=20, alu=41, all=107, around=23,
                         occupancy=0.5),
    "emit_tiles": Limits(threads=1024, bytes=32, registers=28, alu=66, all=141, around=144,
                         occupancy=1, shared=12288),
    "lay_out_nodes": Limits(threads=1024, bytes=192, registers=39, alu=480, all=636, around=2840,
                            occupancy=0.5, shared=256),
}
