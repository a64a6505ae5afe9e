#!/usr/bin/env python3
"""bundle_gpu.py targets BUILD, bundle_gpu.py copy BUILD OUT: the tests of kernels, saves and
loads on a device and their benchmarks, for a machine that has a driver and none of the packages."""
import json
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BENCHMARKS = ("gpu_bench", "device_path_bench")


def programs(build):
    """Tests of suite gpu that are programs of their own, and the benchmarks."""
    built = Path(build).resolve()
    listed = subprocess.run(["meson", "introspect", build, "--tests"], check=True,
                            capture_output=True, text=True).stdout
    tests = [Path(test["cmd"][0]) for test in json.loads(listed) if "cairn:gpu" in test["suite"]]
    tests = [test for test in tests if test.is_relative_to(built)]  # others are run by Python
    if not tests:
        raise SystemExit("bundle: built without CUDA's nvcc, so there are no tests for a device")
    return tests + [built / "tests/bench" / name for name in BENCHMARKS]


def copy(build, out):
    out.mkdir(parents=True, exist_ok=True)
    for program in programs(build) + [ROOT / "tests/gpu/run_all"]:
        shutil.copy2(program, out / program.name)
        if program.name != "run_all":
            subprocess.run(["strip", out / program.name], check=True)
    print(f"{out}: {sum(file.stat().st_size for file in out.iterdir()) >> 20} MiB; there: ./run_all")


def main():
    what, build = sys.argv[1], sys.argv[2]
    if what == "targets":
        print("\n".join(str(path.relative_to(Path(build).resolve())) for path in programs(build)))
    else:
        copy(build, Path(sys.argv[3]))


if __name__ == "__main__":
    main()
