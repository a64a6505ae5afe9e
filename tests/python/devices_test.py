#!/usr/bin/env python3
"""Tensors on CUDA devices: saved and loaded where they lie, as the same tag as from the host, also by
DCP; what happens when they change, or a device has no room. The devices are simulated."""
import logging
import multiprocessing
import unittest
import weakref
from unittest import mock

import package

if __name__ == "__main__":
    package.enter("torch", "numpy")

import numpy as np
import torch
from torch.distributed import checkpoint as dcp
from torch.distributed.checkpoint.api import CheckpointException

import cairn
from cairn import _devices, _library, _memory
from cairn.torch import AsyncSaver, AsyncStager, StorageReader, StorageWriter, device_options
from cairn.torch import _tripwires
from simulated import SLAB, DevicesTest, a_state, copy_of


class Memories(DevicesTest):
    def test_what_lies_where(self):
        tensor = self.devices.put(torch.randn(4, 6), 1)
        memory, = _memory.memories_of("w", tensor.t())
        self.assertEqual((memory.device, memory.address, memory.strides_bytes),
                         (1, tensor.data_ptr(), (4, 24)))
        self.assertIsNone(_memory.memories_of("h", torch.randn(3))[0].device)
        self.assertIsNone(_memory.memories_of("a", np.ones(3))[0].device)

    def test_what_is_copied_to_the_host_first(self):
        waves = self.devices.put(torch.randn(9, dtype=torch.cfloat))
        memory, = _memory.memories_of("c", waves.conj())
        self.assertIsNone(memory.device)
        self.assertTrue(torch.equal(memory.owner, waves.conj().resolve_conj()))
        beyond = self.devices.put(torch.randn(9), 2)  # the library has two devices
        self.assertIsNone(_memory.memories_of("b", beyond)[0].device)
        for name, value in (("sparse", torch.eye(3).to_sparse()),
                            ("meta", torch.empty(3, device="meta"))):
            with self.assertRaisesRegex(cairn.UsageError, f"'{name}'"):
                _memory.memories_of(name, value)


