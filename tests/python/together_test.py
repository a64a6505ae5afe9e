#!/usr/bin/env python3
"""One save by several ranks: any cut comes back as any other, replicas are stored once, what fails
on one rank fails on all, and a dead rank is named."""
import contextlib
import os
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
import ranks
from cairn import _saving
from cairn._checkpoint import Checkpoint
from cairn.torch import AsyncSaver, Ranks
from cairn.torch import _shares, _structures

LAYOUTS = ("replicated", "rows", "columns", "grid", "rows_of_half")


def whole():
    """A state on one process: odd sizes, a tensor with fewer rows than ranks, one without any."""
    torch.manual_seed(5)
    return {"model": {"w": torch.randn(7, 6), "few": torch.randn(1, 5), "none": torch.zeros(0, 4),
                      "b": torch.randn(9).bfloat16()},
            "optimizer": [{"exp_avg": torch.randn(7, 6)}], "lr": 0.5}


def laid_out(state, layout):
    """The same state, its matrices as DTensors; all ranks have the same values."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Replicate, Shard, distribute_tensor

    size = distributed.get_world_size()
    if layout in ("grid", "rows_of_half") and size == 4:
        mesh, places = init_device_mesh("cpu", (2, 2)), [Shard(0), Shard(1)]
        if layout == "rows_of_half":
            places = [Replicate(), Shard(0)]
    else:
        mesh, places = init_device_mesh("cpu", (size,)), {
            "replicated": [Replicate()], "columns": [Shard(1)]}.get(layout, [Shard(0)])

    def cut(value):
        if isinstance(value, dict):
            return {key: cut(child) for key, child in value.items()}
        if isinstance(value, list):
            return [cut(child) for child in value]
        is_matrix = isinstance(value, torch.Tensor) and value.dim() == 2
        return distribute_tensor(value, mesh, places) if is_matrix else value

    return cut(state)


def assert_whole(store, tag):
    loaded, wanted = store.load(tag), whole()
    assert loaded["lr"] == wanted["lr"]
    for one, other in ((loaded["model"], wanted["model"]),
                       (loaded["optimizer"][0], wanted["optimizer"][0])):
        assert list(one) == list(other)
        for name, value in other.items():
            assert torch.equal(one[name], value), (tag, name)


def save_and_load_all(rank, size, path):
    store, results = cairn.Store(path), {}
    group = distributed.group.WORLD
    for layout in LAYOUTS:
        state = laid_out(whole(), layout)
        results[layout] = store.save(f"{size}/{layout}", state, group=group, base="none")
    with AsyncSaver(store, group=group) as saver:
        for layout in LAYOUTS:
            state = laid_out(whole(), layout)
            handle = saver.save(f"{size}/async/{layout}", state, step=1, base="none")
            for value in (*state["model"].values(), state["optimizer"][0]["exp_avg"]):
                getattr(value, "_local_tensor", value).zero_()
            assert handle.result(60)["manifest"]
    for saved in LAYOUTS:
        for here in LAYOUTS:
            for begin in ("", "async/"):
                empty = laid_out(zeros(whole()), here)
                store.load(f"{size}/{begin}{saved}", into=empty)
                wanted = laid_out(whole(), here)
                for name, value in wanted["model"].items():
                    assert torch.equal(local(empty["model"][name]), local(value)), (saved, here, name)
    return results


def local(value):
    return getattr(value, "_local_tensor", value)


def zeros(state):
    if isinstance(state, dict):
        return {key: zeros(child) for key, child in state.items()}
    if isinstance(state, list):
        return [zeros(child) for child in state]
    return torch.zeros_like(state) if isinstance(state, torch.Tensor) else state


def load_where_cut_otherwise(rank, size, path, tags):
    store = cairn.Store(path)
    for tag in tags:
        for here in LAYOUTS:
            empty = laid_out(zeros(whole()), here)
            store.load(tag, into=empty)
            wanted = laid_out(whole(), here)
            for name, value in wanted["model"].items():
                assert torch.equal(local(empty["model"][name]), local(value)), (tag, here, name)
    return True


def load_from_meta(rank, size, path):
    state = laid_out({"w": torch.arange(14.0).reshape(7, 2)}, "rows")
    cairn.Store(path).save("a", state)
    empty = {"w": state["w"].to("meta")}
    assert empty["w"].is_meta
    cairn.Store(path).load("a", into=empty)
    return torch.equal(empty["w"]._local_tensor, state["w"]._local_tensor)


def raised(call):
    try:
        call()
    except Exception as error:
        return type(error).__name__, str(error)
    return None


def bad_saves(rank, size, path):
    store, group, told = cairn.Store(path), distributed.group.WORLD, {}
    state = laid_out(whole(), "rows")

    def attempt(name, call):
        told[name] = raised(call)

    attempt("tags", lambda: store.save(f"tag-{rank}", state))
    attempt("steps", lambda: store.save("a", state, step=rank))
    attempt("object", lambda: store.save("a", {**state, **({"odd": {1}} if rank == 1 else {})}))
    other = laid_out({"w": torch.ones(8 if rank else 7, 6)}, "rows")
    attempt("shapes", lambda: store.save("a", other))
    lacking = {"v": state["model"]["w"]} if rank == 1 else {"w": state["model"]["w"]}
    attempt("lacking", lambda: store.save("a", lacking))
    attempt("base", lambda: store.save("a", state, base="no-such"))
    distributed.barrier()
    before = files_of(path)
    distributed.barrier()
    with full_disk(rank == 1):
        attempt("disk", lambda: store.save("a", state))
    distributed.barrier()
    told["left"] = files_of(path) - before
    distributed.barrier()
    store.save("a", state, if_exists="error")
    attempt("exists", lambda: store.save("a", state))
    with AsyncSaver(store, group=group) as saver:
        attempt("async tags", lambda: saver.save(f"tag-{rank}", state))
        handle = saver.save("a", state)
        attempt("async exists", lambda: handle.wait(60))
        attempt("async object", lambda: saver.save(
            "b", {**state, **({"odd": {1}} if rank == 1 else {})}))
        with full_disk(rank == 1):
            handle = saver.save("b", state)
            attempt("async disk", lambda: handle.result(60))
        saver.save("b", state).result(60)
    return told


def files_of(store):
    return {str(file) for file in package.Path(store).rglob("*") if file.is_file()}


def full_disk(is_full):
    """Where the part cannot be stored; a real one is tried in tests of the library."""
    error = cairn.NoSpaceError("no space left", "free some")
    return mock.patch.object(_saving, "Part", side_effect=error) if is_full else (
        contextlib.nullcontext())


def ties(rank, size, path):
    """The second tensor has no row on the last rank, so nobody says that it is tied."""
    store = cairn.Store(path)
    for tag, rows in (("even", 8), ("short", 3)):
        weight = laid_out({"w": torch.arange(2.0 * rows).reshape(rows, 2)}, "rows")["w"]
        store.save(tag, {"embed": weight, "head": weight.detach(), "n": 1})
    return [len(each.tensors) for each in (Checkpoint(store, "even"),
                                           Checkpoint(store, "short"))]


def pipeline(rank, size, path):
    """Stages have tensors of their own; embed is tied between the first and the last."""
    store = cairn.Store(path)
    names = {0: ("embed", "one"), 1: ("two", "embed")}[rank]
    model = {name: torch.full((4,), float(len(name))) for name in names}
    result = store.save("a", {"model": model, f"only{rank}": rank, "n": 1},
                        group=distributed.group.WORLD)
    told = raised(lambda: store.save("b", {"x": 1 if rank else {"y": 2}, "w": model[names[rank]]},
                                     group=distributed.group.WORLD))
    objects = raised(lambda: store.save("c", {f"x{rank}": {1}}, allow_pickle=True,
                                        group=distributed.group.WORLD))
    return result["tensors"], told, objects


def halves(rank, size, path):
    """Two groups save at once, each its own tag."""
    store = cairn.Store(path)
    groups = [distributed.new_group([0, 1]), distributed.new_group([2, 3])]
    group = groups[rank // 2]
    with AsyncSaver(store, group=group) as saver:
        for step in range(3):
            saver.save(f"half{rank // 2}/{step}", {"w": torch.full((100,), rank // 2 + step)})
    other = raised(lambda: store.save("x", {"w": torch.ones(1)}, group=groups[1 - rank // 2]))
    return other


def skip_alike(rank, size, path):
    may_go, real = threading.Event(), _saving.save

    def save(*arguments):
        may_go.wait(60)
        return real(*arguments)

    store = cairn.Store(path)
    told = []
    with mock.patch.object(_saving, "save", save):
        with AsyncSaver(store, group=distributed.group.WORLD, back_pressure="skip") as saver:
            for step in range(4):
                told.append(saver.save(f"run/{step}", {"w": torch.full((9,), step)}).skipped)
            may_go.set()
            saver.wait()
            distributed.barrier()
            told.append(saver.save("run/9", {"w": torch.full((9,), 9)}).skipped)
    return told


def fast_loop(rank, size, path):
    store = cairn.Store(path)
    state = laid_out({"w": torch.zeros(64, 32), "b": torch.zeros(5)}, "rows")
    values, bases = [], []
    with AsyncSaver(store) as saver:
        for step in range(40):
            state["w"]._local_tensor.add_(1)
            state["b"].add_(1)
            value = torch.tensor([1.0])
            distributed.all_reduce(value)  # as training does, beside the save
            values.append(value.item())
            handle = saver.save(f"run/{step}", state, step=step)
            if step % 3 == 0:  # else the next call meets it under way
                bases.append(handle.result(60)["base"])
        keys = distributed.distributed_c10d._get_default_store().num_keys()
        saver.save("run/40", state).wait()
        saver.save("run/41", state).wait()
        distributed.barrier()
        more = distributed.distributed_c10d._get_default_store().num_keys() - keys
    return values, more, saver._saved, bases


def dies_in_a_save(rank, size, folder, path, who):
    """Rank `who` ends between the agreement and its part."""
    store = cairn.Store(path)
    state = laid_out(whole(), "rows")
    store.save("before", state)
    saver = AsyncSaver(store, group=distributed.group.WORLD, timeout=3)
    if rank == who:
        with mock.patch.object(_saving, "Part", lambda *_: os._exit(9)):
            saver.save("torn", state).wait(60)
    told = raised(lambda: saver.save("torn", state).wait(60))
    with open(os.path.join(folder, f"told-{rank}"), "w") as file:
        file.write(": ".join(told))
    os._exit(0)


def ends_early(rank, size, path):
    """Rank 0, which holds the store, ends as soon as its own save has; the others still hear."""
    saver = AsyncSaver(path, group=distributed.group.WORLD)
    saver.save("a", {"w": torch.ones(3)})
    saver.close()
    if rank != 0:
        package.Path(path, f"told-{rank}").write_text("saved")
    os._exit(0)


def closes_without_the_others(rank, size, path):
    """Rank 1 does not get on with its part until rank 0 has given up."""
    may_go, real = threading.Event(), _saving.Part
    stuck = mock.patch.object(_saving, "Part", lambda *given: may_go.wait(60) and real(*given))
    with stuck if rank == 1 else contextlib.nullcontext():
        saver = AsyncSaver(path, group=distributed.group.WORLD, timeout=100)
        handle = saver.save("a", {"w": torch.ones(3)})
        told = raised(lambda: saver.close(timeout=0.2)) if rank == 0 else None
        distributed.barrier()
        may_go.set()
        return told or raised(lambda: handle.wait(60))


def misses_a_save(rank, size, path, who, in_step):
    """Rank `who` leaves out the third of six saves. in_step: all wait for each other before each,
    as training has ranks do; else who left out a save is one ahead of the others."""
    told = []
    with AsyncSaver(path, group=distributed.group.WORLD, timeout=4) as saver:
        for number in range(6):
            if in_step:
                distributed.barrier()
            if (rank, number) == (who, 2):
                told.append("missed")
                continue
            error = raised(lambda: saver.save(f"a/{number}", {"w": torch.full((9,), number)},
                                              step=number).wait(60))
            told.append(error and error[1])
        distributed.barrier()
    return told


def in_a_hurry(rank, size, path, other):
    """Saves one after the other to two stores, under the same names, some of them again and again;
    nothing holds the ranks together but the saves."""
    store, skipped = cairn.Store(other, create=True), 0
    with AsyncSaver(path, group=distributed.group.WORLD) as saver, \
            AsyncSaver(store, group=distributed.group.WORLD, back_pressure="skip") as skipping:
        for step in range(30):
            state = {"w": torch.full((500,), step), "rank": rank}
            saver.save(f"r/{step}", state, step=step if step % 2 else None)
            saver.save("latest", state, if_exists="replace")
            skipped += skipping.save("latest", state, if_exists="replace").skipped
            store.save(f"r/{step}", state, group=distributed.group.WORLD)
    distributed.barrier()
    keys = distributed.distributed_c10d._get_default_store().num_keys()
    return skipped, keys


def each_for_itself(rank, size, path):
    told = raised(lambda: cairn.Store(path).save("a", {"w": torch.ones(3)}))
    distributed.barrier()
    return told


def missed_call(rank, size, path):
    """Rank 1 leaves out a call that waits."""
    if rank == 1:
        distributed.barrier()
        return None
    began = time.monotonic()
    told = raised(lambda: cairn.Store(path).save("a", {"w": torch.ones(3)}, timeout=1,
                                                 group=distributed.group.WORLD))
    distributed.barrier()
    return told, time.monotonic() - began


class Cuts(package.StoreTest):
    def test_saved_and_loaded_in_every_cut(self):
        for size in (1, 2, 4):
            results = ranks.run(save_and_load_all, size, self.store.path)
            for layout in LAYOUTS:
                tag = f"{size}/{layout}"
                assert_whole(self.store, tag)
                assert_whole(self.store, f"{size}/async/{layout}")
                told = [each[layout] for each in results]
                self.assertTrue(all(each == told[0] for each in told))
                logical = sum(value.nbytes for value in (*whole()["model"].values(),
                                                         whole()["optimizer"][0]["exp_avg"]))
                self.assertEqual(told[0]["logical_bytes"], logical)
                self.assertEqual(told[0]["warnings"], [])
        tags = [f"{size}/{layout}" for size in (1, 2, 4) for layout in LAYOUTS]
        ranks.run(load_where_cut_otherwise, 3, self.store.path, tags)
        self.assertTrue(self.store.check(read_data=True)["ok"])

    def test_onto_the_meta_device(self):
        self.assertEqual(ranks.run(load_from_meta, 2, self.store.path), [True, True])


class Missed(package.StoreTest):
    def test_in_step(self):
        self.check_one_is_missed(True, "rank {who} did not answer rank {other} within")

    def test_out_of_step(self):
        """Who is behind hears it at once, and catches up."""
        self.check_one_is_missed(False, r"saves 'a/[23]' \(step [23]\) where rank 0 saves")

    def check_one_is_missed(self, in_step, told):
        for who, other in ((0, 1), (1, 0)):
            both = ranks.run(misses_a_save, 2, self.folder / f"store-{who}", who, in_step)
            self.assertEqual(both[who], [None, None, "missed", None, None, None])
            self.assertRegex(both[other].pop(2), told.format(who=who, other=other))
            self.assertEqual(both[other], [None] * 5)

    def test_nothing_is_missed_in_a_hurry(self):
        told = ranks.run(in_a_hurry, 3, self.store.path, self.folder / "other")
        self.assertEqual(len({skipped for skipped, _ in told}), 1)
        for store in (self.store, cairn.Store(self.folder / "other")):
            self.assertEqual(len(store.tags("r/*")), 30)
            self.assertEqual(store.load("latest")["w"].dtype, torch.int64)
        self.assertEqual(self.store.load("latest")["w"][0], 29)

    def test_a_group_that_was_forgotten(self):
        told = [each for each in ranks.run(each_for_itself, 2, self.store.path) if each]
        self.assertEqual(len(told), 1)
        self.assertIn("give group=", told[0][1])

    def test_a_call_that_waits(self):
        (kind, text), seconds = ranks.run(missed_call, 2, self.store.path)[0]
        self.assertEqual(kind, "UnreachableError")
        self.assertIn("rank 1", text)
        self.assertLess(seconds, 20)


class Failures(package.StoreTest):
    def test_what_fails_on_one_rank_fails_on_all(self):
        both = ranks.run(bad_saves, 2, self.store.path)
        wanted = {
            "tags": ("UsageError", "rank 1 saves 'tag-1' .* rank 0 saves 'tag-0'"),
            "steps": ("UsageError", r"rank 1 saves 'a' \(step 1\) .* 'a' \(step 0\)"),
            "object": ("UsageError", "'odd' is a set"),
            "shapes": ("UsageError", "'w'"), "lacking": ("UsageError", "'[vw]'"),
            "base": ("NotFoundError", "no-such"),
            "disk": ("NoSpaceError", "no space left"),
            "exists": ("ExistsError", "'a'"),
            "async tags": ("UsageError", "rank 1 saves 'tag-1' .* rank 0 saves 'tag-0'"),
            "async exists": ("ExistsError", "'a'"), "async object": ("UsageError", "'odd' is a set"),
            "async disk": ("NoSpaceError", "no space left")}
        for rank, told in enumerate(both):
            for name, (kind, text) in wanted.items():
                self.assertIsNotNone(told[name], name)
                self.assertEqual(told[name][0], kind, (rank, name, told[name]))
                self.assertRegex(told[name][1], text)
            for name in ("object", "disk", "async object", "async disk"):
                self.assertEqual("rank 1: " in told[name][1], rank == 0, (rank, told[name]))
            self.assertEqual(told["left"], set(), "rank 0 takes back what it had stored")
        self.assertEqual([tag.tag for tag in self.store.tags()], ["b", "a"])
        assert_whole(self.store, "a")
        self.store.gc()
        self.assertTrue(self.store.check(read_data=True)["ok"])

    def test_rank_0_ends_when_all_have_heard(self):
        for number in range(3):
            folder = self.folder / f"early-{number}"
            store = cairn.Store(folder / "store", create=True)
            job = ranks.start(ends_early, 4, folder, store.path)
            for process in job.processes:
                process.join(60)
            for rank in range(1, 4):
                self.assertEqual((folder / f"store/told-{rank}").read_text(), "saved")

    def test_waits_can_be_ended(self):
        told = ranks.run(closes_without_the_others, 2, self.store.path)
        for kind, text in told:
            self.assertEqual(kind, "CancelledError")
            self.assertIn("rank 0 no longer waits", text)
        self.assertEqual(self.store.tags(), [])

    def test_a_rank_that_dies_is_named(self):
        lost = "UnreachableError: rank {} did not answer rank 0 within 3 s"
        for who, size, kind in ((1, 2, lost.format(1)), (2, 3, lost.format(2)),
                                (0, 2, "UnreachableError: the job's store does not answer rank 1")):
            with self.subTest(who=who):
                folder = self.folder / f"job-{who}"
                folder.mkdir()
                store = cairn.Store(folder / "store", create=True)
                job = ranks.start(dies_in_a_save, size, folder, str(folder), store.path, who)
                for process in job.processes:
                    process.join(60)
                    self.assertIsNotNone(process.exitcode, "no hang")
                for rank in set(range(size)) - {who}:
                    self.assertIn(kind, (folder / f"told-{rank}").read_text())
                self.assertEqual([tag.tag for tag in store.tags()], ["before"])
                assert_whole(store, "before")
                store.gc()
                self.assertTrue(store.check(read_data=True)["ok"])


class Groups(package.StoreTest):
    def test_states_that_differ_from_rank_to_rank(self):
        both = ranks.run(pipeline, 2, self.store.path)
        loaded = self.store.load("a")
        self.assertEqual({name: value[0].item() for name, value in loaded["model"].items()},
                         {"embed": 5, "one": 3, "two": 3})
        self.assertEqual((loaded["only0"], loaded["only1"], loaded["n"]), (0, 1, 1))
        for tensors, told, objects in both:
            self.assertEqual(tensors, 3)
            self.assertRegex(told[1], "'x' of the state is not the same")
            self.assertRegex(objects[1], "'x1' is a Python object")
        self.assertEqual([tag.tag for tag in self.store.tags()], ["a"])

    def test_ties_that_all_ranks_see(self):
        self.assertEqual(ranks.run(ties, 4, self.store.path), [[1, 2]] * 4)
        loaded = self.store.load("even")
        self.assertIs(loaded["embed"], loaded["head"])
        loaded = self.store.load("short")
        self.assertTrue(torch.equal(loaded["embed"], loaded["head"]))

    def test_two_groups_at_once(self):
        told = ranks.run(halves, 4, self.store.path)
        for each in told:
            self.assertRegex(each[1], "is not in the group")
        for half in range(2):
            for step in range(3):
                self.assertEqual(self.store.load(f"half{half}/{step}")["w"][99], half + step)

    def test_all_skip_the_same_saves(self):
        told = ranks.run(skip_alike, 2, self.store.path)
        self.assertEqual(told, [[False, True, True, True, False]] * 2)
        self.assertEqual([tag.tag for tag in self.store.tags()], ["run/9", "run/0"])

    def test_a_fast_loop_beside_collectives(self):
        both = ranks.run(fast_loop, 2, self.store.path)
        for values, more, saved, bases in both:
            self.assertEqual(bases, [None, *(f"run/{step - 1}" for step in range(3, 40, 3))])
            self.assertEqual(values, [2.0] * 40)
            self.assertLessEqual(more, 0)
            self.assertIsNone(saved)
        for step in (0, 17, 39):
            loaded = self.store.load(f"run/{step}")
            self.assertTrue((loaded["w"] == step + 1).all() and (loaded["b"] == step + 1).all())


class Shares(unittest.TestCase):
    def test_each_tensor_has_one_rank_and_bytes_are_dealt_out(self):
        state = {f"model.layers.{i}.weight": torch.zeros(100) for i in range(40)}
        state |= {f"optim.state.layers.{i}.weight.{kind}": torch.zeros(100)
                  for i in range(40) for kind in ("exp_avg", "exp_avg_sq")}
        state |= {"scalar": torch.tensor(1.0), "empty": torch.zeros(0), "zz": torch.zeros(0, 3)}
        for size in (1, 2, 3, 7, 64):
            alike = list(range(size))
            shares = [_shares.share_of(state, Ranks(rank, size, object()), alike)
                      for rank in alike]
            self.assertEqual(sorted(name for share in shares for name in share), sorted(state))
            for share in shares:
                layers = {name.split("layers.")[1].split(".")[0] for name in share
                          if "layers" in name}
                self.assertLessEqual(len(layers), -(-40 // size) + 1)
                for layer in layers:
                    self.assertIn(f"model.layers.{layer}.weight", share, "with its moments")

    def test_only_ranks_that_are_alike_share(self):
        state = {"a": torch.zeros(10), "b": torch.zeros(10)}
        shares = [_shares.share_of(state, Ranks(rank, 3, object()), [0, 2]) for rank in (0, 2)]
        self.assertEqual([list(share) for share in shares], [["a"], ["b"]])
        self.assertNotEqual(_shares.outline(state), _shares.outline({"a": torch.zeros(11)}))

    def test_structures_are_united(self):
        def structure(node, **values):
            return _structures.Structure({"dict": node}, values, False)

        one = structure([["a", "tensor"], ["n", {"list": ["value", {"dict": [["x", "value"]]}]}]], n=1)
        two = structure([["n", {"list": ["value", {"dict": [["y", "tensor"]]}]}], ["b", "tensor"]], n=2)
        both = _structures.united([one, two])
        self.assertEqual(both.node, {"dict": [
            ["a", "tensor"], ["n", {"list": ["value", {"dict": [["x", "value"], ["y", "tensor"]]}]}],
            ["b", "tensor"]]})
        self.assertEqual(both.values, {"n": 1})
        with self.assertRaisesRegex(cairn.UsageError, "'a' of the state is not the same"):
            _structures.united([one, structure([["a", "value"]])])
        with self.assertRaisesRegex(cairn.UsageError, "2 items"):
            _structures.united([one, structure([["n", {"list": []}]])])


if __name__ == "__main__":
    unittest.main()
