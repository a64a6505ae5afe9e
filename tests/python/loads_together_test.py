#!/usr/bin/env python3
"""Ranks that load together: what several want is read once, each gets what it asked for, and what
fails on one rank fails on all, with its number."""
import gc
import os
import signal
import threading
import time
import unittest
import weakref
from unittest import mock

import package

if __name__ == "__main__":
    package.enter("torch")

import torch
from torch.multiprocessing import ProcessExitedException
from torch import distributed

import cairn
import ranks
import simulated
from cairn._checkpoint import Checkpoint
from loads import a_state, empty_like, flat, raised, same


class Read:
    """Bytes that were read by the loads of this rank, while it is entered."""

    def __enter__(self):
        self.bytes, real = 0, Checkpoint.load

        def counted(*given, **named):
            told = real(*given, **named)
            self.bytes += told["read_bytes"]
            return told

        self._patch = mock.patch.object(Checkpoint, "load", counted)
        self._patch.start()
        return self

    def __exit__(self, *_):
        self._patch.stop()


def load_all(rank, size, path):
    store, group, right = cairn.Store(path), distributed.group.WORLD, {}
    wanted = a_state()
    with Read() as read:
        right["new"] = same(store.load("run/@newest", group=group), wanted)
    into = empty_like(wanted)
    into["model"]["turned"] = torch.empty(70, 90).t()
    right["into"] = store.load("run/1", into=into, group=group) is into and same(into, wanted)
    names = ("model.w", "model.*", "step")[rank % 3]
    chosen = store.load("run/1", tensors=names, group=group)
    expected = {"model.w": {"model": {"w": wanted["model"]["w"]}},
                "model.*": {"model": wanted["model"]}, "step": {"step": wanted["step"]}}[names]
    right["chosen"] = all(torch.equal(flat(chosen)[name], value)
                          for name, value in flat(expected).items())
    right["cast"] = torch.equal(store.load("run/1", dtype=torch.float64, group=group)["model"]["w"],
                                wanted["model"]["w"].double())
    linear = torch.nn.Linear(500, 600, bias=False)
    store.load("run/1", into=linear, rename={"model.w": "weight"}, strict=False, group=group)
    right["module"] = torch.equal(linear.weight, wanted["model"]["w"])
    return right, read.bytes


def load_to_devices(rank, size, path):
    simulated.small()
    store, wanted = cairn.Store(path), a_state()
    with simulated.Devices() as devices:
        into = empty_like(wanted)
        for name, value in into["model"].items():
            devices.put(value, rank % 2)
        store.load("run/1", into=into, group=distributed.group.WORLD)
        return same(into, wanted)


def load_cut(rank, size, path):
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Replicate, Shard, distribute_tensor

    store, wanted, right = cairn.Store(path), a_state(), []
    mesh = init_device_mesh("cpu", (2, 2))
    for places in ([Replicate(), Shard(0)], [Shard(1), Shard(0)], [Replicate(), Replicate()]):
        into = {"model": {name: distribute_tensor(torch.zeros_like(value), mesh, places)
                          if value.dim() == 2 else torch.zeros_like(value)
                          for name, value in wanted["model"].items()}}
        store.load("run/1", into=into, strict=False, group=distributed.group.WORLD)
        for name, value in wanted["model"].items():
            got = into["model"][name]
            full = got.full_tensor() if hasattr(got, "full_tensor") else got
            right.append(torch.equal(full, value))
    return right


def load_in_a_part(rank, size, path):
    """Of a group of some ranks, which are called by their numbers in the job."""
    group = distributed.new_group([1, 2])
    store = cairn.Store(path)
    if rank == 0:
        return None
    is_right = same(store.load("run/1", group=group), a_state())
    into = {"step": torch.zeros(3 if rank == 2 else ())}
    return is_right, raised(lambda: store.load("run/1", into=into, strict=False, group=group))


