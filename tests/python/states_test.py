#!/usr/bin/env python3
"""What loads put into a caller's state, and what they refuse to."""
import enum
import unittest

import package

if __name__ == "__main__":
    package.enter("torch")

import numpy as np
import torch

import cairn
from cairn import _program
from cairn._checkpoint import Checkpoint
from cairn.torch import AsyncSaver


class Word(str, enum.Enum):
    A = "a"
    B = "b"


class Number(enum.IntEnum):
    ONE = 1


def trained(steps, lr=1e-3):
    torch.manual_seed(5)
    model = torch.nn.Linear(8, 8)
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, betas=(0.8, 0.99))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.01, total_steps=20)
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.ones(2, 8)).sum().backward()
        optimizer.step()
        schedule.step()
    return model, optimizer, schedule


def state_of(model, optimizer, schedule):
    return {"model": model.state_dict(), "optimizer": optimizer.state_dict(),
            "schedule": schedule.state_dict(), "step": schedule.last_epoch}


class Values(package.StoreTest):
    def test_the_rate_and_the_schedule_come_back(self):
        saved = trained(6)
        self.store.save("run/6", state_of(*saved))
        model, optimizer, schedule = trained(2, lr=0.5)
        state = self.store.load("run/6", into=state_of(model, optimizer, schedule))
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        self.assertEqual(state["step"], 6)
        self.assertEqual(optimizer.param_groups[0]["lr"], saved[1].param_groups[0]["lr"])
        self.assertEqual(optimizer.param_groups[0]["betas"], saved[1].param_groups[0]["betas"])
        self.assertEqual(schedule.state_dict(), saved[2].state_dict())
        for mine, theirs in zip(model.parameters(), saved[0].parameters()):
            self.assertTrue(torch.equal(mine, theirs))

    def test_into_an_optimizer_and_a_schedule(self):
        saved = trained(6)
        self.store.save("o", saved[1].state_dict())
        self.store.save("s", saved[2].state_dict())
        _, optimizer, schedule = trained(2, lr=0.5)
        self.store.load("o", into=optimizer)
        self.store.load("s", into=schedule)
        self.assertEqual(optimizer.param_groups[0]["lr"], saved[1].param_groups[0]["lr"])
        self.assertTrue(torch.equal(optimizer.state_dict()["state"][0]["exp_avg"],
                                    saved[1].state_dict()["state"][0]["exp_avg"]))
        self.assertEqual(schedule.last_epoch, 6)

    def test_an_optimizer_that_has_not_stepped(self):
        model = torch.nn.Linear(3, 2)
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.3)
        model(torch.ones(3)).sum().backward()
        optimizer.step()
        saved = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
        self.store.save("a", saved)
        self.store.save("b", optimizer.state_dict())
        fresh = torch.nn.Linear(3, 2)
        other = torch.optim.AdamW(fresh.parameters())
        state = {"model": fresh.state_dict(), "optimizer": other.state_dict()}
        self.assertIs(self.store.load("a", into=state), state)
        other.load_state_dict(state["optimizer"])
        third = torch.optim.AdamW(torch.nn.Linear(3, 2).parameters())
        self.store.load("b", into=third)
        for each in (other, third):
            loaded = each.state_dict()
            self.assertEqual(loaded["param_groups"], saved["optimizer"]["param_groups"])
            for number, moments in saved["optimizer"]["state"].items():
                for name, value in moments.items():
                    self.assertTrue(torch.equal(loaded["state"][number][name], value))
        state = {"model": {"w": torch.ones(1)}, "optimizer": torch.optim.AdamW(fresh.parameters()).state_dict()}
        with self.assertRaises(cairn.UsageError):  # the model does not fit, and nothing has grown
            self.store.load("a", into=state)
        self.assertEqual(state["optimizer"]["state"], {})
        with self.assertRaises(cairn.UsageError):
            self.store.load("a", into={})

    def test_tuples_are_made_anew_and_lists_filled(self):
        self.store.save("a", {"w": torch.ones(2), "t": (1, (2, 3)), "l": [4, {"x": 5}]})
        into = {"w": torch.zeros(2), "t": (0, (0, 0)), "l": [0, {"x": 0}]}
        inner = into["l"][1]
        state = self.store.load("a", into=into)
        self.assertIs(state, into)
        self.assertEqual((state["t"], state["l"]), ((1, (2, 3)), [4, {"x": 5}]))
        self.assertIs(state["l"][1], inner)

    def test_values_that_the_tag_lacks(self):
        self.store.save("a", {"w": torch.ones(2), "n": 1})
        with self.assertRaisesRegex(cairn.UsageError, "'epoch' is not in the tag"):
            self.store.load("a", into={"w": torch.zeros(2), "epoch": 3})
        into = {"w": torch.zeros(2), "epoch": 3, "n": 0}
        self.store.load("a", into=into, strict=False)
        self.assertEqual((into["epoch"], into["n"]), (3, 1))
        into = {"w": torch.zeros(2), "n": 0}
        self.store.load("a", into=into, tensors="w")
        self.assertEqual(into["n"], 0, "who chooses tensors wants no values")

    def test_objects_only_where_allowed(self):
        self.store.save("a", {"w": torch.ones(2), "odd": {1, 2}}, allow_pickle=True)
        into = {"w": torch.zeros(2), "odd": None}
        with self.assertRaisesRegex(cairn.UsageError, "allow_pickle"):
            self.store.load("a", into=into)
        self.store.load("a", into=into, allow_pickle=True)
        self.assertEqual(into["odd"], {1, 2})

    def test_an_extra_state(self):
        class Counts(torch.nn.Linear):
            seen = 0

            def get_extra_state(self):
                return {"seen": self.seen}

            def set_extra_state(self, state):
                self.seen = state["seen"]

        saved, loaded = Counts(2, 2), Counts(2, 2)
        saved.seen = 7
        self.store.save("a", saved.state_dict())
        self.store.load("a", into=loaded)
        self.assertEqual(loaded.seen, 7)
        self.assertTrue(torch.equal(loaded.weight, saved.weight))

    def test_objects_that_look_like_dicts(self):
        class Settings:
            items = ["not", "a", "call"]

        self.store.save("a", {"w": torch.ones(2)})
        into = {"w": torch.zeros(2), "settings": Settings()}
        self.store.load("a", into=into, strict=False)
        self.assertEqual(into["w"].sum(), 2)
        self.assertIsInstance(into["settings"], Settings)

    def test_keys_that_are_enums(self):
        self.store.save("a", {Word.A: torch.ones(2), "m": {Word.B: 7, Number.ONE: torch.ones(1)}})
        state = self.store.load("a")
        self.assertEqual((state["a"].sum(), state["m"]["b"], state["m"][1].sum()), (2, 7, 1))
        into = {Word.A: torch.zeros(2), "m": {Word.B: 0, Number.ONE: torch.zeros(1)}}
        self.store.load("a", into=into)
        self.assertEqual((into["a"].sum(), into["m"][Word.B], into["m"][1].sum()), (2, 7, 1))


