#!/usr/bin/env python3
"""The figures of a run of scripts/bench as Markdown, the way docs/BENCHMARKS.md holds them.

    tests/bench/report.py [build/bench]
"""
import json
import sys
from pathlib import Path


def number(value, digits):
    return f"{value:.{digits}f}"


def spread(ratio, digits=2):
    return (f"{ratio['median']:.{digits}f} ({ratio['least']:.{digits}f} to "
            f"{ratio['most']:.{digits}f})")


def row(*cells):
    return "| " + " | ".join(cells) + " |"


def heading(*cells):
    return "\n".join((row(*cells), "|" + "---|" * len(cells)))


def digest(report):
    yield heading("digest, rates as ratios of neighbours in time", "median (least to most)")
    for name, ratio in report["ratios"].items():
        yield row(name, spread(ratio))
    yield ""
    yield heading("digest, one thread", "MB/s")
    for name, rate in report["bytes_per_second"].items():
        yield row(name, number(rate / 1e6, 0))


def commit(report):
    yield heading("a tag of new chunks, medians", "")
    yield row("chunks", f"{report['chunks']:,}")
    for key, value in report.items():
        if key.endswith("_s"):
            yield row(key.removesuffix("_s").replace("_", " "), f"{value * 1000:.1f} ms")
    yield row("catch-up / (sort + ingest + helper start)", number(report["catch_up_over_least"], 2))
    yield row("rounds", str(report["rounds"]))


def section(report):
    yield heading(report["title"], "seconds", "GB/s", "times Cairn's (least to most)", "rounds")
    for name, figures in report["rows"].items():
        ratio = figures.get("times_cairn")
        yield row(name, number(figures["seconds"], 3), number(figures["gb_per_s"], 2),
                  spread(ratio) if ratio else "", str(ratio["rounds"]) if ratio else "")
    facts = {key: value for key, value in report.items()
             if key not in ("title", "rows", "section")}
    for name, value in facts.items():
        if isinstance(value, dict) and "median" in value:
            value = spread(value)
        yield f"\n{name}: {value}"


def main():
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "build/bench")
    for name, write in (("digest", digest), ("commit", commit)):
        path = folder / f"{name}.json"
        if path.exists() and path.stat().st_size > 0:
            print("\n".join(write(json.loads(path.read_text()))), end="\n\n")
    for name, title in (("disk", "On the disk"), ("tmpfs", "On tmpfs")):
        path = folder / f"{name}.json"
        if not path.exists():
            continue
        report = json.loads(path.read_text())
        print(f"### {title}\n")
        for part in report["sections"]:
            print("\n".join(section(part)), end="\n\n")
        peak = report["peak_bytes"]
        print(f"Peak memory above the tensors: save {peak['save'] / 2**20:.0f} MiB, "
              f"load {peak['load'] / 2**20:.0f} MiB.\n")


if __name__ == "__main__":
    main()
