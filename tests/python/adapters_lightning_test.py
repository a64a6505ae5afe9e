#!/usr/bin/env python3
"""Trainings by lightning.pytorch that go on from tags."""
import logging
import os
import subprocess
import sys
import unittest
import warnings

import package

if __name__ == "__main__":
    package.enter("torch", "lightning", "torchdata")

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from torch import distributed
from torch.utils.data import DataLoader, DistributedSampler
from torchdata.stateful_dataloader import StatefulDataLoader

import cairn
import ranks
from adapters import are_equal, be_rank, printed
from cairn.adapters.lightning import CairnCheckpointIO, RandomNumbers

EPOCHS, STEPS = 3, 5  # of each epoch, on one rank
QUIET = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False,
         "accelerator": "cpu"}


class Net(LightningModule):
    def __init__(self, width=8, stop_before=None):
        super().__init__()
        self.save_hyperparameters()
        self.layers = torch.nn.Sequential(torch.nn.Linear(2, width), torch.nn.Dropout(0.5),
                                          torch.nn.Linear(width, 1))
        self.losses = {}

    def training_step(self, batch, _):
        if self.global_step == self.hparams.stop_before:
            raise InterruptedError
        loss = self.layers(batch).square().mean()
        self.losses[self.global_step] = (batch.sum().item(), loss.item())
        self.log("loss", loss)
        return loss

    def configure_optimizers(self):
        optimizer = torch.optim.AdamW(self.parameters(), lr=0.05)
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)]


def loader_of(kind=StatefulDataLoader):
    data = torch.arange(40.0).reshape(20, 2)
    if distributed.is_initialized():  # Lightning's own sampler draws a new order within an epoch
        return kind(data, batch_size=4, sampler=DistributedSampler(data))
    return kind(data, batch_size=4, shuffle=True)


def fit(io, folder, start=None, seed=1, stop_before=None, strategy="auto", data=StatefulDataLoader,
        **choices):
    """A training with its checkpoints at each step; its losses, weights and moments."""
    torch.manual_seed(seed)
    net = Net(stop_before=stop_before)
    saved = ModelCheckpoint(folder, **{"every_n_train_steps": 1, "save_top_k": -1,
                                       "filename": "{step}", **choices})
    trainer = Trainer(max_epochs=EPOCHS, plugins=[io], callbacks=[saved, RandomNumbers()],
                      strategy=strategy, devices=int(os.environ.get("WORLD_SIZE", 1)), **QUIET)
    trainer.fit(net, loader_of(data), ckpt_path=start)
    moments = [optimizer.state_dict() for optimizer in trainer.optimizers]
    return net.losses, dict(net.state_dict()), moments


def train_on_ranks(rank, size, path, folder, start):
    be_rank(rank, size)
    return fit(CairnCheckpointIO(path), folder, start, seed=1 if start is None else 2,
               strategy="ddp")


