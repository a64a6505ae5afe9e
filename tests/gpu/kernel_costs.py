"""What kernels cost, measured in their machine code, and whether it is more than allowed."""
import dataclasses

import kernel_sass
from kernel_limits import LIMITS, Limits

ARCHITECTURES = (80, 90, 100)
MAIN = 90  # of the figures
DATA = 64  # bytes that costs are given for

# A multiprocessor of compute capability 9.0; an H200 has 132 of them, at 1.98 GHz under load.
MULTIPROCESSORS, CLOCK = 132, 1.98e9
STATED_SHARED = 1 << 10  # of the system, in what cuobjdump states from 9.0 on
ISSUED = 128  # instructions of threads in a clock
LANES = {"alu": 64, "double": 64, "slow": 16}  # of them on one pipe
REGISTERS, WARPS, BLOCKS, PARTITIONS = 65536, 64, 32, 4
REGISTER_UNIT = 256  # of a warp
THREADS = 1024  # of a block, at most
SHARED, SHARED_UNIT, SHARED_RESERVED = 228 << 10, 128, 1 << 10


def rounded_up(value, unit):
    return -(-value // unit) * unit


def warps_of_registers(registers):
    if not registers:
        return WARPS
    of_warp = rounded_up(registers * 32, REGISTER_UNIT)
    return REGISTERS // PARTITIONS // of_warp * PARTITIONS


def occupancy(registers, threads, shared):
    """Warps on a multiprocessor, of those that it can hold."""
    warps = -(-threads // 32)
    of_registers = warps_of_registers(registers)
    of_block = rounded_up(shared + SHARED_RESERVED, SHARED_UNIT)
    blocks = min(WARPS // warps, of_registers // warps, SHARED // of_block, BLOCKS)
    return blocks * warps / WARPS


@dataclasses.dataclass(frozen=True)
class Turn:
    """Of the hot loop, by one thread; without a loop, the whole kernel."""
    pipes: dict  # instructions
    loaded: int  # bytes of global memory
    around: int  # instructions of the kernel that are not in it

    def per_data(self, pipe, data_bytes):
        count = sum(self.pipes.values()) if pipe == "all" else self.pipes.get(pipe, 0)
        return count * DATA / data_bytes

    def ceiling(self, data_bytes):
        """Bytes a second that the instructions of an H200 allow, whatever its memory does."""
        clocks = max([self.per_data("all", data_bytes) / ISSUED]
                     + [self.per_data(pipe, data_bytes) / lanes for pipe, lanes in LANES.items()])
        return MULTIPROCESSORS * CLOCK * DATA / clocks


@dataclasses.dataclass
class Cost:
    """Of one kernel; figures without an architecture are of MAIN."""
    name: str
    registers: dict = dataclasses.field(default_factory=dict)  # by architecture
    stack: dict = dataclasses.field(default_factory=dict)  # bytes
    spills: dict = dataclasses.field(default_factory=dict)
    threads: dict = dataclasses.field(default_factory=dict)  # a block that a launch may have
    shared: int = 0
    code: list = dataclasses.field(default_factory=list)

    def turn(self, depth=0, shortest=False):
        loop = kernel_sass.hot_loop(self.code, depth)
        if loop is not None:
            taken = kernel_sass.shortest_turn(self.code, loop) if shortest else loop.own
        hot = [each for each in self.code if loop is None or each.at in taken]
        return Turn(kernel_sass.by_pipe(hot), sum(each.loaded_bytes for each in hot),
                    len(self.code) - len(hot))

    def proposed(self, depth=0, shortest=False):
        """Limits that hold it where it is, with a little room; tests/gpu/kernel_limits.py."""
        turn = self.turn(depth, shortest)
        data_bytes = turn.loaded or 16
        share = occupancy(self.registers[MAIN], 256, self.shared)
        return Limits(threads=256, bytes=data_bytes, registers=max(self.registers.values()),
                      alu=with_room(turn.per_data("alu", data_bytes)),
                      all=with_room(turn.per_data("all", data_bytes)),
                      around=with_room(turn.around), occupancy=share, depth=depth,
                      shortest=shortest, launched=min(self.threads.values()),
                      stack=max(self.stack.values()), spills=max(self.spills.values()),
                      shared=self.shared)

    def proposals(self):
        """A row of limits for each loop that may be meant, the likeliest first."""
        depths = sorted({loop.depth for loop in kernel_sass.loops(self.code)})
        rows = [row(self.name, self.proposed())]
        if depths:
            rows.append("or with the shortest way around the loop, or one of another depth:")
            rows += [row(self.name, self.proposed(0, True))]
            rows += [row(self.name, self.proposed(depth)) for depth in depths if len(depths) > 1]
        return "\n".join(rows)

    def too_much(self, limits):
        """What is above its limit, a line each."""
        turn = self.turn(limits.depth, limits.shortest)
        alu, all_pipes = (turn.per_data(pipe, limits.bytes) for pipe in ("alu", "all"))
        figures = [("ALU instructions per 64 bytes", alu, limits.alu),
                   ("instructions per 64 bytes", all_pipes, limits.all),
                   ("instructions around the hot loop", turn.around, limits.around),
                   ("bytes of shared memory", self.shared, limits.shared)]
        for architecture in self.registers:
            where = f" on sm_{architecture}"
            figures += [("registers" + where, self.registers[architecture], limits.registers),
                        ("bytes of stack" + where, self.stack[architecture], limits.stack),
                        ("spills" + where, self.spills[architecture], limits.spills)]
        share = occupancy(self.registers[MAIN], limits.threads, self.shared)
        figures.append(("of the warps unused", 1 - share, 1 - limits.occupancy))
        launched = max(limits.threads, limits.launched)
        wrong = [f"{self.name}: {measured:g} {what}, {most:g} allowed"
                 for what, measured, most in figures if measured > most + 1e-9]
        return wrong + [f"{self.name}: launched in blocks of {launched} threads, which fails on "
                        f"sm_{architecture}: at most {most} (__launch_bounds__)"
                        for architecture, most in self.threads.items() if launched > most]


def with_room(count):
    return int(count * 1.02 + 1)


def row(name, limits):
    """A row of LIMITS as it is written there."""
    values = {field.name: getattr(limits, field.name) for field in dataclasses.fields(Limits)
              if getattr(limits, field.name) != field.default}
    given = ", ".join(f"{key}={value}" if isinstance(value, bool) else f"{key}={value:g}"
                      for key, value in values.items())
    return f'    "{name}": Limits({given}),'


def measure(disassembler, objects, architectures=ARCHITECTURES):
    """The costs of all kernels of a library, by plain name."""
    costs = {}
    for architecture in architectures:
        code = kernel_sass.functions(disassembler.sass(objects, architecture))
        usage = kernel_sass.resources(disassembler.usage(objects, architecture))
        bounds = kernel_sass.launch_bounds(disassembler.elf(objects, architecture))
        names = {mangled: disassembler.plain_name(mangled) for mangled in code}
        if len(set(names.values())) < len(names):
            raise ValueError(f"kernels of one name: {sorted(names.values())}")
        for mangled, name in names.items():
            cost = costs.setdefault(name, Cost(name))
            cost.registers[architecture], cost.stack[architecture], shared = usage[mangled]
            of_registers = 32 * warps_of_registers(cost.registers[architecture])
            cost.threads[architecture] = min(bounds.get(mangled, THREADS), of_registers)
            cost.spills[architecture] = sum(each.name in kernel_sass.SPILLS
                                            for each in code[mangled])
            if architecture == MAIN:
                cost.shared = max(0, shared - STATED_SHARED)
                cost.code = code[mangled]
    return costs


HEADINGS = ("kernel", "registers sm_80, 90, 100", "stack", "spills", "shared", "ALU",
            "IMAD, FMA", "memory", "other", "all", "around", "occupancy", "ceiling GB/s")


def cells(cost, limits):
    turn = cost.turn(limits.depth, limits.shortest)
    per = {pipe: turn.per_data(pipe, limits.bytes) for pipe in ("alu", "fma", "memory", "all")}
    other = per["all"] - per["alu"] - per["fma"] - per["memory"]
    share = occupancy(cost.registers[MAIN], limits.threads, cost.shared)
    return (cost.name, ", ".join(map(str, cost.registers.values())), str(max(cost.stack.values())),
            str(max(cost.spills.values())), str(cost.shared), f"{per['alu']:.0f}",
            f"{per['fma']:.0f}", f"{per['memory']:.1f}", f"{other:.1f}", f"{per['all']:.0f}",
            str(turn.around), f"{share:.0%}", f"{turn.ceiling(limits.bytes) / 1e9:,.0f}")


def table(costs, is_markdown):
    rows = [HEADINGS] + [cells(cost, LIMITS.get(name) or cost.proposed())
                         for name, cost in sorted(costs.items())]
    if is_markdown:
        lines = ["| " + " | ".join(each) + " |" for each in rows]
        lines.insert(1, "|---" * len(HEADINGS) + "|")
        return "\n".join(lines)
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join("  ".join(cell.ljust(width) if i == 0 else cell.rjust(width)
                               for i, (cell, width) in enumerate(zip(each, widths)))
                     for each in rows)


def judge(costs, limits=None):
    """All that is wrong, a line each."""
    limits = LIMITS if limits is None else limits
    wrong = []
    for name, cost in sorted(costs.items()):
        if name in limits:
            wrong += cost.too_much(limits[name])
        else:
            wrong.append(f"{name}: give it limits; add to tests/gpu/kernel_limits.py\n"
                         + cost.proposals())
    wrong += [f"{name}: has limits in tests/gpu/kernel_limits.py and is no kernel"
              for name in sorted(limits.keys() - costs.keys())]
    return wrong
