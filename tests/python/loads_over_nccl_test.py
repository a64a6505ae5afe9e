#!/usr/bin/env python3
"""Ranks with tensors on devices that load together: what several want goes from device to device,
over a communicator of the load's own; and from host to host where one rank cannot.
usage: TEST LIBCAIRN CAIRN FAKE_NCCL"""
import os
import signal
import sys
import threading
import time
import unittest
from unittest import mock

import package

if __name__ == "__main__":
    package.enter("torch")

import torch
from torch import distributed

import cairn
import fake_nccl
import ranks
import simulated
from loads import a_state, empty_like, raised, same
from cairn import _rank_group
from cairn.torch import _load_talk, _load_way


class Load:
    """Loads by a rank, whose tensors are on a device of its own."""

    def __init__(self, rank, path):
        simulated.small()
        self.store, self.nccl = cairn.Store(path), fake_nccl.Nccl()
        self.passed_by_host = 0
        self._devices, self._device = simulated.Devices(), rank % 2

    def __enter__(self):
        real = _load_talk.LoadTalk.broadcast

        def counted(*given):
            self.passed_by_host += 1
            return real(*given)

        self._patch = mock.patch.object(_load_talk.LoadTalk, "broadcast", counted)
        self._patch.start()
        self._devices.__enter__()
        return self

    def __exit__(self, *_):
        self._devices.__exit__()
        self._patch.stop()

    def run(self, on_device=True, timeout=60):
        """Whether it loads what was saved, and which way."""
        into = empty_like(a_state())
        if on_device:
            self._devices.put_all(into, self._device)
        self.passed_by_host = 0
        self.store.load("run/1", into=into, group=distributed.group.WORLD, timeout=timeout)
        return same(into, a_state()), self.passed_by_host > 0, self.nccl.counts()


def choose(rank, size, path):
    """Which way is taken for the whole job."""
    with Load(rank, path) as load:
        told = {"gloo": load.run()}
        both = mock.patch.object(distributed, "get_backend_config",
                                 lambda _: "cpu:gloo,cuda:nccl")
        with both:
            load.nccl.set(delay_us=2000)
            told["nccl"] = load.run()
            load.nccl.set()
            told["one by the host"] = load.run(on_device=rank != 1)
            with mock.patch.dict(os.environ, {"CAIRN_PASS_ON": "host"} if rank == 1 else {}):
                told["one would not"] = load.run()
        with mock.patch.dict(os.environ, {"CAIRN_PASS_ON": "devices"}):
            told["asked for"] = load.run()
        with mock.patch.dict(os.environ, {"CAIRN_PASS_ON": "nvlink" if rank == 1 else "host"}):
            try:
                load.run()
            except cairn.UsageError as error:
                told["no choice"] = str(error)
        return told


def cannot(rank, size, path):
    """NCCL makes none for rank 1: all go by the host, and say why."""
    os.environ["CAIRN_PASS_ON"] = "devices"
    with Load(rank, path) as load, mock.patch("cairn._notes.log_once") as noted:
        load.nccl.set(unable_rank=1)
        told = load.run(timeout=4)
        notes = [text for call in noted.call_args_list for text in call.args[0]]
        load.nccl.set()
        return told, notes, load.run()


def fail_on_one(rank, size, path):
    """NCCL has an error for rank 1, in the midst of what all wait for."""
    os.environ["CAIRN_PASS_ON"] = "devices"
    with Load(rank, path) as load:
        load.nccl.set(failing_rank=1, error=3, missing_rank=1, missing_at=4)
        begin = time.monotonic()
        told = raised(load.run)
        seconds = time.monotonic() - begin
        load.nccl.set()
        return told, seconds, load.run(), ranks.keys_of_cairn()


