"""Machine code of kernels as numbers: loops, instructions by pipe, registers, memory.

What is read is the text of CUDA's own tools: `cuobjdump -sass` (which runs nvdisasm), `cuobjdump
-res-usage` and `cuobjdump -elf`. The tools themselves are found by kernel_tools.py.
"""
import collections
import dataclasses
import heapq
import re

# Where an instruction is executed on compute capability 8.0 to 10.0, by the first part of its name.
# What is not here is control: branches, barriers, reads of special registers.
PIPES = {
    "alu": "IADD3 IADD LOP3 LOP SHF SHL SHR PRMT LEA ISETP SEL VIADD VIADDMNMX VIMNMX VIMNMX3 "
           "IMNMX IABS MOV FSETP FSEL FMNMX FMNMX3 FSET PLOP3 VOTE BMSK SGXT CS2R P2R R2P ICMP "
           "VABSDIFF VABSDIFF4 HSETP2 HMNMX2 VHMNMX I2FP F2FP",
    "fma": "IMAD IMUL IDP IDP4A FFMA FMUL FADD FSWZADD HFMA2 HMUL2 HADD2 FFMA2 FADD2 FMUL2",
    "memory": "LD ST LDG STG LDS STS LDSM STSM LDL STL LDGSTS ATOM ATOMG ATOMS RED REDG REDAS SHFL "
              "MATCH LDC UBLKCP UBLKRED UTMALDG UTMASTG",
    "slow": "I2F F2I F2F I2I FRND MUFU POPC FLO BREV",
    "double": "DADD DMUL DFMA DSETP",
}
PIPE_OF = {name: pipe for pipe, names in PIPES.items() for name in names.split()}
# Of uniform values, once for a warp: beside the other pipes, but issued as all are.
UNIFORM = re.compile(r"U(?!BLK|TMA)[A-Z]|R2UR|S2UR|LDCU|VOTEU|REDUX")
SPILLS = {"LDL", "STL"}  # of registers, or of arrays that are in none
GLOBAL_LOADS = {"LD", "LDG", "LDGSTS"}
ENDS = {"EXIT", "RET", "BRX", "JMX", "BPT"}

INSTRUCTION = re.compile(r"^\s+/\*(?P<at>[0-9a-f]{4,})\*/\s+(?:@(?P<if>!?U?P\w+)\s+)?"
                         r"(?P<name>[A-Z][\w.]*)\s*(?P<rest>[^;]*);", re.MULTILINE)
FUNCTION = re.compile(r"^\s+Function : (\S+)$", re.MULTILINE)
RESOURCES = re.compile(r"^ Function (\S+):\s+REG:(\d+) STACK:(\d+) SHARED:(\d+)",
                       re.MULTILINE)
BOUNDS = re.compile(r"^\.nv\.info\.(?P<name>\S+)$|EIATTR_MAX_THREADS\s+Format:\s+\S+\s+"
                    r"Value:\s+0x(?P<threads>[0-9a-f]+) 0x1 0x1\b", re.MULTILINE)
TARGET = re.compile(r"\b0x([0-9a-f]+)$")


@dataclasses.dataclass(frozen=True)
class Instruction:
    at: int
    name: str  # IMAD of IMAD.WIDE.U32
    forms: tuple  # WIDE, U32
    target: int | None  # of a branch
    is_conditional: bool

    @property
    def pipe(self):
        if UNIFORM.match(self.name):
            return "uniform"
        return PIPE_OF.get(self.name, "control")

    @property
    def loaded_bytes(self):
        """From global memory, by one thread."""
        if self.name not in GLOBAL_LOADS:
            return 0
        widths = {"U8": 1, "S8": 1, "U16": 2, "S16": 2, "64": 8, "128": 16, "256": 32}
        return next((widths[form] for form in self.forms if form in widths), 4)


def functions(sass):
    """The instructions of each function of a disassembly, by mangled name."""
    parts = FUNCTION.split(sass)[1:]
    return {name: _instructions(text) for name, text in zip(parts[::2], parts[1::2])}


def _instructions(text):
    found = []
    for match in INSTRUCTION.finditer(text):
        name, *forms = match["name"].split(".")
        rest = match["rest"].strip()
        target = TARGET.search(rest) if name in ("BRA", "JMP") else None
        # `BRA P0, 0x10` and `BRA.DIV UR4, 0x10` depend on something too.
        conditional = match["if"] is not None or (target is not None and target.start() > 0)
        found.append(Instruction(int(match["at"], 16), name, tuple(forms),
                                 int(target[1], 16) if target else None, conditional))
    while found and found[-1].name == "NOP":  # padding
        found.pop()
    return found