class Lightning(package.StoreTest):
    def setUp(self):
        super().setUp()
        warnings.simplefilter("ignore")
        logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
        self.run = self.folder / "run"
        self.io = CairnCheckpointIO(self.store, root=self.folder)

    def assert_goes_on(self, resumed, quiet, step):
        self.assertEqual(resumed[0], {at: loss for at, loss in quiet[0].items() if at >= step})
        self.assertTrue(are_equal(resumed[1:], quiet[1:]), step)

    def test_goes_on_exactly(self):
        for is_async in (True, False):
            io = CairnCheckpointIO(self.store, root=self.folder, async_save=is_async)
            quiet = fit(io, self.run)
            self.assertFalse(self.run.exists() and os.listdir(self.run), "no files")
            for step in (3, STEPS + 2):
                resumed = fit(io, self.folder / "again", self.run / f"step={step}.ckpt", seed=2)
                self.assert_goes_on(resumed, quiet, step)

    def test_each_epoch(self):
        changes = {"every_n_train_steps": None, "every_n_epochs": 1,
                   "data": DataLoader}
        quiet = fit(self.io, self.run, **changes)
        self.assertEqual({tag.step for tag in self.store.tags()}, {5, 10, 15})
        resumed = fit(self.io, self.run, self.run / "step=5.ckpt", seed=2, **changes)
        self.assert_goes_on(resumed, quiet, 5)

    def test_after_an_error(self):
        self.assertIsNone(self.io.newest(self.run))
        quiet = fit(self.io, self.folder / "quiet")
        with self.assertRaises(InterruptedError):
            fit(self.io, self.run, stop_before=7)
        resumed = fit(self.io, self.run, self.io.newest(self.run), seed=2)
        self.assert_goes_on(resumed, quiet, 7)

    def test_the_best_and_the_last(self):
        for is_async in (True, False):
            io = CairnCheckpointIO(self.store, root=self.folder, async_save=is_async)
            losses, *_ = fit(io, self.run, save_top_k=2, monitor="loss", save_last=True)
            best = sorted(losses, key=lambda step: losses[step][1])[:2]
            self.assertEqual({tag.tag for tag in self.store.tags()},
                             {f"run/step={step + 1}" for step in best} | {"run/last"})
            self.assertEqual(self.store.load("run/last")["global_step"], EPOCHS * STEPS)
            self.assertLess(self.store.gc()["freed_bytes"], 1 << 16, "removal gave space back")
            for tag in self.store.tags():
                self.store.forget(tag, allow_newest=True)

    def test_names(self):
        for path, tag in ((self.run / "a=1.5.ckpt", "run/a=1.5"), ("run7/last.ckpt", "run7/last"),
                          ("run7/step-3", "run7/step-3"), ("/elsewhere/b.ckpt", "elsewhere/b")):
            self.assertEqual(self.io.tag_of(path), tag)

    def test_removed(self):
        self.store.save("run/a", {"w": torch.ones(3)}, pin=True)
        self.io.remove_checkpoint(self.run / "a.ckpt")
        self.io.remove_checkpoint(self.run / "never.ckpt")
        self.assertEqual(len(self.store.tags()), 1, "what is pinned stays")

    def test_objects_that_need_a_pickle(self):
        class Odd(Callback):
            state_key = "odd"

            def state_dict(self):
                return {"seen": {1, 2}}

        for io in (self.io, CairnCheckpointIO(self.store, root=self.folder, allow_pickle=True)):
            trainer = Trainer(max_steps=1, plugins=[io], callbacks=[Odd()],
                              enable_checkpointing=False, **QUIET)
            trainer.fit(Net(), loader_of())
            if io is self.io:
                with self.assertRaisesRegex(cairn.UsageError, "callbacks.*seen"):
                    trainer.save_checkpoint(self.run / "a.ckpt")
        trainer.save_checkpoint(self.run / "a.ckpt")
        io.teardown()
        self.assertEqual(io.load_checkpoint("run/a")["callbacks"]["odd"], {"seen": {1, 2}})
        with self.assertRaisesRegex(cairn.UsageError, "as a pickle"):
            io.load_checkpoint("run/a", weights_only=True)

    def test_what_does_not_fit(self):
        with self.assertRaises(cairn.NotFoundError):
            fit(self.io, self.run, self.run / "never.ckpt")
        with self.assertRaisesRegex(cairn.UsageError, "malformed"):
            fit(self.io, self.run, filename="a b")
        with self.assertRaisesRegex(cairn.UsageError, "storage_options"):
            self.io.save_checkpoint({}, "a", storage_options={})

    def test_on_two_ranks(self):
        quiet = ranks.run(train_on_ranks, 2, self.store.path, self.run, None)
        start = CairnCheckpointIO(self.store).tag_of(self.run / "step=2")
        again = ranks.run(train_on_ranks, 2, self.store.path, self.run, start)
        for own, resumed in zip(quiet, again):
            self.assert_goes_on(resumed, own, 2)
        with self.assertRaisesRegex(cairn.UsageError, "of 2 rank"):
            fit(self.io, self.run, start)

    def test_the_other_package(self):
        code = ("import sys; sys.path[:0] = {!r}; import pytorch_lightning as pl;"
                "from cairn.adapters.lightning import CairnCheckpointIO, RandomNumbers;"
                "io = CairnCheckpointIO(sys.argv[1]);"
                "pl.Trainer(plugins=[io], callbacks=[RandomNumbers()], logger=False,"
                " enable_progress_bar=False).strategy.checkpoint_io is io or sys.exit(3);"
                "'lightning.pytorch' in sys.modules and sys.exit(4)").format(sys.path)
        subprocess.run([sys.executable, "-W", "ignore", "-c", code, self.store.path], check=True,
                       timeout=120, capture_output=True)

    def test_as_printed(self):
        for _ in range(2):
            names = {"model": Net(), "loader": loader_of(), "options": QUIET}
            exec(printed("lightning", self.folder), names)
        kept = cairn.Store(self.folder / "store").tags()
        self.assertEqual({tag.tag for tag in kept}, {"run7/epoch=1-step=8", "run7/epoch=1-step=10"})


if __name__ == "__main__":
    unittest.main()
