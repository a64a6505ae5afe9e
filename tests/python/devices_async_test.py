#!/usr/bin/env python3
"""Saves beside the training of tensors on CUDA devices: never a mix of two states, whatever the
training does meanwhile, and nothing is kept that has been read. The devices are simulated."""
import gc
import threading
import unittest
import weakref
from unittest import mock

import package

if __name__ == "__main__":
    package.enter("torch", "numpy")

import torch

import cairn
import ranks
import simulated
from cairn import _devices, _library, _saving
from cairn.errors import ExistsError
from cairn.torch import AsyncSaver, _live, device_options
from simulated import DevicesTest, a_state, copy_of


class Gate:
    """Lets saves go on when it is opened: before the library has read a byte, or just after."""

    def __init__(self, test, when="before"):
        self._open, self.arrived = threading.Event(), threading.Event()
        of, name = (_library, "call_stoppable") if when == "before" else (_devices.Use, "_pass")
        real = getattr(of, name)

        def wait(*arguments, **options):
            if when == "after":
                real(*arguments, **options)
            self.arrived.set()
            self._open.wait(60)
            return real(*arguments, **options) if when == "before" else None

        patch = mock.patch.object(of, name, wait)
        patch.start()
        test.addCleanup(patch.stop)
        test.addCleanup(self._open.set)

    def open(self):
        self._open.set()


