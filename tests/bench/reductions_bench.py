#!/usr/bin/env python3
"""What frequent tags cost: series from real training, saved by Cairn and its peers in one run.

    reductions_bench.py CAIRN [REGIME...] [--folder DIR] [--series DIR] [--json FILE]

tests/bench/series.py makes the series, which takes an hour the first time; they stay in --series.
Each tag is imported by the program into a fresh store, and the peers save the first tags of the
series beside it. Bytes are those that the file system gave to the whole store, index/ left out.
Every tag is exported again and all its tensors are compared with the source by SHA-256. Loads are
those of the program's `export` to memory, `export` to the disk (durable), `check --read-data` and
`cat`, from the page cache.
"""
import argparse
import dataclasses
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import peers
import reductions_cases as cases
import reductions_facts as facts
import reductions_report
import series
from program import Program, memory_folder

SAVE = "save, median seconds"
# Copies in these need another tag's; all others can be decoded by themselves or within their tag.
NEEDS_ANOTHER_TAG = ("delta", "sparse", "replay")


def disk_bytes(folder):
    return sum(path.lstat().st_blocks * 512 for path in folder.rglob("*")
               if "index" not in path.relative_to(folder).parts)


class Store:
    """A fresh store of the program's that a series is imported into."""

    def __init__(self, program, folder, case):
        self.folder, self.case = folder, case
        self.cairn = Program(program, folder / "store")
        peers.remove(self.cairn.store)
        self.cairn.run("init", self.cairn.store)
        self.empty_bytes = self.used = disk_bytes(self.cairn.store)
        self.tags = []

    def roles(self, tag):
        return {"file": tag.roles, "without clip": tag.roles_without_clip}.get(
            self.case.roles, self.case.roles)

    def save(self, tag):
        name = f"run/{tag.step:05}"
        words = ["import", name, tag.file, "--roles", self.roles(tag), "--step", str(tag.step)]
        if self.case.effort is not None:
            words += ["--effort", self.case.effort]
        begun = time.perf_counter()
        result = self.cairn.json(*words)
        seconds = time.perf_counter() - begun
        used = disk_bytes(self.cairn.store)
        shown = self.cairn.json("show", name)
        self.tags.append({"tag": name, "seconds": seconds, "elapsed_s": result["elapsed_s"],
                          "logical_bytes": result["logical_bytes"], "disk_bytes": used - self.used,
                          "restore_cost": shown["restore_cost"],
                          "needs_another_tag": share_that_needs_another(shown["tensors"])})
        self.used = used
        return seconds

    def verify(self, tag, name):
        """Whether all tensors came back. It is part of no time."""
        path = self.folder / "back.safetensors"
        self.cairn.run("export", name, path, "--force")
        same = facts.digests(path) == facts.digests(tag.file)
        path.unlink()
        return same

    def timed(self, *words):
        return peers.timed(lambda: self.cairn.run(*words, text=False))

    def loads(self):
        """Seconds to load the first tag, the last and the one that is said to cost most: exported to
        memory where there is a file system of it."""
        dearest = max(self.tags, key=lambda tag: tag["restore_cost"])["tag"]
        first, last = self.tags[0]["tag"], self.tags[-1]["tag"]
        with tempfile.TemporaryDirectory(dir=memory_folder()) as memory:
            path = Path(memory) / "back.safetensors"
            loaded = {name: statistics.median(self.timed("export", name, path, "--force")
                                              for _ in range(3))
                      for name in dict.fromkeys((first, dearest, last))}
        checked = self.timed("check", "--tag", last, "--read-data")
        tensors = self.cairn.json("show", last)["tensors"]
        largest = max(tensors, key=lambda tensor: tensor["bytes"])["name"]
        path = self.folder / "back.safetensors"
        exported = self.timed("export", last, path, "--force")
        path.unlink()
        return {"first": loaded[first], "last": loaded[last], "dearest": loaded[dearest],
                "export_last": exported, "check_last": checked,
                "cat_largest": self.timed("cat", last, largest)}


def share_that_needs_another(tensors):
    """Of a tag's bytes, by the encodings of its tensors' chunks."""
    needing = total = 0
    for tensor in tensors:
        chunks = sum(tensor["encodings"].values())
        needs = sum(tensor["encodings"].get(name, 0) for name in NEEDS_ANOTHER_TAG)
        total += tensor["bytes"]
        needing += tensor["bytes"] * needs / max(1, chunks)
    return needing / max(1, total)