class Saves(DevicesTest):
    def test_a_tag_is_the_same_from_devices_and_from_the_host(self):
        state = self.on_devices(a_state())
        wanted = copy_of(state)
        calls = self.saves_of(lambda: self.store.save("run/1", state, step=1))
        self.assertEqual({place for _, _, place in calls[0]}, {0, 1})
        from_host = self.store.save("host/1", wanted, step=1, base="none")
        self.assertEqual(self.store.tags("run/1")[0].manifest, from_host["manifest"])
        self.assert_same(self.store.load("run/1"), wanted)
        state["w"][7, 9] += 1
        wanted["w"][7, 9] += 1
        told = self.store.save("run/2", state, step=2)
        self.assertEqual(told["base"], "run/1")
        self.assertEqual(told["new_bytes"], wanted["w"].nbytes, "of what changed")
        self.assert_same(self.store.load("run/2"), wanted)

    def test_of_a_large_tensor_only_chunks_that_changed(self):
        device_options(pinned_bytes=8 << 20, slab_bytes=2 << 20, device_bytes=32 << 20)
        state = {"large": self.devices.put(torch.randn(1500, 1000).t()), "b": torch.ones(9)}
        first = self.store.save("run/1", state)
        state["large"][:20, 40:44] += 1
        told = self.store.save("run/2", state)
        self.assertGreaterEqual(first["brought_bytes"], state["large"].nbytes)
        self.assertTrue(0 < told["brought_bytes"] < first["brought_bytes"] / 2, told)
        self.assert_same(self.store.load("run/2"), copy_of(state))

    def test_an_empty_tensor(self):
        state = {"none": self.devices.put(torch.empty(0, 3)), "w": self.devices.put(torch.ones(5))}
        self.store.save("run/1", state)
        loaded = self.store.load("run/1", into={name: value * 0 for name, value in state.items()})
        self.assertEqual(loaded["none"].shape, (0, 3))
        self.assertTrue((loaded["w"] == 1).all())

    def saves_of(self, work):
        """What the saves of work() had on devices, as _devices.Use was told."""
        calls, real = [], _devices.Use.__init__

        def make(use, tensors, *more, **options):
            calls.append(list(tensors))
            real(use, tensors, *more, **options)

        with mock.patch.object(_devices.Use, "__init__", make):
            work()
        return calls

    def test_memory_is_lent_once_and_streams_are_the_callers(self):
        state = self.on_devices(a_state())
        self.store.save("run/1", state)
        self.store.save("run/2", {"w": state["w"]})
        self.assertEqual(self.devices.lent, [0, 1])
        self.assertEqual(self.devices.streams, [([0, 1], False), ([0], False)])
        self.store.save("run/3", {"host": state["host"]})
        self.assertEqual(len(self.devices.streams), 2, "nothing of devices is asked for")

    def test_options_are_given_to_the_library(self):
        state = {"w": self.devices.put(torch.ones(1000))}
        self.store.save("run/1", state)
        before = weakref.ref(_devices._state.staging())
        device_options(slab_bytes=100)
        self.assertIsNone(before(), "its memory is given back")
        with self.assertRaisesRegex(cairn.UsageError, "slabs of 100 bytes"):
            self.store.save("run/2", state)
        for wrong in ({"slab_bytes": 0}, {"pinned_bytes": -5}, {"device_bytes": 1.5},
                      {"multiprocessors": 1 << 40}):
            with self.assertRaisesRegex(cairn.UsageError, next(iter(wrong))):
                device_options(**wrong)

    def test_a_device_without_room_is_noted_once(self):
        device_options(pinned_bytes=4 * SLAB, slab_bytes=SLAB, device_bytes=1 << 16)
        self.devices.has_room = False
        state = self.on_devices(a_state())
        with self.assertLogs("cairn", logging.WARNING) as logs:
            self.store.save("run/1", state)
            self.store.save("run/2", state)
        self.assertEqual(len(logs.output), 2, "one for each device")
        self.assertIn("has no room to work with", logs.output[0])
        self.assertEqual(self.devices.lent, [])
        self.assert_same(self.store.load("run/2"), copy_of(state))

    def test_no_part_of_a_graph(self):
        state = self.on_devices(a_state())
        self.store.save("run/1", state)
        self.devices.is_capturing = True
        with AsyncSaver(self.store) as saver:
            for call in (lambda: self.store.save("run/2", state), lambda: self.store.load("run/1"),
                         lambda: self.store.load("run/1", into=state),
                         lambda: saver.save("run/2", state)):
                with self.assertRaisesRegex(cairn.UsageError, "CUDA graph is being captured"):
                    call()
            self.devices.is_capturing = False
            saver.save("run/2", state)
        self.assertEqual(len(self.store.tags()), 2)

    def test_what_is_written_to_meanwhile_is_named(self):
        state = self.on_devices(a_state())
        real = _library.call_stoppable

        def write_first(*arguments, **options):
            state["more"][0].add_(1)
            return real(*arguments, **options)

        with mock.patch.object(_library, "call_stoppable", write_first):
            with self.assertRaisesRegex(cairn.UsageError, "'more.0' was changed while"):
                self.store.save("run/1", state)
        self.assertEqual(self.store.tags(), [])

    def test_tensors_without_a_count_of_writes(self):
        with torch.inference_mode():
            state = {"w": self.devices.put(torch.randn(1000))}
        self.store.save("run/1", state)
        self.assert_same(self.store.load("run/1"), copy_of(state))

    def test_a_child_uses_nothing_of_its_parents(self):
        state = {"w": self.devices.put(torch.arange(1000.0))}
        self.store.save("run/1", state)
        parents = _devices._state.staging()

        def be_child():
            assert _devices._state._staging is None and _devices._state.count() == 2
            cairn.Store(self.store.path).save("child/1", state)
            assert _devices._state.staging().handle.value != parents.handle.value

        child = multiprocessing.get_context("fork").Process(target=be_child)
        child.start()
        child.join(60)
        self.assertEqual(child.exitcode, 0)
        self.assertIs(_devices._state.staging(), parents)
        self.store.save("run/2", state)
        self.assert_same(self.store.load("child/1"), state)


class Loads(DevicesTest):
    def setUp(self):
        super().setUp()
        self.wanted = a_state()
        self.store.save("run/1", self.wanted)

    def filled(self, call):
        """The devices of all targets of a load."""
        places, real = [], _devices.Use.__init__

        def make(use, tensors, *more, **options):
            places.extend(device for _, _, device in tensors)
            real(use, tensors, *more, **options)

        with mock.patch.object(_devices.Use, "__init__", make):
            loaded = call()
        return loaded, sorted(places)

    def test_into_tensors_on_devices(self):
        state = self.on_devices(copy_of(self.wanted))
        for value in (*state.values(), state["more"][0]):
            if isinstance(value, torch.Tensor):
                value.zero_()
        loaded, places = self.filled(lambda: self.store.load("run/1", into=state))
        self.assertIs(loaded["w"], state["w"])
        self.assertEqual(places, [0, 0, 0, 0, 0, 1, 1])
        self.assert_same(loaded, self.wanted)

    def test_into_views_and_other_dtypes(self):
        whole = self.devices.put(torch.zeros(600, 400))
        state = {"w": whole[::2], "half": self.devices.put(torch.zeros(70001), 1)}
        self.store.load("run/1", into=state, tensors=["w", "half"], dtype=torch.float32)
        self.assertTrue(torch.equal(whole[::2], self.wanted["w"]) and not whole[1::2].any())
        self.assertTrue(torch.equal(state["half"], self.wanted["half"].float()))

    def test_names_that_share_memory(self):
        self.store.save("apart", {"a": torch.zeros(9), "b": torch.ones(9)})
        memory = self.devices.put(torch.randn(12))
        state = {"a": memory[:9], "b": memory[3:]}
        with self.assertRaisesRegex(cairn.UsageError, "shares memory"):
            self.store.load("apart", into=state)

    def test_new_tensors_are_made_on_the_device(self):
        real = torch.empty

        def empty(*shape, device=None, **options):
            if str(device) != "cuda:1":
                return real(*shape, device=device, **options)
            return self.devices.put(real(*shape, **options), 1)

        with mock.patch.object(torch, "empty", empty):
            loaded, places = self.filled(lambda: self.store.load("run/1", map_location="cuda:1"))
        self.assertEqual(places, [1] * 9)
        self.assertEqual(_devices.device_of(loaded["w"]), 1)
        self.assertIsInstance(loaded["array"], np.ndarray)
        self.assert_same(loaded, self.wanted)
        self.assertFalse(_devices.serves(torch.device("cuda:2")) or _devices.serves(torch.device("cpu")))


