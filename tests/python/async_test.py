#!/usr/bin/env python3
"""Saves beside the training: a tag holds the state of its call, errors are not lost, memory is
bounded, and the process may die or fork at any moment."""
import logging
import multiprocessing
import os
import random
import shutil
import signal
import sys
import threading
import unittest
from unittest import mock

import package

if __name__ == "__main__":
    package.enter("torch", "numpy")

import numpy as np
import torch

import cairn
from cairn import _saving
from cairn.torch import AsyncSaver
from cairn.torch._snapshot import Snapshots, take

# Trains and saves every step for ever; says each step when its save has begun.
ENDLESS = """
import sys, torch, cairn, cairn.torch
saver = cairn.torch.AsyncSaver(sys.argv[1])
weights = torch.zeros(1 << 18)
for step in range(1000000):
    weights.fill_(step)
    saver.save(f"run/{step}", {"w": weights, "more": [torch.full((3,), step)]}, step=step)
    weights.fill_(-1)
    print(step, flush=True)
"""
# Leaves a save that failed to the end of the program.
UNSEEN = """
import sys, torch, cairn.torch
saver = cairn.torch.AsyncSaver(sys.argv[1])
saver.save("taken", {"w": torch.ones(3)})
"""
# Children run what a program runs at its end, while the parent saves.
FORKING = """
import atexit, multiprocessing, sys, torch, cairn.torch
saver = cairn.torch.AsyncSaver(sys.argv[1])
for step in range(10):
    saver.save(f"run/{step}", {"w": torch.full((1 << 18,), step)})
    child = multiprocessing.get_context("fork").Process(target=atexit._run_exitfuncs)
    child.start()
    child.join(60)
    assert child.exitcode == 0, child.exitcode
saver.close()
"""


def resident_bytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Stalled:
    """Saves that stand still until go()."""

    def __enter__(self):
        self._may_go = threading.Event()
        real = _saving.save

        def save(*arguments):
            self._may_go.wait(60)
            return real(*arguments)

        self._patch = mock.patch.object(_saving, "save", save)
        self._patch.start()
        return self

    def go(self):
        self._may_go.set()

    def __exit__(self, *_):
        self.go()
        self._patch.stop()


class Snapshot(unittest.TestCase):
    def state(self):
        tied = torch.randn(40, 30)
        return {"large": torch.randn(300, 400), "turned": torch.randn(300, 400).t(), "a": tied,
                "scalar": torch.tensor(2.5), "empty": torch.empty(0, 3),
                "conj": torch.randn(500, dtype=torch.cfloat).conj(),
                "bf16": torch.randn(100000).bfloat16(), "bool": torch.ones(7, dtype=torch.bool),
                "parameter": torch.nn.Parameter(torch.randn(3)), "array": np.arange(12.0)[::-2],
                "swapped": np.arange(3, dtype=">i4")}

    def test_copies_are_equal_and_of_their_own(self):
        state = self.state()
        taken = take(state)
        copies = {part.name: copy for part, copy in zip(taken.parts, taken.copies)}
        for name, value in state.items():
            wanted = value if isinstance(value, torch.Tensor) else torch.from_numpy(
                value.astype(value.dtype.newbyteorder("=")).copy())
            self.assertEqual((copies[name].dtype, copies[name].shape), (wanted.dtype, wanted.shape))
            self.assertTrue(torch.equal(copies[name], wanted.detach().resolve_conj()), name)
            self.assertTrue(copies[name].is_contiguous())

    def test_rooms_are_used_in_turn_and_fit(self):
        snapshots, state = Snapshots(), self.state()
        first = snapshots.take(state)
        snapshots.prepare()
        second = snapshots.take(state)
        self.assertIsNot(first, second)
        self.assertIs(snapshots.take(state), first)
        self.assertIs(snapshots.take(state), second)
        state["large"] = torch.ones(7)
        third = snapshots.take(state)
        self.assertIsNot(third, first)
        self.assertIsNone(first.copies)
        self.assertIsNotNone(second.copies)

    def test_what_has_no_values_is_named(self):
        from torch.testing._internal.two_tensor import TwoTensor

        for name, value in (("sparse", torch.eye(3).to_sparse()), ("wide", np.zeros(2, "complex128")),
                            ("meta", torch.empty(3, device="meta")),
                            ("two", TwoTensor(torch.ones(2), torch.ones(2)))):
            with self.assertRaisesRegex(cairn.UsageError, f"'{name}'"):
                take({"w": torch.ones(3), name: value})