def encodings_by_class(tensors):
    """class -> encoding -> bytes of a tag, a tensor's bytes shared among its chunks alike; with
    what the tag's copies of the class take."""
    classes = {}
    for tensor in tensors:
        chunks = sum(tensor["encodings"].values())
        row = classes.setdefault(facts.class_of(tensor["name"]),
                                 {"bytes": 0, "stored_bytes": 0, "encodings": {}})
        row["bytes"] += tensor["bytes"]
        row["stored_bytes"] += tensor["stored_bytes"]
        for name, count in tensor["encodings"].items():
            row["encodings"][name] = row["encodings"].get(name, 0) + tensor["bytes"] * count / chunks
    return classes


def lean_tags(tags):
    """Those without a keyframe of any class: they lean on others with as much as any tag does."""
    most = max(tag["needs_another_tag"] for tag in tags)
    return [tag for tag in tags if most > 0 and tag["needs_another_tag"] >= 0.98 * most]


def figures(store, parameters, loads):
    tags = store.tags
    logical = sum(tag["logical_bytes"] for tag in tags)
    added = sum(tag["disk_bytes"] for tag in tags)
    lean = lean_tags(tags)
    # A program without encodings that lean on others has only keyframes: then any later tag.
    usual = lean or tags[1:]
    return {
        cases.SERIES: (store.empty_bytes + added) / len(tags) / parameters,
        cases.LEAN: statistics.median(t["disk_bytes"] for t in usual) / parameters if usual else None,
        cases.KEYFRAME: tags[0]["logical_bytes"] / tags[0]["disk_bytes"],
        cases.TIMES: logical / (store.empty_bytes + added),
        cases.OVER_RAW: added / logical,
        cases.LOAD: max(loads["last"], loads["dearest"]) / loads["first"],
        "lean tags": len(lean),
    }


class PeerFolder:
    """Where the peers keep the first tags of a series, one after the other."""

    def __init__(self, folder, tags):
        self.folder, self.left = folder / "peers", tags
        peers.remove(self.folder)
        (self.folder / "source").mkdir(parents=True)
        self.rows = {}

    def players(self, tag):
        """name -> (work that returns seconds, what it leaves on the disk). Files are new for every
        tag; repositories grow."""
        source = self.folder / "source"
        shutil.copyfile(tag.file, source / "state.safetensors")
        restic, borg = self.folder / "restic", self.folder / "borg"
        players = {"torch.save": (lambda path: save_with_torch(tag.file, path), None)}
        if peers.have("zstd"):
            for level in (1, 3):
                players[f"zstd -{level}"] = (
                    lambda path, level=level: peers.zstd(tag.file, path, level), None)
        if peers.have("restic"):
            players["restic"] = (lambda _: peers.restic(restic, source), restic)
        if peers.have("borg"):
            players["borg zstd,1"] = (lambda _: peers.borg(borg, source, "zstd,1"), borg)
        if has_zipnn():
            players["ZipNN"] = (lambda path: save_with_zipnn(tag.file, path), None)
        return players

    def save(self, tag):
        if self.left == 0:
            return
        self.left -= 1
        for name, (work, repository) in self.players(tag).items():
            row = self.rows.setdefault(name, {"seconds": [], "bytes": 0})
            path = self.folder / "file"
            row["seconds"].append(work(path))
            if repository is None:
                row["bytes"] += path.stat().st_size
                path.unlink()
            else:
                row["bytes"] = sum(p.stat().st_size for p in repository.rglob("*") if p.is_file())


def save_with_torch(source, path):
    from safetensors.torch import load_file
    return peers.torch_save(load_file(source), path)


def save_with_zipnn(source, path):
    with facts.opened(source) as tensors:
        return peers.zipnn(tensors, path)


def has_zipnn():
    try:
        import zipnn  # noqa: F401
    except ImportError:
        return False
    return True