class SharedMemory(package.StoreTest):
    def test_tied_here_and_not_in_the_tag(self):
        self.store.save("same", {"a": torch.ones(3), "b": torch.ones(3)})
        self.store.save("other", {"a": torch.ones(3), "b": torch.zeros(3)})
        for strict in (True, False):
            tied = torch.zeros(3)
            self.store.load("same", into={"a": tied, "b": tied}, strict=strict)
            self.assertEqual(tied.sum(), 3)
            with self.assertRaisesRegex(cairn.UsageError, "'b' shares memory"):
                self.store.load("other", into={"a": tied, "b": tied}, strict=strict)

    def test_tied_here_and_under_one_name_in_the_tag(self):
        for name in ("a", "b"):
            self.store.save(name, {name: torch.ones(3)})
            tied = torch.zeros(3)
            self.store.load(name, into={"a": tied, "b": tied})
            self.assertEqual(tied.sum(), 3)

    def test_large_views_of_a_buffer(self):
        """In chunks that are decoded by several threads."""
        buffer = torch.randn(3 << 20)
        self.store.save("a", {"all": buffer, "tail": buffer[1 << 20:]})
        for _ in range(5):
            room = torch.zeros(3 << 20)
            self.store.load("a", into={"all": room, "tail": room[1 << 20:]})
            self.assertTrue(torch.equal(room, buffer))

    def test_views_of_a_buffer(self):
        buffer = torch.arange(6.0)
        self.store.save("a", {"all": buffer, "head": buffer[:2], "tail": buffer[2:]})
        room = torch.zeros(6)
        self.store.load("a", into={"all": room, "head": room[:2], "tail": room[2:]})
        self.assertTrue(torch.equal(room, buffer))
        self.store.save("b", {"all": buffer, "head": torch.ones(2), "tail": buffer[2:].clone()})
        with self.assertRaisesRegex(cairn.UsageError, "shares memory"):
            self.store.load("b", into={"all": room, "head": room[:2], "tail": room[2:]})
        columns = torch.zeros(4, 2)
        self.store.save("c", {"l": torch.ones(4), "r": torch.full((4,), 2.0)})
        self.store.load("c", into={"l": columns[:, 0], "r": columns[:, 1]})
        self.assertTrue(torch.equal(columns, torch.tensor([[1.0, 2.0]] * 4)))

    def test_arrays_too(self):
        self.store.save("a", {"x": np.arange(4), "y": np.arange(4) + 5})
        room = np.zeros(5, dtype=np.int64)
        self.store.load("a", into={"x": room[:4], "y": np.zeros(4, dtype=np.int64)})
        self.assertEqual(room.tolist(), [0, 1, 2, 3, 0])
        with self.assertRaisesRegex(cairn.UsageError, "shares memory"):
            self.store.load("a", into={"x": room[:4], "y": room[1:]})


