#!/usr/bin/env python3
"""Runs PyTorch's own tests of torch.distributed.checkpoint with Cairn's writer and reader.

usage: pytorch_dcp.py PYTORCH_SRC [FILE...]

PYTORCH_SRC is a checkout of PyTorch, of about the release that is installed. The tests name
FileSystemWriter and FileSystemReader; before they are imported, both names are given to classes
that keep each path's checkpoint as a tag of a store in that folder. Prints a line a case and, last,
"N passed, N failed, N skipped". What cannot apply is listed below with the reason, and skipped.
"""
import json
import os
import subprocess
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "python"), str(ROOT / "tests/support")]

import environment  # noqa: E402

# Tests that save or load by FileSystemWriter and FileSystemReader. Those that need GPUs skip
# themselves. test_checkpoint.py has storages of its own, which fail on purpose; its cases without
# torch.distributed run as they are.
FILES = ("test_file_system_checkpoint_cpu.py", "test_checkpoint.py", "test_planner.py",
         "test_dtensor_checkpoint.py", "test_dtensor_resharding.py", "test_tp_checkpoint.py",
         "test_file_system_checkpoint.py", "test_hsdp_checkpoint.py", "test_fsdp_model_state.py",
         "test_fsdp_optim_state.py", "test_pg_aware_planner.py", "test_save_load_api.py",
         "test_format_utils.py")

# Part of a case's name: why it cannot apply.
NOT_APPLICABLE = {
    "Rot13": "transforms the bytes of files; Cairn encodes chunks itself",
    "ZStandard": "transforms the bytes of files; Cairn encodes chunks itself",
}

# Part of what a case ends with before it has saved anything: why it cannot apply.
OF_OTHERS = {
    "not compiled with CUDA": "puts its tensors on a GPU itself",
    "Failed to import test module": "is of another PyTorch than the one installed",
}

LIMIT_S = 900  # for a file of tests
_MARK = "PYTORCH_DCP_PATCHED"  # processes that a test spawns import this file first


def take_the_place_of_files():
    """FileSystemWriter and FileSystemReader become Cairn's, wherever DCP has the names."""
    from torch.distributed.checkpoint import filesystem

    import path_storage

    taken = {filesystem.FileSystemWriter: path_storage.PathWriter,
             filesystem.FileSystemReader: path_storage.PathReader}
    for name, module in list(sys.modules.items()):
        if not name.startswith("torch.distributed.checkpoint"):
            continue
        for word, value in list(vars(module).items()):
            if isinstance(value, type) and value in taken:
                setattr(module, word, taken[value])


def run_on_the_cpu():
    """Tests of tensors cut among GPUs run as well on as many processes: nothing here is of a GPU."""
    from torch.testing._internal import common_distributed

    common_distributed.skip_if_lt_x_gpu = lambda gpus, **_: lambda test: test


class Result(unittest.TestResult):
    """Collects (case, outcome, reason)."""

    def __init__(self):
        super().__init__()
        self.told = []

    def startTest(self, test):
        super().startTest(test)
        for part, reason in NOT_APPLICABLE.items():
            if part in test.id():
                test.setUp = lambda reason=reason: (_ for _ in ()).throw(
                    unittest.SkipTest(f"cannot apply: {reason}"))

    def addSuccess(self, test):
        self.told.append((test.id(), "passed", ""))

    def addSkip(self, test, reason):
        self.told.append((test.id(), "skipped", reason))

    def addFailure(self, test, error):
        text = self._exc_info_to_string(error, test)
        for part, reason in OF_OTHERS.items():
            if part in text:
                self.told.append((test.id(), "skipped", f"cannot apply: {reason}"))
                return
        self.told.append((test.id(), "failed", text))

    addError = addFailure


def run_file(folder, file):
    """The tests of one file, in this process; their outcomes as the last line."""
    sys.path[:0] = [str(folder)]
    suite = unittest.defaultTestLoader.loadTestsFromName(Path(file).stem)
    result = Result()
    suite.run(result)
    print("\n" + json.dumps(result.told))


def outcomes_of(folder, file):
    """(case, outcome, reason) for each test of a file, run by a process of its own."""
    words = [sys.executable, __file__, "--one", str(folder), file]
    try:
        done = subprocess.run(words, env=os.environ | {_MARK: "1"}, capture_output=True, text=True,
                              timeout=LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        return [(file, "failed", f"still ran after {LIMIT_S} s")]
    try:
        return json.loads(done.stdout.strip().splitlines()[-1])
    except (ValueError, IndexError):
        return [(file, "failed", f"ended with {done.returncode}: {done.stderr[-2000:]}")]


def main():
    if len(sys.argv) < 2:
        print("skipped: no PyTorch sources given (--pytorch-src DIR)")
        return 77
    folder = Path(sys.argv[1]) / "test/distributed/checkpoint"
    environment.enter("torch", "expecttest")
    if not folder.is_dir():
        print(f"skipped: there is no {folder}")
        return 77
    counts = dict.fromkeys(("passed", "failed", "skipped"), 0)
    for file in sys.argv[2:] or FILES:
        told = [(file, "skipped", "not in these sources")]
        if (folder / file).is_file():
            told = outcomes_of(folder, file)
        for case, outcome, reason in told:
            counts[outcome] += 1
            print(f"{outcome}: {case}{': ' + reason if reason else ''}", flush=True)
    print(", ".join(f"{count} {outcome}" for outcome, count in counts.items()))
    return 1 if counts["failed"] or not counts["passed"] else 0


if os.environ.get(_MARK):
    take_the_place_of_files()
    run_on_the_cpu()

if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        run_file(*sys.argv[2:])
        sys.exit(0)
    sys.exit(main())
