#!/usr/bin/env python3
"""torch.distributed.checkpoint's ranks with tensors on devices: what several hold is found by digests
and stored once, what differs anywhere is told, and what fails on one rank fails on all."""
import os
import time
import unittest
import warnings
from unittest import mock

import package

if __name__ == "__main__":
    package.enter("torch")

import torch
from torch import distributed
from torch.distributed import checkpoint as dcp
from torch.distributed.checkpoint.api import CheckpointException

import cairn
import ranks
import simulated
from cairn import _saving
from cairn.torch import AsyncStager, StorageWriter
from devices_ranks_test import Given, a_state, same, tried

STATE_BYTES = sum(value.nbytes for value in a_state().values() if isinstance(value, torch.Tensor))


def save(path, tag, state, timeout=60, planner=None, group=None, **options):
    """The texts that this rank was warned of."""
    writer = StorageWriter(path, timeout=timeout, **options)
    return tried(lambda: dcp.save(state, storage_writer=writer, checkpoint_id=tag, planner=planner,
                                  process_group=group))[1]


def failures_of(call):
    """rank -> (class, text) of what the call failed with on all ranks."""
    try:
        call()
    except CheckpointException as error:
        return {rank: (type(each[0]).__name__, str(each[0]))
                for rank, each in error.failures.items()}
    return None


def keys_of_job():
    """Other keys of the job's store are PyTorch's."""
    distributed.barrier()
    keys = distributed.distributed_c10d._get_default_store().list_keys()
    distributed.barrier()
    return [key for key in keys if "cairn/dcp" in key]


def save_replicas(rank, size, path):
    simulated.small()
    state, told = a_state(), {}
    one_writes = dcp.DefaultSavePlanner(dedup_save_to_lowest_rank=True)
    with simulated.Devices() as devices, Given() as given:
        devices.put_all(state)
        told["equal"] = save(path, "a/step-3", state)
        told["lowest"] = save(path, "b/step-3", state, planner=one_writes)
        told["names"] = save(path, "c/step-3", state, compare_replicas="none")
        told["keys"] = keys_of_job()
        if rank == 1:
            state["w"][217, 3] += 1
        told["odd"] = save(path, "d/step-3", state)
        told["given"] = given.bytes
    told["sampled"] = save(path, "e/step-3", state)  # all of it is in the host's memory
    return told


def cache_plans(rank, size, path):
    """The last save is of replicas that differ."""
    simulated.small()
    state, told = a_state(), []
    with simulated.Devices() as devices, Given() as given:
        devices.put_all(state)
        for step in range(4):
            state["w"].add_(1 if step < 3 or rank != 2 else 2)
            told.append(save(path, f"run/step-{step}", state,
                             planner=dcp.DefaultSavePlanner(enable_plan_caching=True)))
    return told, given.bytes


def save_mesh(rank, size, path):
    """Replicas of shards; rank 3's differ from those of rank 1."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Replicate, Shard, distribute_tensor

    simulated.small()
    mesh, whole = init_device_mesh("cpu", (2, 2)), a_state()
    with simulated.Devices() as devices, Given() as given:
        state = {"w": distribute_tensor(whole["w"], mesh, [Replicate(), Shard(0)]),
                 "half": distribute_tensor(whole["half"], mesh, [Replicate(), Shard(0)]),
                 "turned": distribute_tensor(whole["turned"], mesh, [Replicate(), Replicate()]),
                 "step": whole["step"], "n": 5}
        for name in ("w", "half", "turned", "step"):
            devices.put(state[name])
        told = [save(path, "equal", state)]
        if rank == 3:
            state["w"]._local_tensor[0, 0] += 1
        told.append(save(path, "odd", state))
        return told, given.bytes


def save_in_groups(rank, size, path):
    """The first two ranks of three, and the last two."""
    simulated.small()
    groups = [distributed.new_group([0, 1]), distributed.new_group([1, 2])]
    with simulated.Devices() as devices, Given() as given:
        state = devices.put_all(a_state())
        for number, group in enumerate(groups):
            if rank in (number, number + 1):
                save(path, f"pair-{number}", state, group=group)
        return given.bytes


def save_staged(rank, size, path):
    """What is staged lies in the host's memory, as one rank's state does."""
    simulated.small()
    group = distributed.new_group(backend="gloo")
    with simulated.Devices() as devices, Given() as given:
        state = devices.put_all(a_state())
        dcp.async_save(state, storage_writer=StorageWriter(path), checkpoint_id="staged",
                       async_stager=AsyncStager(), process_group=group).result()
        save(path, "mixed", a_state() if rank == 1 else state)
        return given.bytes


class Failing(dcp.DefaultSavePlanner):
    """One that has no data for a box."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def resolve_data(self, write_item):
        raise self.error


