#!/usr/bin/env python3
"""torch.distributed.checkpoint's ranks with tensors on devices: what several hold is found by digests
and stored once, what differs anywhere is told, and what fails on one rank fails on all."""
import dataclasses
import inspect
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

import cairn
import ranks
import simulated
from replicas import STATE_BYTES, Given, a_state, same, tried
from cairn import _saving
from cairn.torch import (AsyncStager, StorageWriter, _exchange, _life, _ranks, _replicas)

def save(path, tag, state, timeout=60, planner=None, group=None, **options):
    """The texts that this rank was warned of."""
    writer = StorageWriter(path, timeout=timeout, **options)
    return tried(lambda: dcp.save(state, storage_writer=writer, checkpoint_id=tag, planner=planner,
                                  process_group=group))[1]


def has_same(loaded, wanted):
    """Whatever the order: where ranks have other states, it is DCP's."""
    return loaded.keys() == wanted.keys() and same({name: loaded[name] for name in wanted}, wanted)


def save_replicas(rank, size, path):
    simulated.small()
    state, told = a_state(), {}
    one_writes = dcp.DefaultSavePlanner(dedup_save_to_lowest_rank=True)
    with simulated.Devices() as devices, Given() as given:
        devices.put_all(state)
        told["equal"] = save(path, "a/step-3", state)
        told["lowest"] = save(path, "b/step-3", state, planner=one_writes)
        told["names"] = save(path, "c/step-3", state, compare_replicas="none")
        told["keys"] = ranks.keys_of_cairn()
        if rank == 1:
            state["w"][217, 3] += 1
        told["odd"] = save(path, "d/step-3", state)
        told["given"] = given.bytes
    told["sampled"] = save(path, "e/step-3", state)  # all of it is in the host's memory
    return told


def cache_plans(rank, size, path):
    """Replicas differ in the fourth save. In the last one rank 1 has a tensor less: the plans of the
    others are what they were before."""
    simulated.small()
    told = []
    with simulated.Devices() as devices, Given() as given:
        for step in range(5):
            state = devices.put_all(a_state(step))
            if rank == 2 and step == 3:
                state["w"].add_(1)
            if rank == 1 and step == 4:
                del state["half"]
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
    """The first two ranks of three, and the last two, each by connections of its own."""
    simulated.small()
    groups = [distributed.new_group([0, 1]), distributed.new_group([1, 2])]
    with simulated.Devices() as devices, Given() as given, \
            mock.patch.object(_ranks, "_cloning", wraps=_ranks._cloning) as cloned:
        state = devices.put_all(a_state())
        for number, group in enumerate(groups):
            if rank in (number, number + 1):
                save(path, f"pair-{number}", state, group=group)
        return given.bytes, cloned.call_count


def save_what_is_not_on_devices(rank, size, path):
    """What is staged lies in the host's memory, and one rank has its state there, or no tensor."""
    simulated.small()
    group, told = distributed.new_group(backend="gloo"), {}
    with simulated.Devices() as devices, Given() as given:
        state = devices.put_all(a_state())
        dcp.async_save(state, storage_writer=StorageWriter(path), checkpoint_id="staged",
                       async_stager=AsyncStager(), process_group=group).result()
        told["staged"] = given.bytes.pop()
        save(path, "mixed", a_state() if rank == 1 else state)
        told["mixed"] = given.bytes.pop()
        save(path, "nothing", {"lr": 0.5} if rank == 1 else state)
        told["nothing"] = given.bytes.pop() if given.bytes else 0
    silent = mock.patch.object(_exchange.Exchange, "__init__", raising(AssertionError))
    with silent:  # no process of the job uses devices
        save(path, "host", a_state())
    return told


def save_alone(rank, size, path):
    """Ranks that do not talk."""
    simulated.small()
    with simulated.Devices() as devices, Given() as given:
        state = devices.put_all(a_state())
        dcp.save(state, storage_writer=StorageWriter(path, timeout=60), checkpoint_id="alone",
                 use_collectives=False)
        distributed.barrier()
        return given.bytes