def resources(usage):
    """(registers, bytes of stack, bytes of shared memory) of each function, by mangled name."""
    return {name: tuple(map(int, numbers)) for name, *numbers in RESOURCES.findall(usage)}


def launch_bounds(elf):
    """Threads that a block may have, by mangled name, of functions that are compiled for so many."""
    bounds, name = {}, None
    for match in BOUNDS.finditer(elf):
        if match["name"]:
            name = match["name"]
        else:
            bounds[name] = int(match["threads"], 16)
    return bounds


@dataclasses.dataclass(frozen=True)
class Loop:
    head: int  # address of the instruction that each turn begins with
    body: frozenset  # addresses of its instructions, those of loops within too
    own: frozenset  # the same without them
    depth: int  # 1: in no other


def loops(code):
    """The natural loops of a function's control flow, those in no other first."""
    blocks, after = _blocks(code)
    before = collections.defaultdict(set)
    for block, followers in after.items():
        for follower in followers:
            before[follower].add(block)
    dominators = _dominators(code[0].at, after, before)
    bodies = collections.defaultdict(set)
    for block, heads in after.items():
        for head in heads & dominators.get(block, set()):
            bodies[head] |= _body(head, block, before)
    spans = {head: frozenset(at for block in body for at in blocks[block])
             for head, body in bodies.items()}
    found = []
    for head, span in spans.items():
        inner = frozenset().union(*(other for other in spans.values() if other < span))
        depth = sum(span <= other for other in spans.values())
        found.append(Loop(head, span, span - inner, depth))
    return sorted(found, key=lambda loop: (loop.depth, loop.head))


def _blocks(code):
    """Addresses of each basic block, and which blocks may follow it; blocks by first address."""
    places = {each.at: i for i, each in enumerate(code)}
    starts = {code[0].at} | {each.target for each in code if each.target in places}
    starts |= {code[i + 1].at for i, each in enumerate(code[:-1])
               if each.target is not None or each.name in ENDS}
    blocks, after = {}, {}
    for each in code:
        if each.at in starts:
            start = each.at
            blocks[start], after[start] = [], set()
        blocks[start].append(each.at)
        following = places[each.at] + 1
        goes_on = each.is_conditional or (each.target is None and each.name not in ENDS)
        if each.target in places:
            after[start].add(each.target)
        if goes_on and following < len(code) and code[following].at in starts:
            after[start].add(code[following].at)
    return blocks, after


def _dominators(entry, after, before):
    reached, waiting = {entry}, [entry]
    while waiting:
        more = after[waiting.pop()] - reached
        reached |= more
        waiting += more
    dominators = {block: set(reached) for block in reached}
    dominators[entry] = {entry}
    changed = True
    while changed:
        changed = False
        for block in sorted(reached - {entry}):
            least = set.intersection(*(dominators[b] for b in before[block] if b in reached))
            if dominators[block] != least | {block}:
                dominators[block] = least | {block}
                changed = True
    return dominators


def _body(head, tail, before):
    body, waiting = {head, tail}, [tail] if tail != head else []
    while waiting:
        more = before[waiting.pop()] - body
        body |= more
        waiting += more
    return body


def hot_loop(code, depth=0):
    """The loop that does the work, None where there is none.

    It is the innermost of those with at least half as many instructions of their own (without those
    of loops within) as the one with the most; of several as deep, the one with the most. So neither
    a search within the work nor what is done once for much work counts as the work. Where that is
    another one than meant, as with a short copy after much preparation: that of `depth` with the
    most.
    """
    found = [loop for loop in loops(code) if depth in (0, loop.depth)]
    if not found:
        return None
    most = max(len(loop.own) for loop in found)
    large = [loop for loop in found if 2 * len(loop.own) >= most]
    return max(large, key=lambda loop: (loop.depth, len(loop.own)))


def shortest_turn(code, loop):
    """Addresses of the fewest instructions that lead once around a loop, past what is seldom done;
    loops within are gone through at most once."""
    blocks, after = _blocks(code)
    waiting, seen = [(len(blocks[loop.head]), (loop.head,))], set()
    while True:
        length, way = heapq.heappop(waiting)
        block = way[-1]
        if loop.head in after[block]:
            return frozenset(at for each in way for at in blocks[each])
        if block not in seen:
            seen.add(block)
            for to in after[block] & loop.body:
                heapq.heappush(waiting, (length + len(blocks[to]), (*way, to)))


def by_pipe(instructions):
    return collections.Counter(each.pipe for each in instructions)