def fail_on_one(rank, size, path):
    """Rank 1 fails, before it talks, before it is in the library, and in it; then all goes well."""
    simulated.small()
    told, state = [], a_state()

    def broken(*_):
        raise cairn.NoSpaceError("no space for this part")

    def tried_on_one(tag, planner=None):
        writer = StorageWriter(path, timeout=60)
        return failures_of(lambda: dcp.save(state, storage_writer=writer, checkpoint_id=tag,
                                            planner=planner if rank == 1 else None))

    with simulated.Devices() as devices:
        devices.put_all(state)
        begin = time.monotonic()
        told.append(tried_on_one(f"torn/{rank % 2}"))
        told.append(tried_on_one("torn/2", Failing(ValueError("no data here"))))
        told.append(tried_on_one("torn/3", Failing(KeyboardInterrupt())))
        with mock.patch.object(_saving, "Part", broken if rank == 1 else _saving.Part):
            told.append(tried_on_one("torn/4"))
        seconds = time.monotonic() - begin
        save(path, "well", state)
        return told, seconds


def die_on_one(rank, size, folder, path, who):
    """Rank `who` is gone between the agreement and its digests."""
    simulated.small()

    class Telling(StorageWriter):
        def write_data(self, plan, planner):
            begin = time.monotonic()
            try:
                return super().write_data(plan, planner)
            except cairn.Error as error:
                with open(os.path.join(folder, f"told-{rank}"), "w") as file:
                    file.write(f"{time.monotonic() - begin:.1f} {error}")
                store = distributed.distributed_c10d._get_default_store()
                store.set(f"told-{rank}", "")
                if rank == 0:  # which holds the store
                    store.wait([f"told-{3 - who}"])
                raise

    with simulated.Devices() as devices:
        state = devices.put_all(a_state())
        if rank == who:
            mock.patch.object(_saving, "Part", lambda *_: os._exit(9)).start()
        try:
            dcp.save(state, storage_writer=Telling(path, timeout=3), checkpoint_id="torn")
        except BaseException:
            os._exit(0)  # as it should
    os._exit(8)


