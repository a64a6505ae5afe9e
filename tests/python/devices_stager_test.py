#!/usr/bin/env python3
"""The stager for torch.distributed.checkpoint with tensors on CUDA devices: only what differs from
what the memory of a stage holds comes to it. The devices are simulated."""
import logging
import multiprocessing
import unittest
from unittest import mock

import package

if __name__ == "__main__":
    package.enter("torch", "numpy")

import torch
from torch.distributed import checkpoint as dcp

import cairn
import ranks
from cairn import _library
from cairn.torch import AsyncStager, StorageWriter, device_options
from simulated import SLAB, Devices, DevicesTest, a_state, copy_of, small


def stage_dtensors(rank, size):
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import DTensor, Shard, distribute_tensor

    small()
    mesh, stager = init_device_mesh("cpu", (size,)), AsyncStager()
    state = {"w": distribute_tensor(torch.randn(300, 400), mesh, [Shard(0)]),
             "t": distribute_tensor(torch.randn(300, 400), mesh, [Shard(1)]),
             "few": distribute_tensor(torch.ones(1, 3), mesh, [Shard(0)])}
    with Devices() as devices:
        for value in state.values():
            devices.put(value._local_tensor)
        for _ in range(3):
            state["w"]._local_tensor[7] += 1
            staged = stager.stage(state)
            for name, value in state.items():
                assert type(staged[name]) is DTensor and staged[name].placements == value.placements
                assert torch.equal(staged[name]._local_tensor, value._local_tensor), name
            del staged
        return stager._staged[-1][0].told


class DevicesStagerTest(DevicesTest):
    def setUp(self):
        super().setUp()
        device_options(pinned_bytes=8 << 20, slab_bytes=2 << 20, device_bytes=32 << 20)
        self.stager = AsyncStager()

    def told(self):
        """Of the latest stage."""
        return self.stager._staged[-1][0].told

    def stage(self, state):
        staged = self.stager.stage(state)
        self.assert_same(staged, copy_of(state))
        return staged

    def layers(self, count=40):
        """A tensor is a chunk, of 256 KiB."""
        return {f"w{number}": self.devices.put(torch.randn(1 << 16)) for number in range(count)}


