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
  launched       threads of a block at most, of all launches: 1024 for a kernel that takes a Share
                 by shape_for() (if left out), so that one compiled for fewer is found here and not
                 on a device
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
    launched: int = 1024
    stack: int = 0
    spills: int = 0
    shared: int = 0


# Transforms: a source of residuals, items of so many bytes, what becomes of them. A turn of the hot
# loop is a tile, of which a thread does 64 bytes of items, and all ways that its code has are
# counted: whole vectors and what is left at the end of a chunk, items with a base and without. A
# tile takes one of them, so that the rate by these instructions is the least it can be. (The
# shortest way is none that counts: that of codes which are damaged.)
# Of replay it is a step of a program on four items, and all operations are counted, of which a step
# does one: these rates say nothing, and the tile is among what is around.
# Spills are of vectors of sixteen items, of which a thread has four beside their codes, and, where
# replay has some, of sm_100 alone. A new row begins with zeros: what it fails with are its numbers.
TRANSFORMS = """
    verb    source   bytes  coding  registers   alu   all  around  stack  spills
    encode  plain        1  planes         63   753  1295      59
    encode  plain        1  sparse         64  1324  2115     126
    encode  plain        1  quads          64  1485  2270     126
    encode  plain        1  counts         62  1268  1767      56
    decode  plain        1  planes         60   979  1678      59
    decode  plain        1  sparse         64  1515  2473      59     40      20
    decode  plain        1  quads          64  1552  2500      60     40      10
    encode  plain        2  planes         64   654  1084      59
    encode  plain        2  sparse         64   966  1538     127
    encode  plain        2  quads          64  1005  1582     126
    encode  plain        2  counts         62   831  1199      56
    decode  plain        2  planes         60   753  1337      59
    decode  plain        2  sparse         64   882  1494      59
    decode  plain        2  quads          64   919  1543      59
    encode  plain        4  planes         56   431   783      59
    encode  plain        4  sparse         64   519   914     127
    encode  plain        4  quads          64   518   926     127
    encode  plain        4  counts         51   425   666      56
    decode  plain        4  planes         60   513   985      59
    decode  plain        4  sparse         64   509   899      59
    decode  plain        4  quads          64   530   932      59
    encode  plain        8  planes         56   500   913      59
    encode  plain        8  sparse         64   516   869     128
    encode  plain        8  quads          64   530   879     128
    encode  plain        8  counts         50   406   610      59
    decode  plain        8  planes         59   577  1252      59
    decode  plain        8  sparse         64   500   836      59
    decode  plain        8  quads          64   513   859      59
    encode  derived      2  planes         75  1571  2368      59
    encode  derived      2  sparse         76  1818  2728     127
    encode  derived      2  quads          80  1962  2898     126
    encode  derived      2  counts         79  1760  2493      56
    decode  derived      2  planes         74  1597  2428      57
    decode  derived      2  sparse         80  1726  2584      58
    decode  derived      2  quads          80  1762  2630      58
    encode  derived      4  planes         55   585  1074      60
    encode  derived      4  sparse         64   674  1205     129
    encode  derived      4  quads          64   674  1217     128
    encode  derived      4  counts         60   576   957      57
    decode  derived      4  planes         52   538  1083      59
    decode  derived      4  sparse         64   532   993      58
    decode  derived      4  quads          64   554  1029      59
    encode  replay       2  planes         80   392  1649    1634
    encode  replay       2  sparse         80   392  1649    2052
    encode  replay       2  quads          80   392  1600    2209
    encode  replay       2  counts         78   392  1645    1731
    decode  replay       2  planes         72   392  1645    1681
    decode  replay       2  sparse         80   392  1633    2010
    decode  replay       2  quads          80   392  1633    2058
    encode  replay       4  planes         63   392  1645    1480
    encode  replay       4  sparse         64   392  1645    1667     16       6
    encode  replay       4  quads          64   392  1645    1680
    encode  replay       4  counts         64   392  1645    1350
    decode  replay       4  planes         63   392  1645    1599
    decode  replay       4  sparse         64   392  1633    1597
    decode  replay       4  quads          64   392  1633    1637
"""
TILE_BYTES, STEP_BYTES = 64, 16
TILE_THREADS = 256  # with a share too
SHARED = {"planes": 0, "sparse": 16480, "quads": 16480, "counts": 136}
REPLAY_SHARED = 45904  # registers of programs, which codings take over
NARROW_OCCUPANCY = 3 / 8  # kBlocks of sources with much to keep for items of 2 bytes


def transform_name(verb, source, width, coding):
    item = {1: "unsigned char", 2: "unsigned short", 4: "unsigned int", 8: "unsigned long"}[width]
    made = {"planes": f"PlaneCoding<{item}>", "counts": f"ResidualCounting<{item}>",
            "sparse": f"EscapeCoding<{item}, 1u>", "quads": f"EscapeCoding<{item}, 2u>"}[coding]
    return f"{verb}_tiles<{source.capitalize()}Source<{item}>, {made} >"


