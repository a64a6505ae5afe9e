#!/usr/bin/env python3
"""TorchTitan's checkpoints: its own containers, saved and loaded by the manager of this package."""
import collections
import logging
import types
import unittest

import package

if __name__ == "__main__":
    package.enter("torch", "torchtitan", "torchdata", "tyro", "spmd_types")

import torch
from torch import distributed
from torch.distributed import checkpoint
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.utils.data import IterableDataset
from torchtitan.components.checkpointer import CheckpointManager
from torchtitan.components.dataloader import ParallelAwareDataloader
from torchtitan.components.optimizer import (LRSchedulersContainer, OptimizersContainer,
                                             ParamGroupConfig)

import cairn
import ranks
from adapters import are_equal, printed
from cairn.adapters.torchtitan import CairnCheckpointManager
from cairn.torch import StorageReader

STEPS = 8


class Numbers(IterableDataset):
    """Rows of numbers, whose place is kept."""

    def __init__(self, rank):
        self.at, self.rank = 0, rank

    def __iter__(self):
        while True:
            self.at += 1
            generator = torch.Generator().manual_seed(1000 * self.rank + self.at)
            yield torch.randn(4, generator=generator)

    def state_dict(self):
        return {"at": self.at}

    def load_state_dict(self, state):
        self.at = state["at"]


class Renamed:
    """An adapter of state dicts, as models of TorchTitan have one."""

    hf_assets_path = None

    def to_hf(self, state):
        return {f"hf.{name}": value for name, value in state.items()}

    def from_hf(self, state):
        return {name.removeprefix("hf."): value for name, value in state.items()}


class Training:
    """What TorchTitan's trainer has, in the order in which it does things; also its train_state."""

    def __init__(self, config, seed=1, folder="", adapter=None):
        torch.manual_seed(seed)
        rank, size = ((distributed.get_rank(), distributed.get_world_size())
                      if distributed.is_initialized() else (0, 1))
        self.parts = [torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.Tanh()),
                      torch.nn.Sequential(collections.OrderedDict(last=torch.nn.Linear(6, 3)))]
        if size > 1:
            for part in self.parts:
                fully_shard(part, mesh=init_device_mesh("cpu", (size,)))
        group = ParamGroupConfig(pattern=".*", optimizer_name="AdamW",
                                 optimizer_kwargs={"lr": 0.05})
        self.optimizers = OptimizersContainer.Config(
            param_groups=[group], implementation="for-loop").build(model_parts=self.parts)
        self.schedules = LRSchedulersContainer.Config(warmup_steps=2).build(
            optimizers=self.optimizers, training_steps=STEPS)
        self.data = ParallelAwareDataloader(Numbers(rank), rank, size, batch_size=2)
        self.step, self.losses = 0, {}
        self.saves = config.build(
            dataloader=self.data, model_parts=self.parts, optimizers=self.optimizers,
            lr_schedulers=self.schedules, states={"train_state": self}, sd_adapter=adapter,
            base_folder=str(folder))

    def state_dict(self):
        return {"step": self.step}

    def load_state_dict(self, state):
        self.step = state["step"]

    def train(self, until=STEPS):
        batches = iter(self.data)
        while self.step < until:
            self.step += 1
            value = next(batches)
            for part in self.parts:
                value = part(value)
            loss = value.square().mean()
            self.optimizers.zero_grad()
            loss.backward()
            self.saves.maybe_wait_for_staging()
            self.optimizers.step()
            self.schedules.step()
            self.losses[self.step] = loss.item()
            self.saves.save(self.step, last_step=self.step == STEPS)
        self.saves.maybe_wait_for_saving()
        self.saves.close()
        return self

    def told(self):
        weights = {name: full(value) for part in self.parts
                   for name, value in part.state_dict().items()}
        moments = {name: full(value) for name, value in self.optimizers.state_dict().items()}
        return self.losses, weights, moments, self.schedules.state_dict()


def full(value):
    if hasattr(value, "full_tensor"):
        return value.full_tensor()
    return value.detach().clone() if torch.is_tensor(value) else value


def settings(store, **changes):
    return CairnCheckpointManager.Config(**{
        "enable": True, "store": str(store), "interval": 2, "keep_latest_k": 0,
        "last_save_model_only": False, **changes})


def train_on_ranks(rank, size, path, step, changes):
    """Undisturbed with step None, else from its tag."""
    run = Training(settings(path, **changes), seed=1 if step is None else 2)
    if step is not None:
        assert run.saves.load(step)
        loaded = run.told()[1:]
        return run.train().told(), loaded
    return run.train().told(), None


