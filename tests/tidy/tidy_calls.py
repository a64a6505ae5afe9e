"""Calls and words that have one place in the tree, or none."""

import dataclasses
import re

from tidy_tree import Finding, layer_of

_NAME_BEFORE = r"(?<![\w.>:])(?:std::|::)?"
_NOT_MEMBER = r"(?<![\w.>:])"
_NOT_ARROW = r"(?<![\w.>])"


@dataclasses.dataclass(frozen=True)
class Ban:
    """What is banned; where it is allowed: layers, or files each with the reason."""
    rule: str
    pattern: str
    why: str
    layers: frozenset = frozenset()
    files: tuple = ()


FS_CALLS = ("open|openat|creat|read|pread|preadv|write|pwrite|pwritev|close|fsync|fdatasync"
            "|ftruncate|truncate|rename|renameat|unlink|unlinkat|remove|mkdir|mkdirat|rmdir|link"
            "|symlink|stat|fstat|lstat|statvfs|access|mmap|opendir|readdir|flock|fcntl|fallocate"
            "|posix_fadvise|posix_fallocate|copy_file_range")

BANS = (
    Ban("file system",
        rf"(?<![\w>])::(?:{FS_CALLS})\("
        rf"|{_NAME_BEFORE}(?:fopen|freopen|opendir|mkstemp|mkdtemp|tmpfile)\("
        rf"|{_NOT_MEMBER}(?:unlink|mkdir|rmdir|ftruncate|fsync|pread|pwrite|openat)\("
        r"|std::[io]?fstream\b|std::filesystem\b|std::rename\(",
        "files are reached through base/fs.h", frozenset({"tests"}),
        ("base/fs_posix.cc",  # the seam itself
         "base/mapped_file.cc",  # maps files that are read where they lie
         "base/descriptor.h",  # closes them
         "base/process.cc",  # reads /proc, which is no file of a store
         "cli/output.cc")),  # writes to standard output and error
    Ban("ends", rf"{_NAME_BEFORE}(?:abort|_exit|_Exit|quick_exit|exit|terminate)\(",
        "only the program ends a process", frozenset({"cli", "tests"})),
    Ban("prints", rf"{_NAME_BEFORE}(?:v?f?printf|puts|fputs|putchar|perror)\("
        r"|std::(?:cout|cerr|clog)\b|fmt::print(?:ln)?\(",
        "only the program prints", frozenset({"cli", "tests"})),
    Ban("assert", r"(?<!\w)assert\(", "errors are values (base/error.h)", frozenset({"tests"})),
    Ban("throw", r"(?<!\w)throw\b", "errors are values (base/error.h)",
        frozenset({"tests", "python"}),
        ("base/buffer.cc",)),  # std::bad_alloc, as from any container; lib/memory_guard.h catches it
    Ban("fork", rf"{_NOT_ARROW}v?fork\(", "a fork copies locks of other threads; spawn instead",
        frozenset(),
        ("tests/crash/part_crash_test.cc",)),  # one thread, and the child dies where it is told to
    Ban("unsafe", rf"{_NAME_BEFORE}(?:v?sprintf|strcpy|strcat|gets|s?rand)\(",
        "there are safe ones: fmt, spans, base/random.h"),
    Ban("sleep", r"(?<!\w)(?:u?sleep|nanosleep|sleep_for|sleep_until)\(",
        "wait for the event itself", frozenset(),
        ("base/fs_posix.cc",  # the kernel's record locks have no wait with a deadline
         "store/index/tables.cc",  # nor has RocksDB's lock any wait at all
         "lib/part_meeting.cc",  # processes that do not talk have nothing but files to look at
         "gpu/nccl/nccl_transport.cc",  # NCCL and a stream have nothing but their state to look at
         "store/gc/reclaim.cc")),  # time for readers of other hosts is all there is to wait for
)
PYTHON_BANS = (
    Ban("fork", r"\bos\.fork\(", "a fork copies locks of other threads; spawn instead"),
    Ban("sleep", r"\btime\.sleep\(", "wait for the event itself"),
    Ban("shell", r"\bos\.(?:system|popen)\(|\bshell=True\b", "name the program's arguments"),
)
# Spelt in parts, so that this file holds none of them.
LEFT_OVER = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X)\b")


def check(tree):
    for path in tree.cpp():
        yield from _banned(path, tree.code_lines(path), BANS)
    for path in tree.python():
        # The rules' own test holds the calls that it shows to be found.
        if not path.startswith("tests/tidy/"):
            yield from _banned(path, tree.lines(path), PYTHON_BANS)
    for path in tree.sources():
        for number, line in tree.lines(path):
            match = LEFT_OVER.search(line)
            if match is not None:
                yield Finding(path, number, "left over", f"'{match[0]}': do it or drop it")
    yield from _headers(tree)


def _banned(path, lines, bans):
    for ban in bans:
        if layer_of(path) in ban.layers or path in ban.files:
            continue
        for number, line in lines:
            match = re.search(ban.pattern, line)
            if match is not None:
                yield Finding(path, number, ban.rule, f"'{match[0].rstrip('(')}': {ban.why}")


def _headers(tree):
    for path in tree.headers():
        if not re.search(r"^#pragma once$", tree.code(path), re.MULTILINE):
            yield Finding(path, 1, "header", "'#pragma once' is missing")
        for number, line in tree.code_lines(path):
            if re.search(r"\busing\s+namespace\b", line):
                yield Finding(path, number, "header", "'using namespace' in a header")