class Bench:
    def __init__(self, options):
        self.options = options
        self.folder = Path(tempfile.mkdtemp(prefix="cairn-reductions-", dir=options.folder))
        page = subprocess.run([options.cairn, "help", "import"], capture_output=True, text=True,
                              check=True).stdout
        self.knows_effort = "--effort" in page

    def regime(self, name):
        """The series saved by every case of it, with the peers beside the first."""
        tags = series.make(name, argparse.Namespace(**{**vars(self.options),
                                                       "folder": self.options.series}))
        logical, parameters = facts.sizes(tags[0].file)
        count = 0 if self.options.no_peers else min(self.options.peer_tags, len(tags))
        beside = PeerFolder(self.folder, count)
        results = []
        for case in cases.cases_of(name, self.knows_effort):
            results.append(self.case(case, tags, parameters, beside))
            beside.left = 0
        peers.remove(beside.folder)
        self.compare_efforts(results, tags[0])
        between = facts.entropies(tags[-2].file, tags[-1].file) if len(tags) > 1 else {}
        return {"regime": name, "what": series.REGIMES[name].what, "tags": len(tags),
                "parameters": parameters, "tag_bytes": logical, "cases": results,
                "peers": beside.rows, "peer_tags": count, "entropies": between}

    def compare_efforts(self, results, tag):
        """Adds to the case without an effort how long it takes beside the one with the fastest."""
        seconds = {case["effort"]: case["figures"][SAVE] for case in results}
        if "fast" not in seconds:
            return
        beside = {cases.BALANCE: (seconds[None] / seconds["fast"], cases.Asked(cases.BALANCE, 1.3)),
                  cases.RATE: (self.first_save_rate(tag),
                               cases.Asked(cases.RATE, 0.85, at_least=True))}
        for name, (value, asked) in beside.items():
            results[0]["figures"][name] = value
            results[0]["asked"].append(vars(asked) | {"verdict": asked.verdict(value)})

    def first_save_rate(self, tag, rounds=5):
        """The same shapes filled with random bytes cannot be encoded: they are what raw costs."""
        noise = self.folder / "noise.safetensors"
        facts.write_noise_like(tag.file, noise)
        case, seconds = cases.Case("", "none", effort="fast"), {tag.file: [], noise: []}
        for number in range(rounds):
            for file in sorted(seconds, reverse=number % 2 == 1):
                saved = Store(self.options.cairn, self.folder, case)
                saved.save(dataclasses.replace(tag, file=file))
                seconds[file].append(saved.tags[0]["elapsed_s"])
                peers.remove(saved.cairn.store)
        noise.unlink()
        return statistics.median(seconds[noise]) / statistics.median(seconds[tag.file])

    def case(self, case, tags, parameters, beside):
        store = Store(self.options.cairn, self.folder, case)
        for tag in tags:
            store.save(tag)
            beside.save(tag)
        loads = store.loads()
        exact = [store.verify(tag, row["tag"]) for tag, row in zip(tags, store.tags)]
        last = store.cairn.json("show", store.tags[-1]["tag"])["tensors"]
        stats = store.cairn.json("stats")
        peers.remove(store.cairn.store)
        measured = figures(store, parameters, loads)
        measured[SAVE] = statistics.median(t["elapsed_s"] for t in store.tags)
        return {"case": case.name, "roles": case.roles, "effort": case.effort,
                "figures": measured, "loads": loads, "exact": all(exact),
                "asked": [vars(asked) | {"verdict": asked.verdict(measured[asked.figure])}
                          for asked in (*case.asked, cases.Asked(cases.LOAD, cases.LOAD_BUDGET))],
                "tags": store.tags, "stats": stats, "last_by_class": encodings_by_class(last)}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cairn", type=Path)
    parser.add_argument("regimes", nargs="*", metavar="REGIME", help="default: all")
    parser.add_argument("--folder", default="/var/tmp", help="on the disk to measure")
    parser.add_argument("--series", default="/var/tmp/cairn-series", help="where they are kept")
    parser.add_argument("--peer-tags", type=int, default=11, help="that the peers save, too")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--json", type=Path)
    series.add_flags(parser)
    options = parser.parse_args()
    unknown = set(options.regimes) - set(series.REGIMES)
    if unknown:
        parser.error(f"no such regime: {', '.join(sorted(unknown))}; "
                     f"there are {', '.join(series.REGIMES)}")
    bench, results = Bench(options), []
    try:
        for name in options.regimes or series.REGIMES:
            results.append(bench.regime(name))
            print(f"measured {name}", file=sys.stderr)
            if options.json:
                options.json.write_text(json.dumps(results, indent=1))
    finally:
        shutil.rmtree(bench.folder, ignore_errors=True)
    print(reductions_report.markdown(results))
    if not options.no_peers and not has_zipnn():
        print("\nZipNN is left out: it is not installed (pip install zipnn).")
    if not all(case["exact"] for result in results for case in result["cases"]):
        sys.exit("reductions: a tag did not come back as it was")


if __name__ == "__main__":
    main()