class TorchTitan(package.StoreTest):
    def setUp(self):
        super().setUp()
        logging.getLogger().setLevel(logging.ERROR)
        self.path = self.store.path

    def assert_goes_on(self, resumed, quiet, step):
        losses, *states = quiet
        self.assertEqual(resumed[0], {at: loss for at, loss in losses.items() if at > step})
        self.assertTrue(are_equal(list(resumed[1:]), states), step)

    def test_goes_on_exactly(self):
        quiet = Training(settings(self.path, enable=False)).train().told()
        for mode in ("disabled", "async", "async_with_pinned_mem"):
            run = Training(settings(self.path, async_mode=mode))
            self.assertEqual(run.saves.load(), mode != "disabled", "nothing is there at first")
            run = Training(settings(self.path, async_mode=mode))
            self.assert_goes_on(run.train().told(), quiet, 0)
            for step in (2, 6):
                resumed = Training(settings(self.path, async_mode=mode), seed=2)
                self.assertTrue(resumed.saves.load(step))
                self.assertEqual(resumed.step, step)
                self.assert_goes_on(resumed.train().told(), quiet, step)

    def test_as_its_own_manager(self):
        """The same files asked of DCP, and the same losses."""
        folder = self.folder / "own"
        own = CheckpointManager.Config(enable=True, interval=2, keep_latest_k=0,
                                       last_save_model_only=False)
        distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
        self.addCleanup(distributed.destroy_process_group)
        quiet = Training(own, folder=folder).train().told()
        start = f"{folder}/checkpoint/step-4"
        run = Training(settings(self.path, initial_load_path=start, initial_load_model_only=False),
                       seed=2)
        self.assertTrue(run.saves.load())
        self.assert_goes_on(run.train().told(), quiet, 4)

    def test_dcp_reads_it(self):
        quiet = Training(settings(self.path)).train().told()[1]
        state = {name: torch.zeros_like(value) for name, value in quiet.items()}
        checkpoint.load(state, storage_reader=StorageReader(self.store),
                        checkpoint_id="run/step-8", no_dist=True)
        self.assertTrue(are_equal(state, quiet))

    def test_when_it_saves_and_what_it_keeps(self):
        run = Training(settings(self.path, keep_latest_k=2, enable_first_step_checkpoint=True,
                                async_mode="async"))
        run.train(1)
        self.assertEqual({tag.step for tag in self.store.tags()}, {1})
        run = Training(settings(self.path, keep_latest_k=2, async_mode="async"))
        run.train()
        self.assertEqual([tag.tag for tag in self.store.tags()], ["run/step-8", "run/step-6"])
        only = Training(settings(self.path, load_only=True), seed=2)
        self.assertTrue(only.saves.load())
        self.assertFalse(only.saves.save(9, last_step=True))

    def test_the_last_save(self):
        export = {"last_save_model_only": True, "export_dtype": "bfloat16", "async_mode": "async"}
        run = Training(settings(self.path, **export)).train()
        saved = self.store.load("run/step-8")
        self.assertEqual(set(saved), set(run.told()[1]))
        self.assertEqual(saved["last.weight"].dtype, torch.bfloat16)
        named = Training(settings(self.folder / "hf", last_save_in_hf=True, **export),
                         adapter=Renamed()).train()
        names = cairn.Store(self.folder / "hf").load("run/step-8")
        self.assertEqual(set(names), {f"hf.{name}" for name in named.told()[1]})

    def test_from_other_weights(self):
        quiet = Training(settings(self.path)).train()
        start = f"cairn://{self.path}#run/step-8"
        run = Training(settings(self.folder / "new", initial_load_path=start), seed=2)
        self.assertTrue(run.saves.load())
        self.assertEqual(run.step, 0, "only the model")
        self.assertTrue(are_equal(run.told()[1], quiet.told()[1]))
        self.store.save("hub/model", Renamed().to_hf(quiet.told()[1]))
        run = Training(settings(self.folder / "new", initial_load_in_hf=True,
                                initial_load_path=f"cairn://{self.path}#hub/model"), seed=2,
                       adapter=Renamed())
        self.assertTrue(run.saves.load())
        self.assertTrue(are_equal(run.told()[1], quiet.told()[1]))

    def test_what_is_not_loaded(self):
        Training(settings(self.path)).train()
        run = Training(settings(self.path, exclude_from_loading=["dataloader", "lr_scheduler"]))
        self.assertTrue(run.saves.load())
        self.assertEqual((run.step, run.data.dataset.at), (8, 0))
        self.assertEqual(run.schedules.state_dict()["last_epoch"], 0)

    def test_what_does_not_fit(self):
        run = Training(settings(self.path))
        with self.assertRaises(cairn.NotFoundError):
            run.saves.load(4)
        run.train()
        with self.assertRaisesRegex(cairn.UsageError, "'nothing'"):
            Training(settings(self.path, exclude_from_loading=["nothing"])).saves.load()
        with self.assertRaisesRegex(cairn.UsageError, "async_mode"):
            settings(self.path, async_mode="later")
        with self.assertRaisesRegex(cairn.UsageError, "sd_adapter"):
            Training(settings(self.path, last_save_in_hf=True, last_save_model_only=True))
        self.store.save("run/step-9", {"last.weight": torch.ones(3, 7)}, step=9)
        with self.assertRaisesRegex(cairn.UsageError, "last.weight"):
            Training(settings(self.path)).saves.load()

    def test_on_two_ranks_and_on_one(self):
        quiet = ranks.run(train_on_ranks, 2, self.path, None, {"async_mode": "async"})
        for own, (resumed, _) in zip(quiet, ranks.run(train_on_ranks, 2, self.path, 4, {})):
            self.assert_goes_on(resumed, own[0], 4)
        with self.assertRaisesRegex(cairn.UsageError, "exclude_from_loading"):
            Training(settings(self.path)).saves.load(4)
        alone = Training(settings(self.path, exclude_from_loading=["dataloader"]), seed=2)
        self.assertTrue(alone.saves.load(8))
        self.assertTrue(are_equal(list(alone.told()[1:]), list(quiet[0][0][1:])))

    def test_as_printed(self):
        names = {"config": types.SimpleNamespace()}
        exec(printed("torchtitan", self.folder), names)
        Training(names["config"].checkpoint).train()
        resumed = Training(names["config"].checkpoint)
        self.assertTrue(resumed.saves.load(6))
        self.assertEqual(resumed.step, 6)


if __name__ == "__main__":
    unittest.main()
