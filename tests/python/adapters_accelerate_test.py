#!/usr/bin/env python3
"""Trainings by accelerate.Accelerator that go on from tags."""
import os
import unittest

import package

if __name__ == "__main__":
    package.enter("torch", "accelerate", "torchdata")

import torch
from accelerate import Accelerator, skip_first_batches
from accelerate.utils import DataLoaderConfiguration

import cairn
import ranks
from adapters import are_equal, be_rank, printed
from cairn.adapters.accelerate import keep_weights_in_store, load_state, save_state

EPOCHS, STEPS = 3, 5  # of each epoch, on one rank


class Tally:
    """An object that is registered for checkpointing. state: what it has beside its count."""

    def __init__(self, **state):
        self.state = {"seen": 0, **state}

    def state_dict(self):
        return self.state

    def load_state_dict(self, state):
        self.state = state


class Run:
    """way: how the place in the data is found again, "stateful" or "skip"; seed: of the weights;
    order: of the data."""

    def __init__(self, way="stateful", seed=1, order=5, **registered):
        config = DataLoaderConfiguration(use_seedable_sampler=True,
                                         use_stateful_dataloader=way == "stateful")
        self.way, self.losses = way, []
        self.accelerator = Accelerator(cpu=True, dataloader_config=config)
        loader = torch.utils.data.DataLoader(torch.arange(40.0).reshape(20, 2), batch_size=4,
                                             shuffle=True)
        torch.manual_seed(seed)
        net = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.Dropout(0.5),
                                  torch.nn.Linear(8, 1))
        optimizer = torch.optim.AdamW(net.parameters(), lr=0.05)
        schedule = torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.5)
        torch.manual_seed(order)
        self.net, self.optimizer, self.schedule, self.loader = self.accelerator.prepare(
            net, optimizer, schedule, loader)
        self.tally = Tally(**registered)
        self.accelerator.register_for_checkpointing(self.tally)

    def train(self, done=0, after=lambda step: None):
        """From the step after `done` to the end."""
        for epoch in range(done // self.steps, EPOCHS):
            for batch in self._batches(epoch, done):
                loss = self.net(batch).square().mean()
                self.optimizer.zero_grad()
                self.accelerator.backward(loss)
                self.optimizer.step()
                self.schedule.step()
                self.tally.state["seen"] += len(batch)
                self.losses.append((batch.sum().item(), loss.item()))
                done += 1
                after(done)
        return self

    @property
    def steps(self):
        return -(-STEPS // self.accelerator.num_processes)

    def _batches(self, epoch, done):
        passed = done % self.steps if epoch == done // self.steps else 0
        if self.way == "skip" and passed:
            return skip_first_batches(self.loader, passed)
        if self.way == "skip":
            self.loader.set_epoch(epoch)
        return self.loader

    def told(self):
        return (self.losses, dict(self.net.state_dict()), self.optimizer.optimizer.state_dict(),
                self.schedule.state_dict(), self.tally.state)


def train_on_ranks(rank, size, path, step):
    """Undisturbed without a step, else from its tag."""
    be_rank(rank, size)
    if step is not None:
        run = Run(seed=2, order=6)
        run.train(load_state(run.accelerator, path, f"run/step-{step}"))
        return run.told()
    run = Run()
    run.train(after=lambda done: save_state(run.accelerator, path, f"run/step-{done}", step=done))
    return run.told()


class Accelerate(package.StoreTest):
    def saved(self, **choices):
        """An undisturbed run with a tag of each step."""
        run = Run(**choices)
        run.train(after=lambda done: save_state(run.accelerator, self.store, f"run/step-{done}",
                                                step=done, if_exists="replace"))
        return run

    def assert_goes_on(self, resumed, quiet, step):
        losses, *states = quiet.told()
        self.assertEqual(resumed.losses, losses[step:], step)
        self.assertTrue(are_equal(resumed.told()[1:], tuple(states)), step)

    def test_goes_on_exactly(self):
        for way in ("stateful", "skip"):
            quiet = self.saved(way=way)
            for step in (3, STEPS, STEPS + 2):
                resumed = Run(way, seed=2, order=6)
                done = load_state(resumed.accelerator, self.store, f"run/step-{step}")
                self.assertEqual(done, step)
                self.assert_goes_on(resumed.train(done), quiet, step)

    def test_weights_by_hooks(self):
        quiet, folder = Run("skip"), str(self.folder / f"files/step-{STEPS}")
        keep_weights_in_store(quiet.accelerator, self.store, "run")
        quiet.train(after=lambda done: done == STEPS and quiet.accelerator.save_state(folder))
        self.assertNotIn("model.safetensors", os.listdir(folder))
        self.assertEqual(self.store.load(f"run/step-{STEPS}").keys(), {"model_0"})
        resumed = Run("skip", seed=2)
        for handle in keep_weights_in_store(resumed.accelerator, self.store, "elsewhere"):
            handle.remove()
        keep_weights_in_store(resumed.accelerator, self.store, "run")
        resumed.accelerator.load_state(folder)
        self.assert_goes_on(resumed.train(STEPS), quiet, STEPS)

    def test_objects_that_need_a_pickle(self):
        run = Run(names={"a", "b"})
        with self.assertRaisesRegex(cairn.UsageError, "registered_0.names"):
            save_state(run.accelerator, self.store, "run/a")
        save_state(run.accelerator, self.store, "run/a", allow_pickle=True)
        other = Run()
        load_state(other.accelerator, self.store, "run/a", allow_pickle=True)
        self.assertEqual(other.tally.state["names"], {"a", "b"})

    def test_what_does_not_fit(self):
        run = Run()
        with self.assertRaises(cairn.NoStoreError):
            load_state(run.accelerator, self.folder / "nowhere", "run/a")
        with self.assertRaises(cairn.NotFoundError):
            load_state(run.accelerator, self.store, "run/a")
        self.store.save("run/a", {"w": torch.ones(3)})
        with self.assertRaisesRegex(cairn.UsageError, "not saved by this adapter"):
            load_state(run.accelerator, self.store, "run/a")
        save_state(run.accelerator, self.store, "run/b", metadata={"ranks": 3})
        with self.assertRaisesRegex(cairn.UsageError, "by 3 rank"):
            load_state(run.accelerator, self.store, "run/b")
        save_state(run.accelerator, self.store, "run/c")
        with self.assertRaises(cairn.ExistsError):
            save_state(run.accelerator, self.store, "run/c")
        run.accelerator.register_for_checkpointing(Tally())
        with self.assertRaisesRegex(cairn.UsageError, "registered_1"):
            load_state(run.accelerator, self.store, "run/c")
        emptier = Run()
        emptier.accelerator._dataloaders.clear()
        with self.assertRaisesRegex(cairn.UsageError, "dataloader_0"):
            load_state(emptier.accelerator, self.store, "run/c")
        wider = Run()
        wider.accelerator._models[0][0] = torch.nn.Linear(2, 9)
        with self.assertRaisesRegex(cairn.UsageError, "model_0.0.weight"):
            load_state(wider.accelerator, self.store, "run/c")

    def test_on_two_ranks(self):
        quiet = ranks.run(train_on_ranks, 2, self.store.path, None)
        for step in (2, 3):
            for own, resumed in zip(quiet, ranks.run(train_on_ranks, 2, self.store.path, step)):
                self.assertEqual(resumed[0], own[0][step:])
                self.assertTrue(are_equal(resumed[1:], own[1:]))
        self.assertNotEqual(quiet[0][0], quiet[1][0], "each rank has its own data")

    def test_as_printed(self):
        run = Run()
        names = {"accelerator": run.accelerator, "step": 7}
        exec(printed("accelerate", self.folder), names)
        self.assertEqual(names["step"], 7)


if __name__ == "__main__":
    unittest.main()
