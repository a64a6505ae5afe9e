#!/usr/bin/env python3
"""Pulls and pushes beside bare transfers of the same bytes, from servers on the loopback.

    tests/bench/transfer_bench.py CAIRN [SECTION...] [--gib 4] [--rounds 5] [--folder DIR] [--json FILE]

All ways take turns within a round, each round beginning with another one; ratios are of one round,
then the median. What a way wrote is synced within its time. Bytes are random: nothing compresses.
  web      nginx: a pull beside `curl --parallel` of the packs in ranges of 8 MiB
  small    nginx: a pull of 100,000 chunks of 4 KiB, its rate beside that of large chunks, requests
  latency  nginx behind a proxy that answers 50 ms later: beside the same proxy that does not
  bucket   nginx as a bucket: a pull beside curl and `aws s3 cp --recursive`
  push     a bucket in memory, not signed as over https: beside `aws s3 cp --recursive` and curl, of
           pieces of 8 MiB and of whole packs
  moto     moto's S3, a slow server: the same
"""
import argparse
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from file_servers import BucketServer
from lying_proxy import LyingProxy
from nginx_server import NginxServer
from peers import cache, sync, timed
from program import Program, write_safetensors
from read_bucket import ReadBucket
from write_bucket import WriteBucket

RANGE_BYTES = 8 << 20
CONNECTIONS, MANY = 16, 64
SMALL_CHUNKS, SMALL_BYTES = 100_000, 4096
TAG = "run/1"
# In a process of its own: a child begins with the peak of who made it.
MEASURE = """
import os, subprocess, sys
_, status, used = os.wait4(subprocess.Popen(sys.argv[1:]).pid, 0)
print(used.ru_maxrss)
sys.exit(status != 0)
"""