class Saves(package.StoreTest):
    def setUp(self):
        super().setUp()
        self.saver = AsyncSaver(self.store)
        self.addCleanup(self.saver.close)

    def test_a_tag_holds_the_state_of_its_call(self):
        torch.manual_seed(1)
        state = {f"t{i}": torch.randn(1 + 37 * i, 100) for i in range(40)}
        state |= {"array": np.arange(1000.0), "list": [torch.randn(5), {"n": 1}]}
        wanted = {name: value.copy() if isinstance(value, np.ndarray) else value.clone()
                  for name, value in state.items() if name != "list"}
        inner = state["list"][0].clone()
        handle = self.saver.save("run/1", state, step=1)
        for value in [*state.values(), state["list"][0]]:
            if isinstance(value, list):
                value[1]["n"] = 2
            else:
                value[...] = 0
        self.assertEqual(handle.result(60)["tag"], "run/1")
        loaded = self.store.load("run/1")
        for name, value in wanted.items():
            self.assertTrue((loaded[name] == value).all(), name)
        self.assertTrue(torch.equal(loaded["list"][0], inner))
        self.assertEqual(loaded["list"][1], {"n": 1})

    def test_the_call_does_not_wait_for_the_save(self):
        with Stalled() as stalled:
            handle = self.saver.save("run/1", {"w": torch.ones(3)})
            self.assertFalse(handle.done() or handle.wait(0.01) or self.saver.wait(0.01))
            with self.assertRaisesRegex(TimeoutError, "'run/1'"):
                handle.result(0.01)
            stalled.go()
            self.assertTrue(self.saver.wait(60) and handle.wait() and handle.done())
        self.assertIn("saved", repr(handle))

    def test_every_step_of_a_fast_loop(self):
        torch.manual_seed(2)
        weights, moments = torch.randn(1 << 16), torch.zeros(1 << 16)
        wanted, sizes = {}, []
        for step in range(300):
            moments.mul_(0.9).add_(torch.randn(1 << 16), alpha=0.1)
            weights.sub_(moments, alpha=1e-3)
            self.saver.save(f"run/{step}", {"w": weights, "m": moments, "step": step}, step=step)
            if step % 29 == 0 or step == 299:
                wanted[step] = (weights.clone(), moments.clone())
            if step in (60, 299):
                sizes.append(resident_bytes())
        self.saver.wait()
        self.assertEqual(sorted(tag.step for tag in self.store.tags("run/*")), list(range(300)))
        for step, (w, m) in wanted.items():
            loaded = self.store.load(f"run/{step}")
            self.assertTrue(torch.equal(loaded["w"], w) and torch.equal(loaded["m"], m), step)
            self.assertEqual(loaded["step"], step)
        self.assertLess(sizes[1] - sizes[0], 64 << 20)

    def test_the_snapshot_before_is_the_base(self):
        calls, real = [], _saving.save

        def save(store, request, boxes, base_boxes=()):
            calls.append((boxes, base_boxes))
            return real(store, request, boxes, base_boxes)

        state = {"w": torch.randn(1000)}
        with mock.patch.object(_saving, "save", save):
            for number, tag in enumerate(("run/1", "run/2", "run/3", "other/1", "other/2")):
                state["w"] += 1
                told = self.saver.save(tag, state, base="run/1" if number == 4 else None).result()
        self.assertEqual(told["base"], "run/1")
        self.assertEqual([base is before for (_, base), (before, _) in zip(calls[1:], calls)],
                         [True, True, False, False])
        self.assertIs(calls[0][0], calls[2][0], "two rooms, in turn")

    def test_waiting_for_the_save_before(self):
        for number in range(5):
            self.saver.save(f"run/{number}", {"w": torch.full((1000,), number)})
        self.saver.wait()
        for number in range(5):
            self.assertEqual(self.store.load(f"run/{number}")["w"][0], number)

    def test_skipping_while_a_save_is_under_way(self):
        with AsyncSaver(self.store, back_pressure="skip") as saver, Stalled() as stalled:
            saver.save("run/1", {"w": torch.ones(3)})
            skipped = saver.save("run/2", {"w": torch.ones(3)})
            self.assertTrue(skipped.skipped and skipped.done() and skipped.wait())
            self.assertIsNone(skipped.result())
            stalled.go()
            saver.wait()
            self.assertFalse(saver.save("run/3", {"w": torch.ones(3)}).skipped)
        self.assertEqual([tag.tag for tag in self.store.tags()], ["run/3", "run/1"])

    def test_an_error_while_a_save_is_under_way(self):
        with AsyncSaver(self.store, back_pressure="error") as saver, Stalled():
            saver.save("run/1", {"w": torch.ones(3)})
            with self.assertRaisesRegex(cairn.BusyError, "'run/1' is still under way"):
                saver.save("run/2", {"w": torch.ones(3)})
        self.assertEqual([tag.tag for tag in self.store.tags()], ["run/1"])
        with self.assertRaisesRegex(cairn.UsageError, "back_pressure is 'drop'"):
            AsyncSaver(self.store, back_pressure="drop")

    def test_errors_are_raised_once_and_not_lost(self):
        state = {"w": torch.ones(3)}
        self.store.save("taken", state)
        for ask in (lambda handle: handle.wait(), lambda handle: self.saver.wait(),
                    lambda handle: handle.result(),
                    lambda handle: self.saver.save("other", state)):
            handle = self.saver.save("taken", state)
            with self.assertRaisesRegex(cairn.ExistsError, "taken"):
                ask(handle)
            self.assertTrue(handle.wait() and self.saver.wait())
        self.assertEqual([tag.tag for tag in self.store.tags()], ["taken"])
        self.saver.save("taken", state)
        with self.assertRaises(cairn.ExistsError):
            self.saver.close()
        self.saver.close()
        with self.assertRaisesRegex(cairn.UsageError, "closed"):
            self.saver.save("more", state)

    def test_what_the_call_can_see_it_raises_itself(self):
        for state, why in (({"odd": {1, 2}}, "'odd' is a set"), ([1], "a state is a dict"),
                           ({"meta": torch.empty(2, device="meta")}, "'meta'")):
            with self.assertRaisesRegex(cairn.UsageError, why):
                self.saver.save("run/1", state)
        with self.assertRaisesRegex(cairn.UsageError, "two words"):
            self.saver.save("two words", {"w": torch.ones(2)})
        self.saver.save("run/1", {"w": torch.ones(2)}, user_content={"a": 1}, metadata={"loss": 2.5})
        self.saver.wait()
        self.assertEqual(self.store.user_content("run/1"), {"a": 1})
        self.assertEqual(self.store.tags()[0].metadata, {"loss": "2.5"})

    def test_a_store_that_is_gone(self):
        shutil.rmtree(self.store.path)
        self.saver.save("run/1", {"w": torch.randn(1 << 16)})
        with self.assertRaises(cairn.Error):
            self.saver.wait()

    def test_an_error_in_the_block_is_not_hidden(self):
        self.store.save("taken", {"w": torch.ones(3)})
        with self.assertLogs("cairn", logging.ERROR) as logs, self.assertRaises(KeyError):
            with AsyncSaver(self.store) as saver:
                saver.save("taken", {"w": torch.ones(3)})
                raise KeyError("the training's")
        self.assertIn("taken", logs.output[0])

    def test_what_nobody_saw_is_logged_at_the_end(self):
        self.store.save("taken", {"w": torch.ones(3)})
        process = package.program(UNSEEN, self.store.path)
        _, told = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 0)
        self.assertRegex(told, "the save of 'taken' failed, and nobody asked: .*taken")

    def test_killed_at_any_moment(self):
        chance = random.Random(3)
        for number in range(4):
            store = cairn.Store(self.folder / f"store-{number}", create=True)
            process, last = package.program(ENDLESS, store.path), chance.randrange(3, 20)
            for line in process.stdout:
                if int(line) == last:
                    break
            process.kill()
            process.communicate(timeout=60)
            self.assertEqual(process.returncode, -signal.SIGKILL)
            self.assertTrue(store.check(read_data=True)["ok"])
            steps = sorted(tag.step for tag in store.tags("run/*"))
            self.assertEqual(steps, list(range(len(steps))))
            self.assertGreaterEqual(len(steps), last, "all but the last one or two were saved")
            for step in steps:
                loaded = store.load(f"run/{step}")
                self.assertTrue((loaded["w"] == step).all() and (loaded["more"][0] == step).all())