class DcpTest(package.StoreTest):
    def test_replicas_are_stored_once_and_what_differs_anywhere_is_told(self):
        results = ranks.run(save_replicas, 3, self.store.path)
        odd = ("'d/step-3': the tensor 'w' of rank 1 differs from that of ranks 0 and 2")
        for rank, told in enumerate(results):
            self.assertEqual((told["equal"], told["lowest"], told["names"], told["keys"]),
                             ([], [], [], []))
            self.assertEqual(len(told["odd"]), 1 if rank == 0 else 0)
            self.assertTrue(all(text.startswith(odd) for text in told["odd"]), told["odd"])
            self.assertEqual(told["sampled"], [], "a sample does not see it")
            # By names each is given its share; by digests all that it holds.
            given = told["given"]
            self.assertEqual([*given[:2], given[-1]], [STATE_BYTES] * 3)
        self.assertEqual(sum(sum(told["given"][2:-1]) for told in results), STATE_BYTES)
        tags = {tag.tag: tag for tag in self.store.tags()}
        self.assertEqual([tags[f"{name}/step-3"].new_bytes for name in "abd"], [STATE_BYTES] * 3)
        self.assertEqual({tags[f"{name}/step-3"].manifest for name in "abc"},
                         {tags["a/step-3"].manifest})
        self.assertTrue(same(self.store.load("d/step-3"), a_state()))
        self.assertTrue(self.store.check(read_data=True)["ok"])

    def test_plans_that_are_cached(self):
        results = ranks.run(cache_plans, 3, self.store.path)
        for rank, (told, given) in enumerate(results):
            self.assertEqual((told[:3], given), ([[]] * 3, [STATE_BYTES] * 4))
            self.assertEqual(len(told[3]), 1 if rank == 0 else 0)
        self.assertIn("'w' of rank 2 differs from that of ranks 0 and 1", results[0][0][3][0])
        wanted = a_state()
        for step in range(4):
            wanted["w"].add_(1)
            self.assertTrue(same(self.store.load(f"run/step-{step}"), wanted), step)

    def test_replicas_of_shards(self):
        results = ranks.run(save_mesh, 4, self.store.path)
        whole = a_state()
        for rank, ((equal, odd), given) in enumerate(results):
            self.assertEqual((equal, len(odd)), ([], 1 if rank == 0 else 0))
            self.assertGreater(min(given), STATE_BYTES / 3)
        self.assertIn("the tensor 'w' of rank 3 differs from that of rank 1", results[0][0][1][0])
        for tag in ("equal", "odd"):
            loaded = self.store.load(tag)
            self.assertEqual(loaded.pop("n"), 5)
            self.assertEqual({name: torch.equal(value, whole[name])
                              for name, value in loaded.items()},
                             dict.fromkeys(("w", "half", "turned", "step"), True))
        tags = {tag.tag: tag for tag in self.store.tags()}
        self.assertEqual(tags["equal"].new_bytes, tags["equal"].logical_bytes)
        self.assertEqual(tags["odd"].new_bytes, 0)

    def test_groups_of_ranks(self):
        first, both, last = ranks.run(save_in_groups, 3, self.store.path)
        self.assertEqual((first, both[0]), ([STATE_BYTES], STATE_BYTES))
        # The others do not begin with the job's first: by names.
        self.assertEqual(both[1] + last[0], STATE_BYTES)
        manifests = {tag.manifest for tag in self.store.tags()}
        self.assertEqual(len(manifests), 1)

    def test_what_lies_in_the_host_memory_goes_by_names(self):
        results = ranks.run(save_staged, 2, self.store.path)
        self.assertEqual([given[0] for given in results], [0, 0], "nothing is on a device")
        self.assertLess(results[0][1], STATE_BYTES, "a share")
        for tag in self.store.tags():
            self.assertTrue(same(self.store.load(tag.tag), a_state()), tag.tag)
            self.assertEqual(tag.logical_bytes, STATE_BYTES)

    def test_what_fails_on_one_rank_fails_on_all_at_once(self):
        for rank, (told, seconds) in enumerate(ranks.run(fail_on_one, 3, self.store.path)):
            for each, words in zip(told, ("this rank saves 'torn/1'", "no data here",
                                          "KeyboardInterrupt", "no space for this part")):
                self.assertEqual(list(each), [0, 1, 2])
                for other in (0, 2):
                    self.assertRegex(each[other][1], f"^rank 1: .*{words}")
                self.assertIn(words, each[1][0] + each[1][1])
            self.assertLess(seconds, 30)
        self.assertEqual([tag.tag for tag in self.store.tags()], ["well"])
        self.assertTrue(same(self.store.load("well"), a_state()))

    def test_who_is_gone_is_named(self):
        folder = self.folder / "told"
        folder.mkdir()
        job = ranks.start(die_on_one, 3, folder, str(folder), self.store.path, 1)
        for process in job.processes:
            process.join(90)
        self.assertEqual([process.exitcode for process in job.processes], [0, 9, 0])
        for rank in (0, 2):
            seconds, _, told = (folder / f"told-{rank}").read_text().partition(" ")
            self.assertIn("rank 1 did not answer", told)
            self.assertLess(float(seconds), 20)
        self.assertEqual(self.store.tags(), [])


if __name__ == "__main__":
    warnings.filterwarnings("ignore", category=UserWarning, module="torch")
    unittest.main()