class LeavingOut(dcp.DefaultSavePlanner):
    """One that leaves a tensor out of all plans when it has seen them, or of its own in the end."""

    def __init__(self, at_end):
        super().__init__()
        self.at_end = at_end

    def create_global_plan(self, plans):
        if not self.at_end:
            plans = [without_half(plan) for plan in plans]
        return super().create_global_plan(plans)

    def finish_plan(self, plan):
        return super().finish_plan(without_half(plan) if self.at_end else plan)


def without_half(plan):
    return dataclasses.replace(plan, items=[item for item in plan.items
                                            if item.index.fqn != "half"])


def leave_out(rank, size, path):
    simulated.small()
    with simulated.Devices() as devices, Given() as given:
        state = devices.put_all(a_state())
        for at_end in (False, True):
            save(path, f"less-{at_end}", state, planner=LeavingOut(at_end))
        return given.bytes


class Failing(dcp.DefaultSavePlanner):
    """One that has no data for a box."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def resolve_data(self, write_item):
        raise self.error


def raising(error):
    def fail(*_):
        raise error

    return fail


def fail_on_one(rank, size, path):
    """A rank fails before it talks, in the midst of it, and in the library; then all goes well."""
    simulated.small()
    told, seconds = {}, []

    def attempt(case, tag="torn", planner=None):
        begin = time.monotonic()
        writer = StorageWriter(path, timeout=60)
        told[case] = ranks.failures_of(lambda: dcp.save(state, storage_writer=writer, checkpoint_id=tag,
                                                  planner=planner))
        seconds.append(time.monotonic() - begin)

    def break_on(who, case, where, name, error):
        broken = raising(error) if rank == who else getattr(where, name)
        with mock.patch.object(where, name, broken):
            attempt((case, who))

    with simulated.Devices() as devices:
        state = devices.put_all(a_state())
        attempt(("tag", 1), f"torn-{int(rank == 1)}")
        for case, error in (("planner", ValueError("no data here")), ("stop", KeyboardInterrupt())):
            attempt((case, 1), planner=Failing(error) if rank == 1 else None)
        for who in (0, 1):
            break_on(who, "ask", _replicas, "are_digested", KeyboardInterrupt())
            break_on(who, "part", _saving, "Part", cairn.NoSpaceError("no space"))
            break_on(who, "stop in part", _saving, "Part", KeyboardInterrupt())
        save(path, "well", state)
        return told, max(seconds), ranks.keys_of_cairn()


class Telling(StorageWriter):
    """Keeps what write_data() fails with: when a rank is gone DCP's own words are others."""

    def write_data(self, plan, planner):
        self.begin = time.monotonic()
        try:
            return super().write_data(plan, planner)
        except cairn.Error as error:
            self.failed, self.seconds = error, time.monotonic() - self.begin
            raise