def transform_limits(line):
    verb, source, width, coding, *numbers = line.split()
    registers, alu, all_pipes, around, stack, spills = map(int, [*numbers, 0, 0][:6])
    is_replay, is_narrow = source == "replay", source != "plain" and width == "2"
    limits = Limits(threads=TILE_THREADS, launched=TILE_THREADS,
                    bytes=STEP_BYTES if is_replay else TILE_BYTES, depth=3 if is_replay else 1,
                    registers=registers, alu=alu, all=all_pipes, around=around,
                    occupancy=NARROW_OCCUPANCY if is_narrow else 0.5, stack=stack, spills=spills,
                    shared=REPLAY_SHARED if is_replay else SHARED[coding])
    return transform_name(verb, source, int(width), coding), limits


LIMITS = {
    # BLAKE3: the arithmetic alone is 569 on the ALU pipe and 125 sums that are made as products.
    # Leaves in one piece at multiples of 16, at multiples of 4, and others, which are put together
    # of rows: 144 bytes to see, of which it loads 64 in one of several ways.
    "hash_leaves<1>": Limits(threads=256, bytes=64, registers=64, alu=597, all=742, around=295,
                             occupancy=0.5),
    "hash_leaves<2>": Limits(threads=256, bytes=64, registers=64, alu=670, all=885, around=540,
                             occupancy=0.5, shortest=True),  # words picked out of vectors
    "hash_leaves<4>": Limits(threads=256, bytes=64, registers=64, alu=723, all=925, around=412,
                             occupancy=0.5),
    "join_nodes": Limits(threads=256, bytes=64, registers=62, alu=582, all=700, around=895,
                         occupancy=0.5),
    # Changed chunks, each once: 32 bytes of a digest now and before, then a place in a list. The
    # second is for the sums of 1024 chunks.
    "mark_dirty": Limits(threads=1024, bytes=64, registers=32, alu=108, all=220, around=27,
                         occupancy=1, shared=384),
    "place_dirty": Limits(threads=1024, bytes=16, registers=32, alu=380, all=772, around=31,
                          occupancy=1, shared=384),
    "list_dirty": Limits(threads=1024, bytes=64, registers=32, alu=103, all=212, around=19,
                         occupancy=1, shared=384),
    # Read and written. Spills are of sm_100 alone, once for each 8 KiB of a warp.
    "gather_dirty": Limits(threads=256, bytes=128, registers=64, alu=16, all=40, around=607,
                           occupancy=0.5, shortest=True, stack=16, spills=7),
    # Back into tensors: what takes sixteen bytes at a time where they are aligned.
    "scatter_pieces": Limits(threads=256, bytes=16, registers=64, alu=75, all=140, around=2300,
                             occupancy=0.5, shortest=True),
    # Boxes of any strides: a unit of sixteen bytes with all ways to find it, and four units of two
    # bytes of a tile that is turned, of which the loop counted does one half, in or out.
    "copy_straight_boxes": Limits(threads=256, bytes=16, registers=32, alu=131, all=360, around=325,
                                  occupancy=1),
    "copy_turned_boxes": Limits(threads=256, bytes=8, registers=48, alu=254, all=654, around=395,
                                occupancy=0.625, depth=2, shared=8448),
    # Cuts: the first is for all bytes, the others for candidates, some in a MiB.
    "mark_segments": Limits(threads=256, bytes=64, registers=64, alu=178, all=300, around=1015,
                            occupancy=0.5, shortest=True),
    "place_groups": Limits(threads=1024, bytes=8, registers=31, alu=506, all=947, around=44,
                           occupancy=1, shared=256),
    "list_starts": Limits(threads=256, launched=256, bytes=16, registers=29, alu=82, all=229,
                          around=470, occupancy=1, depth=3, shared=1152),  # a start
    "link_starts": Limits(threads=256, bytes=8, registers=30, alu=229, all=743, around=170,
                          occupancy=1),
    "contract_links": Limits(threads=1024, bytes=16, registers=28, alu=323, all=861, around=22,
                             occupancy=1, shared=16384),
    "walk_links": Limits(threads=32, launched=32, bytes=16, registers=24, alu=25, all=70, around=31,
                         occupancy=0.5),
    "emit_tiles": Limits(threads=1024, bytes=32, registers=40, alu=127, all=239, around=216,
                         occupancy=0.5, shared=32768),
    # Four items, and all that is done where a guess is wrong. Spills are of sm_80 alone.
    "find_gradients_of_tiles<unsigned int>": Limits(
        threads=256, launched=256, bytes=16, registers=104, alu=2791, all=5566, around=1765,
        occupancy=0.375, depth=3, shared=30176, stack=8, spills=4),
    "find_gradients_of_tiles<unsigned short>": Limits(
        threads=256, launched=256, bytes=8, registers=104, alu=5580, all=11130, around=1765,
        occupancy=0.375, depth=3, shared=30176, stack=8, spills=4),
    **dict(map(transform_limits, TRANSFORMS.strip().splitlines()[1:])),
}