def fail_on_one(rank, size, path):
    store, group, told, begin = cairn.Store(path), distributed.group.WORLD, [], time.monotonic()

    def failing(**named):
        told.append(raised(lambda: store.load(group=group, timeout=60, **named)))

    failing(tag="run/none")
    failing(tag="run/1" if rank else "damaged")
    failing(tag="run/1", into={"step": torch.zeros(2 if rank == 1 else ())}, strict=False)
    failing(tag="run/1", into={"step": torch.zeros(())}, strict=False,
            map_location="cpu" if rank == 2 else None)
    failing(tag="damaged", tensors="model.w")
    is_right = same(store.load("run/1", group=group), a_state())
    seconds = time.monotonic() - begin
    return told, seconds, is_right, ranks.keys_of_cairn()


def die_on_one(rank, size, folder, path, who, late):
    """Rank `who` is gone before it is ready, or when the others are in the library."""
    store, group = cairn.Store(path), distributed.group.WORLD
    if rank == who:
        name = "cairn.torch._load_talk.LoadTalk.all_gather" if late else "cairn._loading.load_new"
        mock.patch(name, lambda *_: os._exit(9)).start()
    begin = time.monotonic()
    told = raised(lambda: store.load("run/1", group=group, timeout=3))
    ranks.tell(folder, rank, time.monotonic() - begin, told)


def fail_in_talk(rank, size, path):
    """Of one load, each time another call of the ranks: rank 1 has no memory for it, or comes too
    late. Whatever happened, the next load goes well, and what training does in its group too."""
    from cairn.torch import _load_talk

    store, group, told = cairn.Store(path), distributed.group.WORLD, []
    for at in (1, 2, 3):
        for fault in ("memory", "late"):
            real, calls, begin = _load_talk.LoadTalk._call, [], time.monotonic()

            def faulty(self, work):
                calls.append(work)
                if rank == 1 and len(calls) == at and fault == "memory":
                    raise MemoryError("no room")
                if rank == 1 and len(calls) == at:
                    threading.Event().wait(4)
                return real(self, work)

            with mock.patch.object(_load_talk.LoadTalk, "_call", faulty):
                try:
                    store.load("run/1", group=group, timeout=60 if fault == "memory" else 1)
                    failed = ("none", "")
                except Exception as error:
                    failed = type(error).__name__, str(error)
            seconds = time.monotonic() - begin
            value = torch.ones(1)
            distributed.all_reduce(value, group=group)
            is_right = same(store.load("run/1", group=group), a_state())
            told.append((fault, failed, seconds, value.item(), is_right))
    return told


