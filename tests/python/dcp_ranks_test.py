#!/usr/bin/env python3
"""torch.distributed.checkpoint over a store, on several gloo ranks."""
import inspect
import logging
import os
import resource
import signal
import unittest
import warnings
from pathlib import Path

import package

if __name__ == "__main__":
    package.enter("torch")

import ranks
import torch
from torch import distributed
from torch.distributed import checkpoint as dcp
from torch.distributed.checkpoint import state_dict as dcp_state
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import Replicate, Shard, distribute_tensor

import cairn
from cairn._checkpoint import Checkpoint
from cairn.torch import StorageReader, StorageWriter

logging.disable(logging.WARNING)
warnings.filterwarnings("ignore")


def tensors(seed=0):
    """Sizes that two and four ranks do not divide, some smaller than the ranks are many."""
    torch.manual_seed(seed)
    return {"even": torch.randn(8, 8), "odd": torch.randn(7, 5), "row": torch.randn(1, 9),
            "three": torch.randn(3), "half": torch.randn(6, 7, 2).bfloat16(),
            "none": torch.empty(0, 4), "count": torch.arange(5)}


class Sharding:
    """How the first `size` ranks hold tensors."""

    def __init__(self, size, kind):
        self.size, self.kind = size, kind
        rows = 2 if size == 4 else 1
        shape = (rows, size // rows) if kind == "both" else (size,)
        self.mesh = DeviceMesh("cpu", torch.arange(size).reshape(shape))

    def of(self, tensor):
        axes = {"replicated": [], "rows": [0], "columns": [1], "both": [0, 1]}[self.kind]
        axes = [min(axis, tensor.dim() - 1) for axis in axes]
        return distribute_tensor(tensor, self.mesh, [Shard(axis) for axis in axes] or [Replicate()])


def every_sharding(size):
    return [Sharding(n, kind) for n in (1, 2, 4) if n <= size
            for kind in ("replicated", "rows", "columns", "both")]


def save_and_load_every_sharding(rank, size, path):
    groups = {n: distributed.new_group(range(n)) for n in (1, 2, 4) if n <= size}
    shardings, wanted, checked = every_sharding(size), tensors(), 0
    for number, how in enumerate(shardings):
        tag = f"run{number}/{how.kind}-{how.size}"
        if rank < how.size:
            state = {"model": {name: how.of(tensor) for name, tensor in wanted.items()},
                     "plain": wanted["odd"], "n": number}
            dcp.save(state, storage_writer=StorageWriter(path), checkpoint_id=tag,
                     process_group=groups[how.size])
        distributed.barrier()
        for other in shardings:
            if rank >= other.size:
                continue
            expected = {name: other.of(tensor) for name, tensor in wanted.items()}
            target = {"model": {name: other.of(torch.zeros_like(tensor))
                                for name, tensor in wanted.items()},
                      "plain": torch.zeros(7, 5), "n": -1}
            group = groups[other.size]
            dcp.load(target, storage_reader=StorageReader(path, group=[None, group][number % 2]),
                     checkpoint_id=tag, process_group=group)
            for name, tensor in expected.items():
                found = target["model"][name].to_local()
                assert torch.equal(found, tensor.to_local()), (tag, other.kind, other.size, name)
                checked += 1
            assert torch.equal(target["plain"], wanted["odd"]) and target["n"] == number
        distributed.barrier()
    return checked


def save_cuts_on_edges(rank, size, path):
    torch.manual_seed(0)
    big = {"w": torch.randn(2048, 4096).bfloat16(), "v": torch.randn(1 << 21).bfloat16()}
    if rank == 0:
        cairn.Store(path).save("run/whole", big)
    distributed.barrier()
    for how in every_sharding(size):
        if how.size == size:
            dcp.save({name: how.of(tensor) for name, tensor in big.items()},
                     storage_writer=StorageWriter(path), checkpoint_id=f"run/{how.kind}")


def fail_in_many_ways(rank, size, path):
    class Failing(dcp.DefaultSavePlanner):
        def resolve_data(self, write_item):
            if rank == 1:
                raise ValueError("this rank has no data")
            return super().resolve_data(write_item)

    how = Sharding(size, "rows")
    state = {name: how.of(tensor) for name, tensor in tensors().items()}

    def save(state=state, tag="run/bad", planner=None, **options):
        writer = StorageWriter(path, **options)
        return ranks.failures_of(lambda: dcp.save(state, storage_writer=writer, checkpoint_id=tag,
                                            planner=planner))

    told = {"planner": save(planner=Failing()), "tags": save(tag=f"run/bad-{rank}"),
            "shapes": save({"w": torch.zeros(3 + rank, 2)}),
            "dtypes": save({"w": torch.zeros(3, dtype=[torch.half, torch.float][rank])}),
            "hole": save({"w": state["even"]} if rank == 0 else {"v": torch.ones(2)}),
            "path": ranks.failures_of(lambda: dcp.save(
                state, storage_writer=StorageWriter(path if rank == 0 else __file__),
                checkpoint_id="run/bad"))}
    assert save(tag="run/good") is None
    told["exists"] = save(tag="run/good", overwrite=False)
    told["again"] = save(tag="run/good")
    distributed.barrier()
    return told


def fill_the_disk(rank, size, path):
    """Rank 1 may write files of 64 KiB only."""
    torch.manual_seed(0)
    state = {"w": Sharding(size, "rows").of(torch.randn(512, 1024))}
    dcp.save({"v": torch.ones(3)}, storage_writer=StorageWriter(path), checkpoint_id="run/0")
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    if rank == 1:
        resource.setrlimit(resource.RLIMIT_FSIZE, (64 << 10, most))
    told = ranks.failures_of(lambda: dcp.save(state, storage_writer=StorageWriter(path),
                                        checkpoint_id="run/1"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    return told


def cache_plans(rank, size, path):
    how = Sharding(size, "rows")
    torch.manual_seed(0)
    whole = torch.randn(4096, 1024)
    for step in range(4):
        whole[0] = step
        dcp.save({"w": how.of(whole), "n": step}, storage_writer=StorageWriter(path),
                 checkpoint_id=f"run/step-{step}",
                 planner=dcp.DefaultSavePlanner(enable_plan_caching=True))
        if rank == 0 and step == 1:
            cairn.Store(path).forget("run/step-0")
            cairn.Store(path).gc()
        distributed.barrier()


def save_in_two_groups(rank, size, path):
    pairs = [distributed.new_group([0, 1]), distributed.new_group([2, 3])]
    mine = rank // 2
    mesh = DeviceMesh("cpu", [[0, 1], [2, 3]], mesh_dim_names=("pair", "rank"))["rank"]
    tensor = distribute_tensor(torch.full((7, 3), float(mine)), mesh, [Shard(0)])
    for step in range(3):
        dcp.save({"w": tensor, "pair": mine}, storage_writer=StorageWriter(path),
                 checkpoint_id=f"pair{mine}/step-{step}", process_group=pairs[mine])
    target = {"w": torch.zeros(7, 3), "pair": None}
    dcp.load(target, storage_reader=StorageReader(path, group=pairs[mine]),
             checkpoint_id=f"pair{mine}/@newest", process_group=pairs[mine])
    assert (target["w"] == mine).all() and target["pair"] == mine


def count_reads(rank, size, path):
    """Boxes and bytes that this rank reads of a replicated and a half replicated state."""
    read = []
    load = Checkpoint.load

    def counting(self, loads, cast=False):
        read.extend(memory.owner.nbytes for _, memory in loads)
        return load(self, loads, cast)

    torch.manual_seed(0)
    state = {f"w{i}": torch.randn(50, 40) for i in range(8)}
    dcp.save(state, storage_writer=StorageWriter(path), checkpoint_id="a")
    mesh = DeviceMesh("cpu", [[0, 1], [2, 3]])
    halves = {name: distribute_tensor(torch.zeros(50, 40), mesh, [Replicate(), Shard(0)])
              for name in state}
    Checkpoint.load = counting
    told = []
    for target, dtype in (({name: torch.zeros(50, 40) for name in state}, torch.float),
                          ({name: torch.zeros(40, 50).t() for name in state}, torch.float),
                          ({name: torch.zeros(50, 40).half() for name in state}, torch.half),
                          (halves, torch.float)):
        read.clear()
        dcp.load(target, storage_reader=StorageReader(path, group=distributed.group.WORLD),
                 checkpoint_id="a")
        for name, tensor in state.items():
            found = target[name]
            found = found.full_tensor() if hasattr(found, "full_tensor") else found
            assert torch.equal(found, tensor.to(dtype)), name
        told.append(sum(read))
    if rank == 2:
        Checkpoint.load = refusing
    failed = ranks.failures_of(lambda: dcp.load(
        state, storage_reader=StorageReader(path, group=distributed.group.WORLD),
        checkpoint_id="a"))
    if rank == 2:
        Checkpoint.load = interrupted
    stopped = ranks.failures_of(lambda: dcp.load(
        state, storage_reader=StorageReader(path, group=distributed.group.WORLD),
        checkpoint_id="a"))
    pair = distributed.new_group([0, 1])
    other = ranks.failures_of(lambda: dcp.load(state, storage_reader=StorageReader(path, group=pair),
                                         checkpoint_id="a"))
    return told, failed, stopped, other


def refusing(self, loads, cast=False):
    raise cairn.CorruptError("a chunk is damaged")


def interrupted(self, loads, cast=False):
    raise KeyboardInterrupt


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = torch.nn.Linear(6, 12)
        self.outer = torch.nn.Linear(12, 3)

    def forward(self, x):
        return self.outer(torch.relu(self.inner(x)))


def wrapped(kind, size):
    """A model as it is trained on `size` ranks, and its optimizer."""
    from torch.distributed.fsdp import fully_shard
    from torch.distributed.tensor.parallel import (ColwiseParallel, RowwiseParallel,
                                                   parallelize_module)

    torch.manual_seed(1)
    model = Net()
    tensor_parallel = {"inner": ColwiseParallel(), "outer": RowwiseParallel()}
    if kind == "ddp":
        model = torch.nn.parallel.DistributedDataParallel(model)
    elif kind == "fsdp":
        fully_shard(model.inner, mesh=DeviceMesh("cpu", torch.arange(size)))
        fully_shard(model, mesh=DeviceMesh("cpu", torch.arange(size)))
    elif kind == "tp":
        parallelize_module(model, DeviceMesh("cpu", torch.arange(size)), tensor_parallel)
    elif kind == "both":
        mesh = DeviceMesh("cpu", torch.arange(size).reshape(2, -1), mesh_dim_names=("dp", "tp"))
        parallelize_module(model, mesh["tp"], tensor_parallel)
        fully_shard(model, mesh=mesh["dp"])
    return model, torch.optim.AdamW(model.parameters(), lr=0.1)


def train(model, optimizer, steps):
    for step in range(steps):
        optimizer.zero_grad()
        model(torch.full((4, 6), 1.0 + step)).square().mean().backward()
        optimizer.step()


def named(model, optimizer):
    return dict(zip(("model", "optimizer"), dcp_state.get_state_dict(model, optimizer)))


def whole(state):
    """The tensors of a nested state, gathered, by name."""
    from cairn import _tree

    return {name: tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor
            for name, tensor in _tree.flatten(state, True).tensors.items()}


def train_in_every_way(rank, size, path):
    kinds = ["single", "ddp", "fsdp", "tp"] + (["both"] if size == 4 else [])
    for kind in kinds:
        model, optimizer = wrapped(kind, size)
        train(model, optimizer, 2)
        state = named(model, optimizer)
        dcp.save(state, storage_writer=StorageWriter(path), checkpoint_id=f"{kind}/step-2")
        before = whole(state)
        for other in kinds:
            loaded, resumed = wrapped(other, size)
            target = named(loaded, resumed)
            dcp.load(target, storage_reader=StorageReader(path), checkpoint_id=f"{kind}/step-2")
            dcp_state.set_state_dict(loaded, resumed, model_state_dict=target["model"],
                                     optim_state_dict=target["optimizer"])
            after = whole(named(loaded, resumed))
            assert before.keys() == after.keys(), (kind, other)
            for name, tensor in before.items():
                assert torch.equal(after[name], tensor), (kind, other, name)


def save_asynchronously(rank, size, path):
    how = Sharding(size, "rows")
    told = []
    for number, kind in enumerate((dcp.state_dict_saver.AsyncCheckpointerType.THREAD,
                                   dcp.state_dict_saver.AsyncCheckpointerType.PROCESS)):
        for step in range(2):
            tensor = how.of(torch.full((7, 4), float(step)))
            saving = dcp.async_save({"w": tensor, "step": step}, async_checkpointer_type=kind,
                                    storage_writer=StorageWriter(path, overwrite=False),
                                    checkpoint_id=f"run{number}/step-{step}")
            tensor.to_local().fill_(-1)
            saving.result()
        again = dcp.async_save({"w": tensor}, async_checkpointer_type=kind,
                               storage_writer=StorageWriter(path, overwrite=False),
                               checkpoint_id=f"run{number}/step-1")
        told.append(ranks.failures_of(again.result))
    return told


def save_without_collectives(rank, size, path):
    """Ranks with a sharded tensor, a replica, values of their own, and names of their own."""
    how = Sharding(size, "rows")
    whole = tensors()

    def state_of(step, blank=False):
        own = {"position": -1 if blank else 10 * step + rank, "set": None if blank else {rank}}
        tensor = torch.zeros(3) if blank else torch.full((3,), 1.0 * rank)
        return {"model": {name: how.of(torch.zeros_like(each) if blank else each)
                          for name, each in whole.items()},
                "loader": own, "step": -1 if blank else step, f"stage{rank}": {"w": tensor}}

    for step in range(2):
        dcp.save(state_of(step), storage_writer=StorageWriter(path),
                 checkpoint_id=f"run/step-{step}", use_collectives=False)
    target, expected = state_of(1, blank=True), state_of(1)
    del target["model"]["none"]  # nothing to load
    dcp.load(target, storage_reader=StorageReader(path), checkpoint_id="run/@newest")
    for name, tensor in target["model"].items():
        assert torch.equal(tensor.to_local(), expected["model"][name].to_local()), name
    for key in ("loader", "step"):
        assert target[key] == expected[key], (key, target[key])
    assert torch.equal(target[f"stage{rank}"]["w"], expected[f"stage{rank}"]["w"])
    distributed.barrier()
    try:
        dcp.save(expected, storage_writer=StorageWriter(path + "-none"), checkpoint_id="run/none",
                 use_collectives=False)
        raise AssertionError("there is no store")
    except cairn.NoStoreError:
        pass
    try:
        if rank == 0:
            dcp.save(expected, storage_writer=StorageWriter(path, timeout=1),
                     checkpoint_id="run/alone", use_collectives=False)
    except cairn.UnreachableError as error:
        return str(error)
    return None


def die(rank, size, path, when):
    from cairn import _saving

    class Dying(dcp.DefaultSavePlanner):
        def resolve_data(self, write_item):
            os.kill(os.getpid(), signal.SIGKILL)

    save = _saving.save

    def save_and_die(*arguments):
        if when == "after the commit":
            save(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)

    state = {"w": Sharding(size, "rows").of(torch.ones(7, 3))}
    planner = Dying() if when == "in a rank" and rank == 1 else None
    if when != "in a rank":
        _saving.save = save_and_die
    dcp.save(state, storage_writer=StorageWriter(path), checkpoint_id="run/1", planner=planner)


class RanksTest(package.StoreTest):
    def run_ranks(self, function, size, *arguments):
        return ranks.run(function, size, self.store.path, *arguments, timeout=400)

    def test_every_sharding_into_every_other(self):
        checked = self.run_ranks(save_and_load_every_sharding, 4)
        self.assertEqual(checked[0], 12 * 12 * len(tensors()))
        self.assertTrue(self.store.check(read_data=True)["ok"])
        for tag in self.store.tags():
            self.assertTrue(torch.equal(self.store.load(tag.tag)["model"]["odd"],
                                        tensors()["odd"]), tag.tag)

    def test_cuts_on_the_edges_of_chunks_store_nothing_again(self):
        self.run_ranks(save_cuts_on_edges, 4)
        self.store.forget("run/replicated")  # no tag needs another
        shown = {tag.tag: (tag.new_bytes, tag.manifest) for tag in self.store.tags()}
        first = shown.pop("run/whole")
        self.assertEqual(set(shown.values()), {(0, first[1])})

    def test_what_fails_on_one_rank_fails_on_all(self):
        first, second = self.run_ranks(fail_in_many_ways, 2)
        self.assertEqual(first, second)
        self.assertEqual(first["planner"], {1: ("ValueError", "this rank has no data")})
        self.assertRegex(first["tags"][1][1], "this rank saves 'run/bad-1', .* 'run/bad-0'")
        for case, words in (
                ("shapes", r"'w' is float32 \[3, 2\] on rank 0, float32 \[4, 2\] on rank 1"),
                ("dtypes", r"'w' is float16 \[3\] on rank 0, float32 \[3\] on rank 1"),
                ("hole", "w"), ("path", "dcp_ranks_test.py"), ("exists", "'run/good' exists")):
            self.assertRegex(str(first[case]), words, case)
        self.assertIsNone(first["again"])
        self.assertEqual([tag.tag for tag in self.store.tags()], ["run/good"])
        self.nothing_is_left_without("run/good")

    def nothing_is_left_without(self, *tags):
        """That gc finds all that failed saves have stored."""
        self.store.forget(*tags, allow_newest=True)
        self.store.gc()
        store = Path(self.store.path)
        self.assertEqual([path for folder in ("packs", "meta", "sessions")
                          for path in (store / folder).rglob("*") if path.is_file()], [])

    def test_a_full_disk_on_one_rank(self):
        first, second = self.run_ranks(fill_the_disk, 2)
        self.assertEqual((first, list(first)), (second, [1]))
        self.assertIn("File too large", first[1][1])
        self.assertEqual([tag.tag for tag in self.store.tags()], ["run/0"])
        self.nothing_is_left_without("run/0")

    def test_planners_that_cache_their_plans(self):
        self.run_ranks(cache_plans, 2)
        for tag in self.store.tags("run/*")[:2]:
            self.assertLess(tag.new_bytes, tag.logical_bytes / 2, "one row is new in a step")
        self.assertEqual(self.store.load("run/@newest")["w"][0, 0], 3)

    def test_two_groups_at_once(self):
        self.run_ranks(save_in_two_groups, 4)
        self.assertEqual(len(self.store.tags()), 6)

    def test_replicas_are_read_once(self):
        told = self.run_ranks(count_reads, 4)
        size = 8 * 50 * 40 * 4
        for number in range(4):
            read = [each[0][number] for each in told]
            self.assertEqual(sum(read), size)
            self.assertLessEqual(max(read), size // 2)
        self.assertEqual(told[0][1][2][0], "CorruptError")
        self.assertIn("rank 2 could not read", told[0][1][0][1])
        self.assertEqual(told[0][2][2][0], "KeyboardInterrupt")
        self.assertIn("rank 2 could not read its share: it was interrupted", told[0][2][0][1])
        self.assertIn("not the one that loads", str(told[3][3]))

    def test_models_of_every_kind(self):
        self.run_ranks(train_in_every_way, 2)
        self.run_ranks(train_in_every_way, 4)

    def test_asynchronous_saves(self):
        told = self.run_ranks(save_asynchronously, 2)
        for number in range(2):
            for step in range(2):
                loaded = self.store.load(f"run{number}/step-{step}")
                self.assertTrue((loaded["w"] == step).all() and loaded["step"] == step)
            self.assertIn("exists", str(told[0][number]))

    @unittest.skipUnless("use_collectives" in inspect.signature(dcp.save).parameters,
                         "this PyTorch saves with collectives only")
    def test_ranks_that_do_not_talk(self):
        alone, _ = self.run_ranks(save_without_collectives, 2)
        self.assertIn("rank 1 did not come", alone)
        store = self.store
        self.assertEqual([tag.tag for tag in store.tags()], ["run/step-1", "run/step-0"])
        with self.assertRaisesRegex(cairn.UsageError, "pickle"):
            store.load("run/step-1")
        loaded = store.load("run/step-1", allow_pickle=True)
        self.assertEqual((loaded["step"], loaded["loader"]), (1, {"position": 10, "set": {0}}))
        self.assertEqual(loaded["stage1"]["w"].tolist(), [1, 1, 1])
        for name, tensor in tensors().items():
            self.assertTrue(torch.equal(loaded["model"][name], tensor), name)

    def test_ranks_that_are_killed(self):
        for when, is_there in (("in a rank", False), ("before the commit", False),
                               ("after the commit", True)):
            with self.assertRaises(Exception, msg=when):
                self.run_ranks(die, 2, when)
            self.assertEqual([tag.tag for tag in self.store.tags()], ["run/1"] * is_there, when)
        self.assertEqual(self.store.load("run/1")["w"].sum(), 21)
        self.nothing_is_left_without("run/1")


if __name__ == "__main__":
    unittest.main()
