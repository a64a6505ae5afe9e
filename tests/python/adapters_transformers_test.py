#!/usr/bin/env python3
"""Trainings by transformers.Trainer that go on from tags."""
import os
import tempfile
import unittest

import package

if __name__ == "__main__":
    package.enter("torch", "transformers", "accelerate")

import torch
from transformers import (GPT2Config, GPT2LMHeadModel, PrinterCallback, Trainer, TrainerCallback,
                          TrainingArguments)

import cairn
import ranks
from adapters import are_equal, be_rank, printed
from cairn.adapters.transformers import CairnCallback, export_folder

PREFIX = "run"


class Sentences(torch.utils.data.Dataset):
    def __len__(self):
        return 20

    def __getitem__(self, index):
        words = torch.randint(50, (8,), generator=torch.Generator().manual_seed(index))
        return {"input_ids": words, "labels": words}


class Killed(TrainerCallback):
    """Ends a training in the middle of a step, as an error does."""

    def __init__(self, at):
        self._at = at

    def on_pre_optimizer_step(self, args, state, control, **_):
        if state.global_step == self._at:
            raise InterruptedError


def arguments(folder, **changes):
    """Five steps an epoch, three epochs."""
    given = {"output_dir": str(folder), "per_device_train_batch_size": 2, "num_train_epochs": 3,
             "gradient_accumulation_steps": 2, "logging_steps": 1, "save_steps": 2, "use_cpu": True,
             "report_to": [], "disable_tqdm": True, "log_level": "error", **changes}
    return TrainingArguments(**given)


def trainer_of(folder, *callbacks, seed=3, **changes):
    torch.manual_seed(seed)
    # With dropout, so that random numbers matter.
    model = GPT2LMHeadModel(GPT2Config(vocab_size=50, n_positions=8, n_embd=16, n_layer=1, n_head=2,
                                       bos_token_id=0, eos_token_id=1))
    trainer = Trainer(model=model, args=arguments(folder, **changes), train_dataset=Sentences(),
                      callbacks=list(callbacks), eval_dataset=Sentences())
    trainer.remove_callback(PrinterCallback)
    return trainer


def told(trainer):
    """Losses, norms and rates of each step, and all weights."""
    facts = [{key: value for key, value in row.items() if key in ("step", "loss", "grad_norm",
                                                                  "learning_rate", "eval_loss")}
             for row in trainer.state.log_history if "train_runtime" not in row]
    return facts, {name: value.detach().clone()
                   for name, value in trainer.model.state_dict().items()}


def train_on_ranks(rank, size, store, folder, step):
    """Undisturbed without a step, else from its tag."""
    be_rank(rank, size)
    saves = CairnCallback(store, prefix=PREFIX)
    trainer = trainer_of(folder, saves, seed=3 if step is None else 4)
    start = None if step is None else saves.folder_of(trainer, f"{PREFIX}/step-{step}")
    trainer.train(resume_from_checkpoint=start)
    return told(trainer)