class Dcp(DevicesTest):
    def test_writer_and_reader(self):
        state = {key: value for key, value in self.on_devices(a_state()).items() if key != "array"}
        wanted = copy_of(state)
        dcp.save(state, storage_writer=StorageWriter(self.store), checkpoint_id="run/1", no_dist=True)
        self.assertEqual(self.devices.streams, [([0, 1], False)])
        self.assertEqual(self.store.save("host/1", wanted, base="none")["manifest"],
                         self.store.tags("run/1")[0].manifest)
        for value in (*state.values(), state["more"][0]):
            if isinstance(value, torch.Tensor):
                value.zero_()
        dcp.load(state, storage_reader=StorageReader(self.store), checkpoint_id="run/1", no_dist=True)
        self.assertEqual(self.devices.streams[1:], [([0, 1], False)])
        self.assert_same(state, wanted)

    def test_no_part_of_a_graph(self):
        self.devices.is_capturing = True
        with self.assertRaisesRegex(CheckpointException, "CUDA graph is being captured"):
            dcp.save({"w": torch.ones(3)}, storage_writer=StorageWriter(self.store),
                     checkpoint_id="run/1", no_dist=True)

    def test_notes_of_a_part_are_told(self):
        device_options(slab_bytes=SLAB, device_bytes=1 << 15)
        with self.assertLogs("cairn", logging.WARNING) as logs:
            dcp.save({"w": self.devices.put(torch.randn(9000), 1)}, checkpoint_id="run/1",
                     storage_writer=StorageWriter(self.store), no_dist=True)
        self.assertIn("device 1 has no room to work with", logs.output[0])

    def test_with_a_stager(self):
        state = {"w": self.devices.put(torch.randn(300, 400)), "host": torch.ones(3)}
        wanted = copy_of(state)
        done = dcp.async_save(state, storage_writer=StorageWriter(self.store),
                              async_stager=AsyncStager(), checkpoint_id="run/1", no_dist=True)
        for value in state.values():
            value.zero_()
        done.result(60)
        self.assertEqual(self.devices.streams, [([0], False)], "the stager's; the writer met none")
        self.assert_same(self.store.load("run/1"), wanted)


class Seals(DevicesTest):
    def test_only_what_is_looked_at_comes_to_the_host(self):
        large = torch.randn(3, 1 << 18)
        wanted = _tripwires.seals({"w": large, "h": torch.ones(9), "s": torch.tensor(1.5)}, 5)
        state = {"w": self.devices.put(large.clone()), "h": torch.ones(9),
                 "s": self.devices.put(torch.tensor(1.5), 1)}
        copied, real = [], _tripwires._on_host

        def on_host(gathered):
            copied.append(len(gathered))
            return real(gathered)

        with mock.patch.object(_tripwires, "_on_host", on_host):
            self.assertEqual(_tripwires.seals(state, 5), wanted)
            self.assertGreater(sum(copied), 1000)
            self.assertLess(sum(copied), 64 << 10)
            del copied[:]
            with mock.patch.object(_tripwires, "_GATHERED_BYTES", 1 << 20):
                several = {f"t{number}": self.devices.put(torch.randn(1 << 17)) for number in range(6)}
                sealed = _tripwires.seals(several, 5, "all")
            self.assertEqual(copied, [1 << 20] * 3 if copied[-1] else [1 << 20] * 3 + [0])
        hosts = {name: value.clone() for name, value in several.items()}
        self.assertEqual(sealed, _tripwires.seals(hosts, 5, "all"))


if __name__ == "__main__":
    unittest.main()