class Stages(DevicesStagerTest):
    def test_of_what_changed_in_a_tenth_a_tenth_moves(self):
        state = self.layers()
        self.stage(state)
        bytes_ = sum(value.nbytes for value in state.values())
        self.assertEqual(self.told()["bytes"], bytes_)
        self.assertGreaterEqual(self.told()["brought_bytes"], bytes_)
        for number in (3, 14, 15, 39):
            state[f"w{number}"] *= 0.5
        self.stage(state)
        moved = self.told()["brought_bytes"] / bytes_
        self.assertTrue(0.1 <= moved < 0.101, f"{moved:.4f} of the bytes")
        self.stage(state)
        self.assertLess(self.told()["brought_bytes"], bytes_ / 1000, "digests")

    def test_rows_of_a_tensor(self):
        state = {"embedding": self.devices.put(torch.randn(16384, 128))}  # 32 chunks
        self.stage(state)
        state["embedding"][3000:4600] += 1
        self.stage(state)
        moved = self.told()["brought_bytes"] / state["embedding"].nbytes
        self.assertTrue(0.1 < moved < 0.16, f"{moved:.4f} of the bytes")

    def test_tensors_of_all_kinds_on_two_devices(self):
        small()
        for shared in (False, True):
            self.stager = AsyncStager(shared=shared)
            state = self.on_devices(a_state())
            for turn in range(3):
                self.stage(state)
                places = {device for devices, _ in self.devices.streams for device in devices}
                self.assertEqual(places, {0, 1})
                for value in (state["w"], state["turned"], state["half"], state["host"]):
                    value[turn + 1] -= 1
                state["scalar"] += 1
            self.assertEqual(len(self.stager._staged), 1)
            self.assertLess(self.told()["brought_bytes"], self.told()["bytes"])

    def test_memory_that_saves_hold_is_compared_with_what_it_holds(self):
        state, states = self.layers(10), []
        first = self.stage(state)
        states.append((first, copy_of(state)))
        state["w0"] += 1
        second = self.stage(state)
        self.assertGreater(self.told()["brought_bytes"], self.told()["bytes"], "memory that is new")
        states.append((second, copy_of(state)))
        state["w1"] += 1
        for staged, wanted in states:
            self.assert_same(staged, wanted)
        place = first["w0"].data_ptr()
        del staged, states[0], first
        third = self.stage(state)
        self.assertEqual(third["w0"].data_ptr(), place)
        changed = 2 * state["w0"].nbytes  # since the first
        self.assertTrue(changed <= self.told()["brought_bytes"] < changed + 4096)
        self.assert_same(second, states[0][1])

    def test_after_an_error_the_next_stage_is_right(self):
        state = self.layers(10)
        place = self.stage(state)["w0"].data_ptr()
        state["w3"] += 1
        real = _library.call_stoppable

        def stop_first(watch, *arguments, **options):
            watch.stop()
            return real(watch, *arguments, **options)

        with mock.patch.object(_library, "call_stoppable", stop_first):
            with self.assertRaises(cairn.CancelledError):
                self.stager.stage(state)
        state["w4"] += 1
        self.assertEqual(self.stage(state)["w0"].data_ptr(), place, "the memory is kept")
        self.assertLess(self.told()["brought_bytes"], 3 * state["w0"].nbytes)
        device_options(slab_bytes=100)
        with self.assertRaisesRegex(cairn.UsageError, "slabs of 100 bytes"):
            self.stager.stage(state)
        small()
        self.stage(state)

    def test_of_new_memory_that_could_not_be_filled_all_comes(self):
        state = self.layers(4)
        device_options(slab_bytes=100)
        with self.assertRaises(cairn.UsageError):
            self.stager.stage(state)
        small()
        self.stage(state)
        self.assertEqual(len(self.stager._staged), 1)
        self.assertGreater(self.told()["brought_bytes"], self.told()["bytes"])

    def test_what_is_written_to_a_copy_does_not_stay(self):
        state = self.layers(4)
        for write in (lambda copied: copied[5:].zero_(), lambda copied: copied.detach().add_(1)):
            write(self.stager.stage(state)["w2"])
            self.stage(state)
            self.assertGreater(self.told()["brought_bytes"], self.told()["bytes"])

    def test_other_tensors_get_other_memory(self):
        state = self.layers(4)
        self.stage(state)
        state["w2"] = self.devices.put(torch.randn(50, 40))
        self.stage(state)
        state["w2"] = torch.randn(50, 40)  # on no device
        self.stage(state)
        waves = self.devices.put(torch.randn(9000, dtype=torch.cfloat))
        for value in (waves, waves.conj(), waves):  # one form, and only some are read where they lie
            self.stage({"waves": value, **state})

    def test_no_part_of_a_graph(self):
        state = self.layers(2)
        self.stage(state)
        self.devices.is_capturing = True
        with self.assertRaisesRegex(cairn.UsageError, "CUDA graph is being captured"):
            self.stager.stage(state)
        self.devices.is_capturing = False
        self.stage(state)

    def test_a_device_without_room_is_noted(self):
        device_options(pinned_bytes=4 * SLAB, slab_bytes=SLAB, device_bytes=3 << 14)
        self.devices.has_room = False
        state = self.layers(3)
        with self.assertLogs("cairn", logging.WARNING) as logs:
            self.stage(state)
        self.assertIn("device 0 has no room to work with", logs.output[0])

    def test_a_child_knows_nothing_of_what_its_parent_staged(self):
        # Small: PyTorch's own threads are not there in a child.
        state = {f"w{number}": self.devices.put(torch.randn(9000)) for number in range(4)}
        self.stage(state)
        child = multiprocessing.get_context("fork").Process(target=self.stage, args=[state])
        child.start()
        child.join(60)
        self.assertEqual(child.exitcode, 0)
        state["w1"] += 1
        self.stage(state)
        self.assertLess(self.told()["brought_bytes"], self.told()["bytes"] / 2)

    def test_in_inference_mode(self):
        with torch.inference_mode():
            state = self.layers(3)
            for _ in range(2):
                state["w1"] += 1
                self.stage(state)
        self.assertLess(self.told()["brought_bytes"], self.told()["bytes"] / 2)


class Saves(DevicesStagerTest):
    def test_a_loop_of_saves_that_overlap(self):
        state, futures, wanted = {**self.layers(8), "host": torch.ones(50)}, [], []
        for step in range(6):
            state[f"w{step}"] += step
            state["host"] += 1
            wanted.append(copy_of(state))
            futures.append(dcp.async_save(
                state, storage_writer=StorageWriter(self.store), async_stager=self.stager,
                checkpoint_id=f"run/{step}", no_dist=True))
        for value in state.values():
            value.zero_()
        for future in futures:
            future.result(60)
        for step, same in enumerate(wanted):
            self.assert_same(self.store.load(f"run/{step}"), same)

    def test_dtensors(self):
        for told in ranks.run(stage_dtensors, 2):
            self.assertLess(told["brought_bytes"], told["bytes"])


if __name__ == "__main__":
    unittest.main()