class Transformers(package.StoreTest):
    @classmethod
    def setUpClass(cls):
        with tempfile.TemporaryDirectory() as folder:
            quiet = trainer_of(folder, save_strategy="no")
            quiet.train()
        cls.undisturbed = told(quiet)

    def resumed(self, tag=None, **changes):
        """A training with another beginning that goes on from a tag, or the newest."""
        saves = CairnCallback(self.store, prefix=PREFIX)
        trainer = trainer_of(self.folder / "resumed", saves, seed=4, **changes)
        folder = saves.folder_of(trainer, tag) if tag else saves.folder_of_newest(trainer)
        self.assertTrue(os.path.isdir(folder))
        trainer.train(resume_from_checkpoint=folder)
        self.assertFalse(os.path.exists(folder), "the first step takes it away")
        return told(trainer)

    def test_goes_on_exactly(self):
        for is_async in (True, False):
            saves = CairnCallback(self.store, prefix=PREFIX, async_save=is_async)
            trainer = trainer_of(self.folder / "first", saves)
            trainer.train(resume_from_checkpoint=saves.folder_of_newest(trainer)
                          if is_async else None)
            self.assertTrue(are_equal(told(trainer), self.undisturbed), "saves change nothing")
            self.assertEqual(os.listdir(self.folder / "first"), [], "no folder of the Trainer's")
            self.assertEqual({tag.step for tag in self.store.tags()},
                             {2, 4, 6, 8, 10, 12, 14, 15})
        for step in (2, 10):  # in the middle of an epoch, and between two
            resumed = self.resumed(f"{PREFIX}/step-{step}")
            self.assertTrue(are_equal(resumed, self.undisturbed), step)

    def test_each_epoch(self):
        saves = CairnCallback(self.store, prefix=PREFIX)
        trainer_of(self.folder / "first", saves, save_strategy="epoch").train()
        self.assertEqual({tag.step for tag in self.store.tags()}, {5, 10, 15})
        changed = self.resumed(f"{PREFIX}/step-5", save_strategy="epoch")
        self.assertTrue(are_equal(changed, self.undisturbed))

    def test_after_an_error(self):
        saves = CairnCallback(self.store, prefix=PREFIX)
        with self.assertRaises(InterruptedError):
            trainer_of(self.folder / "first", saves, Killed(at=7)).train()
        self.assertTrue(are_equal(self.resumed(), self.undisturbed))
        self.assertEqual(self.store.tags()[0].step, 15)

    def test_beside_folders(self):
        changes = {"load_best_model_at_end": True, "eval_strategy": "steps", "eval_steps": 2}
        with self.assertRaisesRegex(cairn.UsageError, "folders=True"):
            trainer_of(self.folder, CairnCallback(self.store, prefix=PREFIX), **changes).train()
        saves = CairnCallback(self.store, prefix=PREFIX, folders=True)
        trainer_of(self.folder / "both", saves, **changes).train()
        self.assertIn("checkpoint-4", os.listdir(self.folder / "both"))
        trainer = trainer_of(self.folder / "again", CairnCallback(self.store, prefix=PREFIX))
        trainer.train(resume_from_checkpoint=str(self.folder / "both/checkpoint-4"))
        self.assertTrue(are_equal(self.resumed(f"{PREFIX}/step-4")[1], told(trainer)[1]))

    def test_what_is_kept(self):
        self.store.save("other/step-1", {"w": torch.ones(3)})
        saves = CairnCallback(self.store, prefix=PREFIX, keep_last=2)
        trainer_of(self.folder / "first", saves).train()
        self.assertEqual([tag.tag for tag in self.store.tags()],
                         [f"{PREFIX}/step-15", f"{PREFIX}/step-14", "other/step-1"])

    def test_as_a_model_of_the_hub(self):
        saves = CairnCallback(self.store, prefix=PREFIX)
        trainer_of(self.folder / "first", saves).train()
        export_folder(self.store, f"{PREFIX}/step-15", self.folder / "model")
        model = GPT2LMHeadModel.from_pretrained(self.folder / "model")
        self.assertTrue(are_equal(dict(model.state_dict()), self.undisturbed[1]))

    def test_what_does_not_fit(self):
        saves = CairnCallback(self.store, prefix=PREFIX)
        trainer = trainer_of(self.folder, saves)
        self.assertIsNone(saves.folder_of_newest(trainer))
        with self.assertRaises(cairn.NotFoundError):
            saves.folder_of(trainer, "run/step-3")
        self.store.save("run/step-3", {"w": torch.ones(3)})
        with self.assertRaisesRegex(cairn.UsageError, "not saved by this adapter"):
            saves.folder_of_newest(trainer)
        self.store.save("run/step-4", {"w": torch.ones(3)}, metadata={"ranks": 8})
        with self.assertRaisesRegex(cairn.UsageError, "by 8 rank"):
            saves.folder_of_newest(trainer)
        for prefix, keep in (("a b", None), (PREFIX, 0)):
            with self.assertRaises(cairn.UsageError):
                CairnCallback(self.store, prefix=prefix, keep_last=keep)

    def test_on_two_ranks(self):
        quiet = ranks.run(train_on_ranks, 2, self.store.path, self.folder / "quiet", None)
        resumed = ranks.run(train_on_ranks, 2, self.store.path, self.folder / "resumed", 4)
        self.assertTrue(are_equal(quiet, resumed))
        with self.assertRaisesRegex(cairn.UsageError, "by 2 rank"):
            self.resumed()

    def test_as_printed(self):
        names = {"model": trainer_of(self.folder).model, "dataset": Sentences(),
                 "args": arguments(self.folder / "printed")}
        for _ in range(2):
            exec(printed("transformers", self.folder), names)
        self.assertTrue(cairn.Store(self.folder / "store").tags("run7/*"))


if __name__ == "__main__":
    unittest.main()