class Asynchronous(DevicesTest):
    def setUp(self):
        super().setUp()
        self.saver = AsyncSaver(self.store)
        self.addCleanup(self.saver.close)

    def spoil(self, state):
        for value in (*state.values(), state["more"][0]):
            if not isinstance(value, list):
                value[...] = 0

    def test_a_tag_holds_the_state_of_its_call(self):
        state = self.on_devices(a_state())
        for number in range(6):
            state["w"].add_(number)
            state["half"][number * 1000:number * 2000] = number
            wanted = copy_of(state)
            handle = self.saver.save(f"run/{number}", state)
            self.assertTrue(handle.is_read() and handle.wait_read(0))
            self.spoil(state)
            handle.wait()
            self.assert_same(self.store.load(f"run/{number}"), wanted)
            for name, value in wanted.items():
                if isinstance(value, torch.Tensor):
                    state[name][...] = value
        self.assertEqual({later for _, later in self.devices.streams[:6:2]}, {True})

    def test_training_goes_on_while_it_is_stored(self):
        gate = Gate(self, "after")
        state = self.on_devices(a_state())
        wanted, done = copy_of(state), []
        thread = threading.Thread(target=lambda: done.append(self.saver.save("run/1", state)))
        thread.start()
        thread.join(60)
        self.assertFalse(thread.is_alive() or done[0].done(), "it returns at the fence")
        self.spoil(state)
        gate.open()
        done[0].result(60)
        self.assert_same(self.store.load("run/1"), wanted)

    def test_nothing_of_a_device_is_copied_or_kept(self):
        state = {"w": self.devices.put(torch.randn(300, 400)), "host": torch.randn(100)}
        seen, real = [], _saving.save

        def save(store, request, boxes, base_boxes=()):
            seen.append(({row[8] for row in boxes._rows}, len(base_boxes)))
            return real(store, request, boxes, base_boxes)

        with mock.patch.object(_saving, "save", save):
            self.saver.save("run/1", state).wait()
            self.saver.save("run/2", state).wait()
        self.assertIn(state["w"].data_ptr(), seen[0][0])
        self.assertNotIn(state["host"].data_ptr(), seen[0][0])
        self.assertEqual([bases for _, bases in seen], [0, 1], "of the base, the host's copy")
        gone = weakref.ref(state["w"])
        del state
        gc.collect()
        self.assertIsNone(gone())

    def test_tensors_that_go_after_the_call(self):
        gate = Gate(self, "after")
        state = {"w": self.devices.put(torch.randn(300, 400))}
        wanted, gone = copy_of(state), weakref.ref(state["w"])
        handle = self.saver.save("run/1", state)
        del state
        gc.collect()
        self.assertIsNone(gone(), "the save holds no tensor that it has read")
        self.assertFalse(handle.done())
        gate.open()
        handle.result(60)
        self.assert_same(self.store.load("run/1"), wanted)

    def test_overlap(self):
        gate = Gate(self)
        state = self.on_devices(a_state())
        wanted = copy_of(state)
        handle = self.saver.save("run/1", state, overlap=True)
        self.assertFalse(handle.is_read() or handle.wait_read(0.05))
        state["host"].zero_()  # this was copied
        names = {name: weakref.ref(state[name]) for name in ("w", "turned")}
        del state
        gc.collect()
        self.assertTrue(all(name() is not None for name in names.values()), "the save needs them")
        gate.open()
        self.assertTrue(handle.wait_read(60) and handle.is_read())
        handle.result(60)
        self.assert_same(self.store.load("run/1"), wanted)

    def test_overlap_and_a_write_before_it_is_read(self):
        state = self.on_devices(a_state())
        self.saver.save("run/1", state).wait()
        for number, change in enumerate((
                lambda: state["w"][150:].add_(1), lambda: state["turned"].t().mul_(2),
                lambda: torch._foreach_add_([state["half"], state["part"]], 1))):
            gate = Gate(self)
            handle = self.saver.save("run/2", state, overlap=True)
            change()
            gate.open()
            with self.assertRaisesRegex(cairn.UsageError, "was changed while it was saved"):
                handle.wait_read(60) if number % 2 else handle.result(60)
            self.assertFalse(handle.is_read())
            self.assertTrue(handle.done() and self.saver.wait())
        self.assertEqual([tag.tag for tag in self.store.tags()], ["run/1"])

    def test_overlap_and_a_step_that_counts_no_writes(self):
        model = torch.nn.Linear(40, 50)
        optimizer = torch.optim.AdamW(model.parameters(), fused=True)
        other = torch.optim.SGD([torch.nn.Parameter(torch.ones(3))], lr=0.1)
        self.devices.put(model.weight)
        for each in (*model.parameters(), *other.param_groups[0]["params"]):
            each.grad = torch.ones_like(each)
        for number, (step, fails) in enumerate(((other.step, False), (optimizer.step, True))):
            gate = Gate(self)
            before = model.weight._version
            handle = self.saver.save(f"run/{number}", {"model": model.state_dict()}, overlap=True)
            step()
            self.assertEqual(model.weight._version, before)
            gate.open()
            if fails:
                with self.assertRaisesRegex(cairn.UsageError, "'model.weight' was changed"):
                    handle.result(60)
            else:
                handle.result(60)
        self.saver.save("run/3", {"model": model.state_dict()}, overlap=True).wait_read()
        optimizer.step()
        self.saver.wait()
        self.assertEqual(len(self.store.tags()), 2)
        self.assertEqual(_live._unread, {})

    def test_under_load_no_tag_is_of_two_states(self):
        state = {f"t{number}": self.devices.put(torch.zeros(70000), number % 2)
                 for number in range(4)}
        failed = 0
        for step in range(12):
            handle = self.saver.save(f"run/{step}", state, overlap=True)
            handle._may_change.wait(0.02 * (step % 4))
            for value in state.values():
                value.add_(1)
            try:
                handle.result(60)
            except cairn.UsageError:
                failed += 1
                continue
            for value in self.store.load(f"run/{step}").values():
                self.assertTrue((value == step).all(), step)
        self.assertEqual(len(self.store.tags()), 12 - failed)
        self.assertGreater(failed, 0)

    def test_a_save_that_fails_before_it_has_read(self):
        state = self.on_devices(a_state())
        self.store.save("taken", state)
        with mock.patch.object(_library, "call_stoppable", side_effect=cairn.NoSpaceError("full")):
            with self.assertRaisesRegex(cairn.NoSpaceError, "full"):
                self.saver.save("run/1", state)
        self.assertTrue(self.saver.wait(), "it was told")
        with self.assertRaisesRegex(cairn.ExistsError, "taken"):
            self.saver.save("taken", state).wait()
        self.saver.save("run/1", state).result(60)

    def test_views_that_are_read_otherwise_than_they_lie(self):
        waves = self.devices.put(torch.randn(9000, dtype=torch.cfloat))
        state = {"conj": waves.conj(), "w": waves, "r": self.devices.put(torch.randn(70, 30)).t()}
        wanted = copy_of(state)
        handle = self.saver.save("run/1", state)
        waves.zero_()
        handle.result(60)
        self.assert_same(self.store.load("run/1"), wanted)

    def test_a_loop_that_overlaps(self):
        weights = self.devices.put(torch.zeros(90000))
        handles = []
        for step in range(10):
            if handles:
                handles[-1].wait_read()
            weights.add_(1)
            handles.append(self.saver.save(f"run/{step}", {"w": weights, "step": step},
                                           overlap=True))
        for step, handle in enumerate(handles):
            handle.result(60)
            loaded = self.store.load(f"run/{step}")
            self.assertTrue((loaded["w"] == step + 1).all() and loaded["step"] == step)

    def test_an_error_keeps_no_tensor(self):
        state = {"w": self.devices.put(torch.randn(3000))}
        gone = weakref.ref(state["w"])
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        with mock.patch.object(_library, "call_stoppable", side_effect=cairn.NoSpaceError("full")):
            handle = self.saver.save("run/1", state, overlap=True)
            del state
            with self.assertRaisesRegex(cairn.NoSpaceError, "full"):
                handle.result(60)
        self.saver._is_idle.wait()
        self.assertIsNone(gone())

    def test_back_pressure(self):
        state = self.on_devices(a_state())
        for policy in ("skip", "error"):
            with AsyncSaver(self.store, back_pressure=policy) as saver:
                gate = Gate(self, "after")
                first = saver.save(f"{policy}/1", state)
                if policy == "skip":
                    second = saver.save(f"{policy}/2", state)
                    self.assertTrue(second.skipped and second.is_read() and second.wait_read(0))
                else:
                    with self.assertRaisesRegex(cairn.BusyError, "still under way"):
                        saver.save(f"{policy}/2", state)
                gate.open()
                first.result(60)
                saver.save(f"{policy}/3", state, overlap=True).wait_read()
        for number in range(3):
            state["w"].fill_(number)
            self.saver.save(f"wait/{number}", state)
        self.saver.wait()
        self.assertTrue((self.store.load("wait/1")["w"] == 1).all())
        self.assertEqual(len(self.store.tags()), 7)


