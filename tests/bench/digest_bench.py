#!/usr/bin/env python3
"""Rates of the digest against OpenSSL's SHA-256, as ratios taken in pairs.

    tests/bench/digest_bench.py build/tests/bench/digest_bench [--pairs 10] [--kernel avx2]

A machine's speed drifts by more than what is looked for, so each ratio is taken from two
measurements made one after the other, and the median of many ratios is given with its spread.
Prints a table on standard error and JSON on standard output.
"""
import argparse
import json
import statistics
import subprocess
import sys

LENGTHS = [1 << 10, 4 << 10, 16 << 10, 64 << 10, 1 << 20]


def sha256_rate(input_bytes, threads, seconds):
    """Bytes per second of `openssl speed`, all threads together."""
    command = ["openssl", "speed", "-seconds", str(seconds), "-bytes", str(input_bytes)]
    if threads > 1:
        command += ["-multi", str(threads)]
    run = subprocess.run(command + ["-evp", "sha256"], capture_output=True, text=True, check=True)
    return float(run.stdout.split()[-1].rstrip("k")) * 1000


def digest_rate(options, name, input_bytes, threads):
    """Bytes per second of one benchmark, all threads together."""
    pattern = f"^{name}{f'/{input_bytes}' if input_bytes else ''}/real_time/threads:{threads}$"
    command = [options.program] + ([f"--kernel={options.kernel}"] if options.kernel else [])
    command += [f"--benchmark_filter={pattern}", "--benchmark_format=json",
                f"--benchmark_min_time={0.4 * options.seconds}"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(run.stdout)["benchmarks"][0]["bytes_per_second"]


def summary(ratios):
    return {"median": round(statistics.median(ratios), 3), "least": round(min(ratios), 3),
            "most": round(max(ratios), 3), "pairs": len(ratios)}


def measure(options):
    """The ratios by name; within a pair everything is measured next to its opposite."""
    ratios = {}
    rates = {}

    def add(name, over, under):
        ratios.setdefault(name, []).append(over / under)

    for _ in range(options.pairs):
        for length in LENGTHS:
            for kind in ["single", "batch"]:
                rate = digest_rate(options, f"digest_{kind}", length, 1)
                rates.setdefault(f"{kind} {length >> 10} KiB", []).append(rate)
                add(f"{kind} {length >> 10} KiB / sha256 64 KiB", rate,
                    sha256_rate(65536, 1, options.seconds))
        whole = digest_rate(options, "digest_single", 65536, 1)
        add("batch 4 KiB / single 64 KiB", digest_rate(options, "digest_batch", 4096, 1), whole)
        add("mixed batch / single 64 KiB", digest_rate(options, "digest_mixed", 0, 1), whole)
        sha_scale = sha256_rate(65536, 2, options.seconds) / sha256_rate(65536, 1, options.seconds)
        scale = digest_rate(options, "digest_single", 65536, 2) / digest_rate(
            options, "digest_single", 65536, 1)
        add("2 threads / 1, single 64 KiB", scale, 1)
        add("2 threads / 1, sha256 64 KiB", sha_scale, 1)
        add("the first scaling / the second", scale, sha_scale)
    return ratios, rates


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", help="the built digest_bench")
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--seconds", type=int, default=1, help="of each SHA-256")
    parser.add_argument("--kernel", help="portable, avx2 or avx512; the widest if left out")
    options = parser.parse_args()
    ratios, rates = measure(options)
    report = {"ratios": {name: summary(values) for name, values in ratios.items()},
              "bytes_per_second": {name: round(statistics.median(v)) for name, v in rates.items()}}
    print(f"{'ratio':44} {'median':>7} {'least':>7} {'most':>7}", file=sys.stderr)
    for name, row in report["ratios"].items():
        print(f"{name:44} {row['median']:7.3f} {row['least']:7.3f} {row['most']:7.3f}",
              file=sys.stderr)
    for name, rate in report["bytes_per_second"].items():
        print(f"{name:44} {rate / 1e6:7.0f} MB/s", file=sys.stderr)
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