def interrupt_one(rank, size, path):
    """Rank 0 gets Ctrl-C while all wait for what rank 1 does not send."""
    os.environ["CAIRN_PASS_ON"] = "devices"
    with Load(rank, path) as load:
        load.nccl.set(missing_rank=1, missing_at=6)
        if rank == 0:
            threading.Timer(2, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        begin = time.monotonic()
        try:
            told = load.run()
        except BaseException as error:
            told = type(error).__name__, str(error)
        seconds, counts = time.monotonic() - begin, load.nccl.counts()
        load.nccl.set()
        return told, seconds, counts, load.run()


def die_on_one(rank, size, folder, path):
    """Rank 2 is gone while all wait for each other on their devices."""
    os.environ["CAIRN_PASS_ON"] = "devices"
    with Load(rank, path) as load:
        load.nccl.set(missing_rank=0, missing_at=6)
        if rank == 2:
            mock.patch.object(_rank_group._Calls, "look", lambda *_: os._exit(9)).start()
        begin = time.monotonic()
        told = raised(lambda: load.run(timeout=3))
    ranks.tell(folder, rank, time.monotonic() - begin, told)


class LoadsOverNcclTest(package.StoreTest):
    def setUp(self):
        super().setUp()
        if not fake_nccl.is_alone():
            self.skipTest("there is an NCCL here")
        fake_nccl.announce(FAKE, self.folder / "nccl")
        self.store.save("run/1", a_state())

    def test_where_the_group_has_nccl_and_all_want_it_on_devices(self):
        for told in ranks.run(choose, 3, self.store.path):
            self.assertIn("CAIRN_PASS_ON is 'nvlink'", told.pop("no choice"))
            by_device = {"nccl", "asked for"}
            for name, (is_right, is_by_host, (made, destroyed, aborted, passed)) in told.items():
                with self.subTest(name):
                    self.assertTrue(is_right)
                    self.assertEqual(is_by_host, name not in by_device)
                    self.assertEqual((made, destroyed, aborted), (1, 1, 0) if name in by_device
                                     else (0, 0, 0))
                    self.assertEqual(passed > 0, name in by_device)

    def test_where_none_can_be_made_all_go_by_the_host_and_say_so(self):
        for rank, (first, notes, second) in enumerate(ranks.run(cannot, 3, self.store.path)):
            is_right, is_by_host, (_, destroyed, _, passed) = first
            self.assertEqual((is_right, is_by_host, destroyed, passed), (True, True, 0, 0))
            self.assertEqual(len(notes), 1)
            self.assertIn("they made no communicator", notes[0])
            self.assertIn("making a communicator over NCCL", notes[0])
            self.assertEqual(second[:2], (True, False))

    def test_an_error_of_one_communicator_ends_the_load_of_all_at_once(self):
        results = ranks.run(fail_on_one, 3, self.store.path)
        for rank, ((kind, text), seconds, after, keys) in enumerate(results):
            self.assertEqual(kind, "Error")
            self.assertIn("over NCCL: internal error", text)
            self.assertEqual(text.startswith("rank 1: "), rank != 1)
            self.assertLess(seconds, 20)
            self.assertEqual((after[:2], keys), ((True, False), []))

    def test_an_interrupt_ends_the_load_of_all(self):
        results = ranks.run(interrupt_one, 2, self.store.path)
        self.assertEqual(results[0][0][0], "KeyboardInterrupt")
        self.assertIn("rank 0: it was interrupted", results[1][0][1])
        for _, seconds, (made, destroyed, aborted, _), after in results:
            self.assertLess(seconds, 20)
            self.assertEqual((made, destroyed, aborted), (1, 0, 1))
            self.assertEqual(after[:2], (True, False))

    def test_who_is_gone_is_named(self):
        told = ranks.run_torn(die_on_one, 3, self.folder / "told", self.store.path)
        self.assertEqual(set(told), {0, 1})
        for seconds, text in told.values():
            self.assertRegex(text, "UnreachableError: .*rank 2")
            self.assertLess(seconds, 20)


class WayTest(unittest.TestCase):
    def test_most_bytes_decide(self):
        class Memory:
            def __init__(self, device, nbytes):
                self.device, self.owner = device, self
                self.nbytes = nbytes

        def wished(*memories):
            with mock.patch.dict(os.environ, {"CAIRN_PASS_ON": "devices"}):
                return _load_way.wish(None, [("x", Memory(*each)) for each in memories])["device"]

        self.assertEqual(wished((0, 10), (1, 30), (0, 25)), 0)
        self.assertEqual(wished((0, 10), (1, 30), (None, 39)), 1)
        self.assertIsNone(wished((0, 10), (1, 30), (None, 40)))
        self.assertIsNone(wished())
        self.assertEqual(_load_way.way_of([{"device": 0}, {"device": 0}])["way"], "devices")
        self.assertEqual(_load_way.way_of([{"device": 0}, {"device": None}])["way"], "host")


if __name__ == "__main__":
    if len(sys.argv) > 1 and not sys.argv[1].startswith("-") and os.path.isfile(sys.argv[1]):
        FAKE = os.path.abspath(sys.argv.pop(1))
    unittest.main()