class Messages(package.StoreTest):
    def test_they_are_short_and_know_prefixes(self):
        weights = {f"layers.{number}.w": torch.ones(1) for number in range(500)}
        self.store.save("a", weights)
        wrapped = {f"module.{name}": torch.zeros(1) for name in weights}
        with self.assertRaises(cairn.UsageError) as raised:
            self.store.load("a", into=wrapped)
        self.assertLess(len(str(raised.exception)), 1000)
        self.assertIn("and 992 more", raised.exception.message)
        self.assertIn("rename={'^': 'module.'}", raised.exception.hint)
        self.store.load("a", into=wrapped, rename={"^": "module."})
        self.assertEqual(wrapped["module.layers.7.w"], 1)
        self.store.save("b", wrapped)
        with self.assertRaises(cairn.UsageError) as raised:
            self.store.load("b", into=weights)
        rename = eval(raised.exception.hint.split("=")[1].split(" makes")[0])
        self.store.load("b", into=weights, rename=rename)

    def test_strict_is_named_where_it_helps(self):
        self.store.save("a", {"w": torch.ones(2, 3)})
        with self.assertRaises(cairn.UsageError) as raised:
            self.store.load("a", into={"w": torch.zeros(3, 2)})
        self.assertEqual(raised.exception.hint, "")
        with self.assertRaises(cairn.UsageError) as raised:
            self.store.load("a", into={"w": torch.zeros(2, 3), "v": torch.zeros(1)})
        self.assertIn("strict=False", raised.exception.hint)

    def test_arguments_of_wrong_types(self):
        state = {"w": torch.ones(1)}
        self.store.save("a", state)
        for call in (lambda: self.store.save("b", state, if_exists=True),
                     lambda: self.store.save("b", state, effort=9),
                     lambda: self.store.save("b", state, roles="automatic"),
                     lambda: self.store.save("b", state, step="7"),
                     lambda: self.store.save(7, state),
                     lambda: self.store.save("b", torch.nn.Linear(1, 1)),
                     lambda: self.store.save("b", state, metadata={"note": "a\0b"}),
                     lambda: self.store.save("b", {"m": np.ma.masked_array([1, 2], [0, 1])}),
                     lambda: self.store.save("b", {"t": np.datetime64("2026-01-01")}),
                     lambda: self.store.load("a", rename="w=x"),
                     lambda: self.store.load("a", map_location={"cpu": "meta"}),
                     lambda: self.store.load("a", into=state, map_location="cpu"),
                     lambda: self.store.load("a\0b"),
                     lambda: self.store.load(["a"]),
                     lambda: self.store.forget(["a"]),
                     lambda: self.store.forget(kep_last=1)):
            with self.subTest(call), self.assertRaises(cairn.UsageError):
                call()
        for pattern in ("--keep-last=1", "--help"):
            with self.assertRaises(cairn.Error):
                self.store.forget(pattern)
            self.assertEqual(self.store.tags(pattern), [])
        self.assertEqual([tag.tag for tag in self.store.tags()], ["a"])

    def test_tags_are_given_as_they_come(self):
        self.store.save("a", {"w": torch.ones(1)}, step=torch.tensor(3))
        self.store.save("b", {"w": torch.ones(1)}, step=np.int64(4),
                        metadata={"loss": float("nan"), "rate": torch.tensor(0.5), "n": np.int32(3)})
        newest, first = self.store.tags()
        self.assertEqual((newest.step, first.step), (4, 3))
        self.assertEqual((newest.metadata["loss"], newest.metadata["rate"], newest.metadata["n"]),
                         ("nan", "0.5", "3"))
        self.assertEqual(self.store.load(newest)["w"], 1)
        self.assertEqual(self.store.diff(first, newest)["changed"], [])
        self.store.forget(first)
        self.assertEqual([tag.tag for tag in self.store.tags()], ["b"])

    def test_damage_is_told(self):
        for name, text in (("cairn_structure.json", b"{"), ("cairn_values.json", b"{}"),
                           ("cairn_structure.json", b'{"dict": [["n", "no-leaf"]]}')):
            self.store.save("a", {"w": torch.ones(1), "n": 3}, if_exists="replace")
            file = self.folder / "a.safetensors"
            self.store_program("export", "a", str(file))
            attached = self.folder / name
            attached.write_bytes(text)
            other = "cairn_values.json" if "structure" in name else "cairn_structure.json"
            whole = self.folder / other
            whole.write_bytes(Checkpoint(self.store, "a").attachment(other))
            attach = [f"{each.name}={each}" for each in (attached, whole)]
            _program.run(self.store.path, "import", "damaged", str(file),
                         flags={"if_exists": "replace", "attach": attach})
            file.unlink()
            with self.assertRaisesRegex(cairn.CorruptError, "structure of the state"):
                self.store.load("damaged")


class Modes(package.StoreTest):
    def test_another_default_device(self):
        self.store.save("a", {"w": torch.ones(3), "n": 1})
        with torch.device("meta"):
            loaded = self.store.load("a")
            into = {"w": torch.zeros(3, dtype=torch.float64, device="cpu"), "n": 0}
            self.store.load("a", into=into, dtype=torch.float64)
            with AsyncSaver(self.store) as saver:
                saver.save("b", loaded)
        self.assertTrue(torch.equal(loaded["w"], torch.ones(3)))
        self.assertEqual(into["w"].sum(), 3)
        self.assertEqual(self.store.load("b")["w"].sum(), 3)

    def test_inference_mode(self):
        state = {"small": torch.ones(3), "large": torch.ones(1 << 18)}
        with AsyncSaver(self.store) as saver:
            for number in range(4):
                with torch.inference_mode(number % 2 == 0):
                    saver.save(f"run/{number}", state)
        self.assertEqual(len(self.store.tags()), 4)
        self.assertEqual(self.store.load("run/3")["large"].sum(), 1 << 18)


if __name__ == "__main__":
    unittest.main()