class Store:
    """A store with one tag of random bytes, and another place's empty folder for each way."""

    def __init__(self, program, folder, total, chunk_bytes=None):
        self.folder = folder
        self.program = Program(program, folder / "store")
        if not self.program.store.exists():
            words = [] if chunk_bytes is None else ["--chunk-elements", str(chunk_bytes)]
            self.program.run("init", self.program.store, *words)
            piece = min(total, 64 << 20)
            tensors = {f"w{i}": os.urandom(piece) for i in range(total // piece)}
            self.program.run("import", TAG, write_safetensors(folder / "in.safetensors", tensors))
            (folder / "in.safetensors").unlink()
        self.packs = sorted(path for path in (self.program.store / "packs").rglob("*")
                            if path.is_file())
        self.bytes = sum(path.stat().st_size for path in self.packs)
        cache(self.program.store)

    def ranges(self):
        for path in self.packs:
            size = path.stat().st_size
            for begin in range(0, size, RANGE_BYTES):
                yield path, begin, min(begin + RANGE_BYTES, size) - 1

    def pieces(self):
        """The ranges as files of their own: what curl sends is always a whole file."""
        folder, begun = self.folder / "pieces", self.folder / "pieces.part"
        if not folder.exists():
            fresh(begun)
            for path, begin, end in self.ranges():
                with open(path, "rb") as pack:
                    pack.seek(begin)
                    (begun / f"{path.name}-{begin}").write_bytes(pack.read(end + 1 - begin))
            begun.rename(folder)
        return sorted(folder.iterdir())

    def key(self, path):
        return path.relative_to(self.program.store)


def fresh(folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def pull(program, url, folder, environment=None, connections=CONNECTIONS):
    """Returns the report of a pull into a new store. Nothing of it may be missing."""
    there = Program(program, folder / "pulled", **(environment or {}))
    moved = there.json("pull", url, TAG, "--connections", connections)
    assert moved["moved_bytes"] > 0
    return moved


def peak_mib(program, url, folder, environment=None):
    command = [str(Path(program).resolve()), "-s", str(fresh(folder) / "pulled"), "pull", url, TAG,
               "--connections", str(CONNECTIONS), "--quiet"]
    done = subprocess.run([sys.executable, "-c", MEASURE, *command], check=True,
                          env={**os.environ, **(environment or {})}, capture_output=True, text=True)
    return int(done.stdout.splitlines()[-1]) / 1024


def curl(lines, folder):
    """`lines`: of its configuration, one list for each transfer."""
    script = "\n".join("\n".join([*transfer, "next"]) for transfer in lines)
    (folder / "curl.conf").write_text(script.removesuffix("next"))
    subprocess.run(["curl", "--no-progress-meter", "--fail", "--parallel", "--parallel-max",
                    str(CONNECTIONS), "--config", str(folder / "curl.conf")], check=True)


def curl_down(store, url, folder):
    curl(([f'url = "{url}/{store.key(path)}"', f'range = "{begin}-{end}"', "fail", "silent",
           f'output = "{folder / f"{i}"}"'] for i, (path, begin, end) in enumerate(store.ranges())),
         folder)
    sync(folder)


def curl_up(files, url, folder):
    curl(([f'url = "{url}/{path.name}"', f'upload-file = "{path}"', "fail", "silent",
           'output = "/dev/null"'] for path in files), folder)


def aws(environment, *words):
    subprocess.run([sys.executable, "-m", "awscli", "s3", "cp", "--recursive", "--only-show-errors",
                    *map(str, words)], check=True, env={**os.environ, **environment})


def rounds_of(ways, rounds, folder, after=lambda: None):
    """Seconds of each way, a list of rounds each; each into a folder of its own, which is new."""
    seconds = {name: [] for name in ways}
    for number in range(rounds):
        names = list(ways)
        for name in names[number % len(names):] + names[:number % len(names)]:
            room = fresh(folder / "room")
            seconds[name].append(timed(lambda: ways[name](room)))
            shutil.rmtree(room)
            after()
    return seconds


def ratio(over, under):
    pairs = [a / b for a, b in zip(over, under)]
    return {"median": statistics.median(pairs), "least": min(pairs), "most": max(pairs),
            "rounds": len(pairs)}


def rows(seconds, total, own):
    """By way: median of seconds, rate, and Cairn's rate as times the way's."""
    table = {}
    for name, values in seconds.items():
        table[name] = {"seconds": statistics.median(values),
                       "gb_per_s": total / statistics.median(values) / 1e9}
        if name != own:
            table[name]["cairn_over"] = ratio(values, seconds[own])
    return table


class Bench:
    def __init__(self, program, folder, gib, rounds):
        self.program, self.folder, self.rounds = program, folder, rounds
        self.large = Store(program, self._sub("large"), int(gib * (1 << 30)))

    def _sub(self, name):
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def web(self):
        server = NginxServer(self.large.program.store)
        try:
            seconds = rounds_of({
                "cairn pull": lambda room: pull(self.program, server.url, room),
                "curl": lambda room: curl_down(self.large, server.url, room),
            }, self.rounds, self.folder)
            peak = peak_mib(self.program, server.url, self.folder / "room")
        finally:
            server.stop()
        return {"rows": rows(seconds, self.large.bytes, "cairn pull"), "peak_mib": peak}

    def small(self):
        store = Store(self.program, self._sub("small"), SMALL_CHUNKS * SMALL_BYTES, SMALL_BYTES)
        log = self.folder / "access.log"
        servers = {"small": NginxServer(store.program.store, inside=f"access_log {log};"),
                   "large": NginxServer(self.large.program.store)}
        try:
            report = pull(self.program, servers["small"].url, fresh(self.folder / "room"))
            lines = log.read_text().splitlines()
            seconds = rounds_of({name: lambda room, at=server.url: pull(self.program, at, room)
                                 for name, server in servers.items()}, self.rounds, self.folder)
        finally:
            for server in servers.values():
                server.stop()
        small = [store.bytes / value for value in seconds["small"]]
        large = [self.large.bytes / value for value in seconds["large"]]
        requests = sum("/packs/" in line for line in lines)
        return {"rate_over_large": ratio(small, large), "chunks": report["chunks"],
                "gb_per_s": statistics.median(small) / 1e9, "pack_requests": requests,
                "least_ranges": sum(math.ceil(path.stat().st_size / RANGE_BYTES)
                                    for path in store.packs)}

    def latency(self):
        server = NginxServer(self.large.program.store)
        proxies = {"0 ms": LyingProxy(server.url), "50 ms": LyingProxy(server.url, "* * * delay 50")}
        try:
            seconds = rounds_of(
                {name: lambda room, at=proxy.url: pull(self.program, at, room, None, MANY)
                 for name, proxy in proxies.items()}, self.rounds, self.folder)
        finally:
            for proxy in proxies.values():
                proxy.stop()
            server.stop()
        return {"rows": rows(seconds, self.large.bytes, "50 ms")}

    def bucket(self):
        """`aws s3 cp` is told nothing: it goes by its own defaults."""
        server = ReadBucket(self.large.program.store, "store")
        keys = server.environment
        try:
            seconds = rounds_of({
                "cairn pull": lambda room: pull(self.program, "s3://bucket/store", room, keys),
                "curl": lambda room: curl_down(self.large, f"{server.endpoint}/bucket/store", room),
                "aws s3 cp": lambda room: (aws(keys, "s3://bucket/store", room), sync(room)),
            }, self.rounds, self.folder)
        finally:
            server.stop()
        return {"rows": rows(seconds, self.large.bytes, "cairn pull")}

    def push(self):
        server = WriteBucket()
        return self._pushes(server, server.empty, {"CAIRN_S3_PAYLOAD": "unsigned"})

    def moto(self):
        return self._pushes(BucketServer(as_installed=True), lambda: None, {})

    def _pushes(self, server, empty, variables):
        keys = server.environment
        local = Program(self.program, self.large.program.store, **keys, **variables)
        number = iter(range(1 << 30))
        pieces = self.large.pieces()
        cache(pieces[0].parent)

        def curl_of(files):
            return lambda room: curl_up(files, f"{server.endpoint}/bucket/{next(number)}", room)

        try:
            seconds = rounds_of({
                "cairn push": lambda _: local.run("push", f"s3://bucket/{next(number)}", TAG),
                "curl": curl_of(pieces),
                "curl, whole packs": curl_of(self.large.packs),
                "aws s3 cp": lambda _: aws(keys, local.store, f"s3://bucket/{next(number)}"),
            }, self.rounds, self.folder, empty)
        finally:
            server.stop()
        return {"rows": rows(seconds, self.large.bytes, "cairn push")}


SECTIONS = ("web", "small", "latency", "bucket", "push", "moto")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("sections", nargs="*", metavar="SECTION")
    parser.add_argument("--gib", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp/cairn-transfer"))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    unknown = set(options.sections) - set(SECTIONS)
    if unknown:
        parser.error(f"unknown section '{sorted(unknown)[0]}', known: {', '.join(SECTIONS)}")
    bench = Bench(options.program, options.folder, options.gib, options.rounds)
    figures = {"gib": options.gib, "rounds": options.rounds}
    for section in options.sections or SECTIONS:
        figures[section] = getattr(bench, section)()
        print(json.dumps({section: figures[section]}, indent=1), flush=True)
        if options.json:
            options.json.write_text(json.dumps(figures))
    shutil.rmtree(options.folder)


if __name__ == "__main__":
    main()