def die_on_one(rank, size, folder, path, who, is_asked):
    """Rank `who` is gone before it says whether it may digest, or between that and its digests."""
    simulated.small()
    _life.LOOK = 0.2
    writer = Telling(path, timeout=60)
    with simulated.Devices() as devices:
        state = devices.put_all(a_state())
        if rank == who:
            where = (_replicas, "are_digested") if is_asked else (_saving, "Part")
            mock.patch.object(*where, lambda *_: os._exit(9)).start()
        try:
            dcp.save(state, storage_writer=writer, checkpoint_id="torn")
        except BaseException:
            pass
    ranks.tell(folder, rank, writer.seconds, writer.failed)


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
            self.assertEqual((told[:3], given[:4]), ([[]] * 3, [STATE_BYTES] * 4))
            self.assertEqual(len(told[3]), 1 if rank == 0 else 0)
        self.assertEqual(sum(given[4] for _, given in results), STATE_BYTES)
        self.assertIn("'w' of rank 2 differs from that of ranks 0 and 1", results[0][0][3][0])
        for step in range(5):
            self.assertTrue(has_same(self.store.load(f"run/step-{step}"), a_state(step)), step)

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
        results = ranks.run(save_in_groups, 3, self.store.path)
        self.assertEqual([given for given, _ in results], [[STATE_BYTES] * saves
                                                           for saves in (1, 2, 1)])
        self.assertEqual([connections for _, connections in results], [1] * 3)
        manifests = {tag.manifest for tag in self.store.tags()}
        self.assertEqual(len(manifests), 1)

    def test_what_lies_in_the_host_memory_goes_by_names(self):
        results = ranks.run(save_what_is_not_on_devices, 2, self.store.path)
        self.assertEqual([given["staged"] for given in results], [0, 0], "nothing is on a device")
        self.assertLess(results[0]["mixed"], STATE_BYTES, "a share")
        self.assertEqual([given["nothing"] for given in results], [STATE_BYTES, 0])
        self.assertEqual(len(self.store.tags()), 4)
        for tag in self.store.tags():
            self.assertTrue(has_same(self.store.load(tag.tag), a_state()), tag.tag)
            self.assertEqual(tag.logical_bytes, STATE_BYTES)

    @unittest.skipUnless("use_collectives" in inspect.signature(dcp.save).parameters,
                         "this PyTorch saves with collectives only")
    def test_ranks_that_do_not_talk(self):
        self.assertEqual(ranks.run(save_alone, 2, self.store.path), [[STATE_BYTES]] * 2)
        self.assertTrue(same(self.store.load("alone"), a_state()))

    def test_what_a_planner_leaves_out_stays_out(self):
        results = ranks.run(leave_out, 2, self.store.path)
        less = STATE_BYTES - a_state()["half"].nbytes
        self.assertEqual([sum(given[at] for given in results) for at in (0, 1)], [less] * 2)
        wanted = a_state()
        del wanted["half"]
        for tag in self.store.tags():
            self.assertTrue(same(self.store.load(tag.tag), wanted), tag.tag)

    def test_what_fails_on_one_rank_fails_on_all_at_once(self):
        words = {"tag": "this rank saves 'torn-1'", "planner": "no data here", "part": "no space"}
        for told, seconds, keys in ranks.run(fail_on_one, 3, self.store.path):
            self.assertEqual(len(told), 9)
            for (case, who), failed in told.items():
                self.assertEqual(list(failed), [0, 1, 2], case)
                said = words.get(case, "KeyboardInterrupt")
                self.assertIn(said, ": ".join(failed[who]), case)
                for other in {0, 1, 2} - {who}:
                    self.assertRegex(failed[other][1], f"^rank {who}: .*{said}", case)
            self.assertLess(seconds, 30)
            # Counts may stay, of who has heard what was not said any more.
            self.assertEqual([key for key in keys if not key.endswith("/read")], [])
        self.assertEqual([tag.tag for tag in self.store.tags()], ["well"])
        self.assertTrue(same(self.store.load("well"), a_state()))

    def test_who_is_gone_is_named_long_before_the_time_out(self):
        for who, is_asked in ((1, True), (0, False), (2, False)):
            with self.subTest(who=who):
                told = ranks.run_torn(die_on_one, 3, self.folder / f"told-{who}",
                                      self.store.path, who, is_asked)
                self.assertEqual(set(told), {0, 1, 2} - {who})
                for seconds, text in told.values():
                    self.assertIn("UnreachableError", text)
                    self.assertRegex(text, "rank 0 or the launcher" if who == 0 else
                                     f"rank {who} no longer gives rank . signs of life|rank 0: ")
                    self.assertLess(seconds, 20)
        self.assertEqual(self.store.tags(), [])


if __name__ == "__main__":
    warnings.filterwarnings("ignore", category=UserWarning, module="torch")
    unittest.main()