def interrupt_one(rank, size, path):
    """Rank 0 gets Ctrl-C while it waits for rank 1 in the library."""
    from cairn.torch import _load_talk

    store, group = cairn.Store(path), distributed.group.WORLD
    begin, may_go = time.monotonic(), threading.Event()
    if rank == 0:
        threading.Timer(1, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    real = _load_talk.LoadTalk.all_gather

    def stuck(*given):
        may_go.wait(30)
        return real(*given)

    with mock.patch.object(_load_talk.LoadTalk, "all_gather", stuck if rank == 1 else real):
        try:
            store.load("run/1", group=group, timeout=60)
        except BaseException as error:
            told = type(error).__name__, str(error)
    return told, time.monotonic() - begin, same(store.load("run/1", group=group), a_state())


def leave_nothing(rank, size, path):
    """What is made for a load that goes well, and for one that fails, without a collector."""
    from cairn import _rank_group
    from cairn.torch import _load_talk

    store, group, made, alive = cairn.Store(path), distributed.group.WORLD, [], []

    def kept(real):
        def make(self, *given):
            made.append(weakref.ref(self))
            real(self, *given)

        return make

    classes = _load_talk.LoadTalk, _rank_group.RankGroup, _rank_group._Calls
    for each in classes:
        mock.patch.object(each, "__init__", kept(each.__init__)).start()
    gc.disable()
    for tag, names in (("run/1", "*"), ("damaged", "model.w")):
        raised(lambda: store.load(tag, tensors=names, group=group))
        alive.append([type(each()).__name__ for each in made if each() is not None])
    return len(made), alive


class LoadsTest(package.StoreTest):
    def setUp(self):
        super().setUp()
        self.store.save("run/1", a_state())

    def test_each_gets_what_it_asked_for_and_the_state_is_read_once(self):
        with Read() as alone:
            self.store.load("run/1")
        for size in (2, 3):
            results = ranks.run(load_all, size, self.store.path)
            for right, _ in results:
                self.assertEqual(right, dict.fromkeys(right, True))
            read = sum(bytes_ for _, bytes_ in results)
            self.assertLessEqual(read, 1.05 * alone.bytes)
            self.assertGreaterEqual(read, alone.bytes)

    def test_targets_on_devices(self):
        self.assertEqual(ranks.run(load_to_devices, 2, self.store.path), [True, True])

    def test_any_cut(self):
        for right in ranks.run(load_cut, 4, self.store.path):
            self.assertEqual(right, [True] * len(right))

    def test_a_part_of_the_job(self):
        results = ranks.run(load_in_a_part, 3, self.store.path)
        for rank, (is_right, told) in zip((1, 2), results[1:]):
            self.assertTrue(is_right)
            self.assertEqual(told[0], "UsageError")
            self.assertEqual("rank 2: " in told[1], rank == 1)

    def damage(self):
        """Makes a tag, one of whose chunks is not what it was."""
        state = {"model": {"w": torch.randn(600, 500)}}
        self.store.save("damaged", state, base="none")
        pack = max((self.folder / "store" / "packs").rglob("*"),
                   key=lambda path: (path.is_file(), path.stat().st_mtime_ns))
        content = bytearray(pack.read_bytes())
        content[len(content) // 2] ^= 1
        pack.chmod(0o600)
        pack.write_bytes(content)

    def test_nothing_is_left_for_a_collector(self):
        self.damage()
        self.assertEqual(ranks.run(leave_nothing, 2, self.store.path), [(6, [[], []])] * 2)

    def test_what_fails_on_one_rank_fails_on_all_at_once(self):
        self.damage()
        results = ranks.run(fail_on_one, 3, self.store.path)
        for rank, (told, seconds, is_right, keys) in enumerate(results):
            self.assertEqual(keys, [])
            kinds = [each and each[0] for each in told]
            self.assertEqual(kinds, ["NotFoundError", "UsageError", "UsageError", "UsageError",
                                     "CorruptError"])
            self.assertIn("'run/none'", told[0][1])
            self.assertIn("rank 0 'damaged'", told[1][1])
            self.assertEqual("rank 1: " in told[2][1], rank != 1)
            self.assertEqual("rank 2: " in told[3][1], rank != 2)
            self.assertIn("tensor 'model.w'", told[4][1])
            self.assertLess(seconds, 30)
            self.assertTrue(is_right)

    def test_a_load_that_failed_leaves_nothing_behind(self):
        for rank, told in enumerate(ranks.run(fail_in_talk, 3, self.store.path)):
            for fault, (kind, text), seconds, value, is_right in told:
                self.assertEqual((value, is_right), (3.0, True))
                self.assertLess(seconds, 20)
                if fault == "late":
                    self.assertEqual(kind, "UnreachableError", text)
                    self.assertIn("rank 1", text)
                elif rank == 1:
                    self.assertEqual((kind, text), ("MemoryError", "no room"))
                else:
                    self.assertEqual((kind, text), ("Error", "rank 1: MemoryError: no room"))

    def test_an_interrupt_ends_the_load_of_all(self):
        try:
            results = ranks.run(interrupt_one, 2, self.store.path)
        except ProcessExitedException:
            # Now and then a thread of gloo's aborts its process when the other end closes.
            results = ranks.run(interrupt_one, 2, self.store.path)
        self.assertEqual(results[0][0][0], "KeyboardInterrupt")
        self.assertLess(results[0][1], 10)
        self.assertIn("rank 0: it was interrupted", results[1][0][1])
        self.assertEqual([right for _, _, right in results], [True, True])

    def test_what_is_no_time_out_and_no_group(self):
        for options in ({"timeout": -1}, {"timeout": float("nan")}, {"timeout": "5"}, {}):
            with self.assertRaises(cairn.UsageError):
                self.store.load("run/1", group="world", **options)

    def test_who_is_gone_is_named(self):
        for late in (False, True):
            with self.subTest(late=late):
                told = ranks.run_torn(die_on_one, 3, self.folder / f"told-{late}",
                                      self.store.path, 2, late)
                self.assertEqual(set(told), {0, 1})
                for seconds, text in told.values():
                    self.assertRegex(text, "UnreachableError: .*rank 2")
                    self.assertLess(seconds, 20)


if __name__ == "__main__":
    unittest.main()