class Forks(package.StoreTest):
    def test_a_child_disturbs_nothing_and_ends(self):
        saver = AsyncSaver(self.store)
        self.addCleanup(saver.close)
        with Stalled() as stalled:
            handle = saver.save("run/1", {"w": torch.arange(1000)})
            child = multiprocessing.get_context("fork").Process(target=self.use,
                                                                args=[saver, handle])
            child.start()
            child.join(60)
            stalled.go()
            handle.wait()
        self.assertEqual(child.exitcode, 0)
        self.assertEqual(self.store.load("run/1")["w"][999], 999)
        saver.save("run/2", {"w": torch.arange(1000)}).wait()

    def use(self, saver, handle):
        for call in (handle.wait, saver.wait, lambda: saver.save("run/3", {"w": torch.ones(1)})):
            with self.assertRaisesRegex(cairn.UsageError, "forked from"):
                call()
        saver.close()
        self.assertFalse(handle.done())

    def test_children_that_end_as_programs_do(self):
        process = package.program(FORKING, self.store.path)
        _, told = process.communicate(timeout=120)
        self.assertEqual((process.returncode, told), (0, ""))
        for step in range(10):
            self.assertTrue((self.store.load(f"run/{step}")["w"] == step).all())

    def test_a_data_loader_copies_no_snapshot(self):
        snapshots = Snapshots()
        state = {"w": torch.ones(1 << 24)}
        snapshots.take(state)
        ends = multiprocessing.get_context("fork").Event()
        child = multiprocessing.get_context("fork").Process(target=ends.wait, args=[60])
        child.start()
        before = resident_bytes()
        taken = snapshots.take(state)  # its room is new
        taken = snapshots.take(state)  # this one the child has seen
        self.assertTrue(torch.equal(taken.copies[0], state["w"]))
        self.assertLess(resident_bytes() - before, (1 << 26) + (32 << 20))
        ends.set()
        child.join(60)


if __name__ == "__main__":
    unittest.main()
