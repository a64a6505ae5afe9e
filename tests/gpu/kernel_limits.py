"""What each kernel may cost. A kernel without a row fails tests/gpu/kernel_costs_test.py, which
prints the row to add here, with what was measured; give it thought before you take it over:

  threads        of a block as it is usually launched, for the occupancy
  bytes          that a thread gets done in one turn of the hot loop (kernel_sass.hot_loop), as the
                 kernel's rate counts them; proposed is what the loop loads, which is too much where
                 it loads in one of several ways
  registers      at most, on any architecture
  alu, all       instructions of the hot loop per 64 bytes at most: on the ALU pipe, and on all
  around         instructions of the whole kernel outside of the hot loop at most
  occupancy      warps on a multiprocessor of those that it can hold at least
  depth          of the hot loop in other loops, where another one is meant than what is found
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
    stack: int = 0
    spills: int = 0
    shared: int = 0


LIMITS = {
    # BLAKE3: the arithmetic alone is 569 on the ALU pipe and 125 sums that are made as products.
    "hash_leaves<true>": Limits(threads=256, bytes=64, registers=64, alu=590, all=730, around=250,
                                occupancy=0.5, stack=8, spills=2),  # on sm_100, once a thread
    "hash_leaves<false>": Limits(threads=256, bytes=64, registers=64, alu=720, all=920, around=360,
                                 occupancy=0.5),  # loads aligned and not: 144 bytes to see
    "join_nodes": Limits(threads=256, bytes=64, registers=61, alu=580, all=695, around=820,
                         occupancy=0.5),
}