def save_together(rank, size, path):
    """Each rank's shards are on a device of the other number."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Shard, distribute_tensor

    mesh = init_device_mesh("cpu", (size,))
    weights = torch.randn(700, 40, generator=torch.Generator().manual_seed(1))
    simulated.small()
    with simulated.Devices() as devices, AsyncSaver(path) as saver:
        state = {"w": distribute_tensor(weights, mesh, [Shard(0)]), "same": torch.ones(5000)}
        devices.put(state["w"]._local_tensor, rank)
        devices.put(state["same"], rank)
        for step in range(3):
            handle = saver.save(f"run/{step}", state, step=step, overlap=step == 1)
            handle.wait_read()
            state["w"]._local_tensor.add_(1)
            handle.result(60)
        cairn.Store(path).load("run/0", into=state)
        found = torch.equal(state["w"].full_tensor(), weights)
        gate = threading.Event()
        real = _library.call_stoppable

        def late(*arguments, **options):
            gate.wait(60)
            return real(*arguments, **options)

        with mock.patch.object(_library, "call_stoppable", late):
            handle = saver.save("run/9", state, step=9, overlap=True)
            if rank == 1:
                state["w"]._local_tensor.add_(1)
            gate.set()
            try:
                handle.result(60)
                text = "saved"
            except cairn.UsageError as error:
                text = error.message
        return found, devices.streams[0], text


SAMPLE = 2 * 2 * 65536  # bytes by which a save learns how chunks of bfloat16 travel


class KeptOnDevice(DevicesTest):
    """What was saved last stays on the device, and only what differs crosses over."""

    def setUp(self):
        super().setUp()
        device_options(pinned_bytes=16 << 20, slab_bytes=4 << 20, device_bytes=64 << 20)
        self.saver = AsyncSaver(self.store, keep_on_device=True)
        self.addCleanup(self.saver.close)
        self.state = {"w": self.devices.put(torch.randn(800, 1000).bfloat16()),
                      "turned": self.devices.put(torch.randn(90, 70).t(), 1),
                      "host": torch.arange(100.0)}

    def change(self):
        self.state["w"].view(-1)[torch.randperm(800000)[:40000]] += 1
        self.state["host"] += 1

    def save(self, tag, **options):
        handle = self.saver.save(tag, self.state, **options)
        if options.get("overlap"):
            handle.wait_read()
        wanted = copy_of(self.state)
        self.change()
        result = handle.result(60)
        self.assert_same(self.store.load(tag), wanted)
        return result["brought_bytes"]

    def test_only_what_differs_is_brought(self):
        whole = self.save("run/0")
        self.assertGreater(whole, 1600000)
        for number in range(1, 4):
            self.assertLess(self.save(f"run/{number}", overlap=number % 2 == 0), SAMPLE + whole / 5)

    def test_of_an_optimizers_step_half_is_brought(self):
        device_options(pinned_bytes=64 << 20, slab_bytes=32 << 20)
        # What is brought differs by some percent with the gradients, and with the processor.
        generator = torch.Generator().manual_seed(11)
        model = torch.nn.Linear(1024, 1024)
        optimizer = torch.optim.AdamW(model.parameters())
        with AsyncSaver(self.store, keep_on_device=True, optimizer=optimizer, model=model) as saver:
            for step in range(3):
                model(torch.randn(8, 1024, generator=generator)).square().mean().backward()
                optimizer.step()
                state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
                for value in (state["model"], *state["optimizer"]["state"].values()):
                    self.devices.put_all(value)
                wanted = copy_of(state)
                told = saver.save(f"run/{step}", state, step=step).result(60)
                self.assert_same(self.store.load(f"run/{step}"), wanted)
                if step > 0:
                    self.assertLess(told["brought_bytes"], 0.6 * told["logical_bytes"])

    def test_after_a_failed_save_all_is_brought(self):
        whole = self.save("run/0")
        with self.assertRaises(ExistsError):
            self.save("run/0")
        self.assertGreater(self.save("run/1"), whole / 2)
        self.assertLess(self.save("run/2"), SAMPLE + whole / 5)

    def test_another_base_is_no_use(self):
        whole = self.save("run/0")
        self.save("other/0")
        self.assertGreater(self.save("run/1", base="run/0"), whole / 2)

    def test_without_room_all_is_brought(self):
        whole = self.save("run/0")
        with mock.patch.object(torch, "empty_like", side_effect=torch.OutOfMemoryError("none")):
            self.saver._kept.clear()
            self.save("run/1")
        self.assertGreater(self.save("run/2"), whole / 2)


class Ranks(DevicesTest):
    def test_shards_on_devices(self):
        weights = torch.randn(700, 40, generator=torch.Generator().manual_seed(1))
        told = ranks.run(save_together, 2, self.store.path)
        self.assertEqual([each[:2] for each in told],
                         [(True, ([0], True)), (True, ([1], True))])
        for step in range(3):
            self.assertTrue(torch.allclose(self.store.load(f"run/{step}")["w"], weights + step))
        for _, _, text in told:
            self.assertIn("'w' was changed while it was saved", text)
        self.assertEqual(len(self.store.tags()), 3)


if __name__ == "__main__":
    unittest.main()
