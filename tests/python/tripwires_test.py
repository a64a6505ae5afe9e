#!/usr/bin/env python3
"""Saves of states that are not what was trained: old copies, replicas that drifted apart."""
import json
import random
import unittest
import warnings

import package

if __name__ == "__main__":
    package.enter("torch")

import ranks
import torch
from torch import distributed
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import Replicate, Shard, distribute_tensor

import cairn
from cairn.torch import AsyncSaver, _tripwires, roles_of


def warned(call):
    """(what the call returned, the texts of its StateWarnings)."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = call()
    return result, [str(each.message) for each in caught
                    if issubclass(each.category, cairn.StateWarning)]


class Trained:
    """A small run, whose state can be copied at any moment."""

    def __init__(self, dtype=torch.float32):
        torch.manual_seed(2)
        self.model = torch.nn.Sequential(torch.nn.Linear(20, 30), torch.nn.Linear(30, 5)).to(dtype)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-2)

    def step(self):
        self.optimizer.zero_grad()
        inputs = torch.randn(8, 20).to(self.model[0].weight.dtype)
        self.model(inputs).square().sum().backward()
        self.optimizer.step()
        return self

    def model_state(self):
        return {name: value.clone() for name, value in self.model.state_dict().items()}

    def state(self, model=None):
        return {"model": model or self.model.state_dict(), "optimizer": self.optimizer.state_dict()}


class OldCopies(package.StoreTest):
    def setUp(self):
        super().setUp()
        self.run_ = Trained().step()
        self.save(1, self.run_.state())

    def save(self, step, state, **options):
        result, texts = warned(lambda: self.store.save(f"run/{step}", state, step=step, **options))
        self.assertEqual(len(result["warnings"]), len(texts))
        kept = self.store.show(f"run/{step}")["metadata"].get("cairn.warnings", "[]")
        self.assertEqual(json.loads(kept), result["warnings"])
        return texts

    def test_training_is_saved_in_silence(self):
        for step in range(2, 6):
            self.assertEqual(self.save(step, self.run_.step().state()), [])

    def test_a_checkpoint_of_old_weights(self):
        old = self.run_.model_state()
        self.run_.step()
        texts = self.save(2, self.run_.state(old))
        self.assertEqual(len(texts), 1)
        self.assertRegex(texts[0], "'run/2': .* no weight that it steps does")

    def test_a_repeated_checkpoint(self):
        texts = self.save(11, self.run_.state())
        self.assertEqual(len(texts), 1)
        self.assertRegex(texts[0], "step went from 1 to 11, but no weight and no moment differs")

    def test_old_moments_beside_new_weights(self):
        old = {"state": {number: {key: value.clone() for key, value in kept.items()}
                         for number, kept in self.run_.optimizer.state_dict()["state"].items()},
               "param_groups": self.run_.optimizer.state_dict()["param_groups"]}
        self.run_.step()
        texts = self.save(2, {"model": self.run_.model.state_dict(), "optimizer": old})
        self.assertRegex(texts[0], "no moment does")

    def test_a_rate_of_zero_moves_moments_alone(self):
        roles = roles_of(self.run_.model, self.run_.optimizer)
        self.run_.optimizer.param_groups[0]["lr"] = 0.0
        self.assertEqual(self.save(2, self.run_.step().state(), roles=roles), [])

    def test_narrow_weights_that_round_to_what_they_were(self):
        run = Trained()
        masters = run.model_state()
        narrow = {name: value.bfloat16() for name, value in masters.items()}
        kept = run.step().optimizer.state_dict()
        self.store.save("b/1", {"model": narrow, "master": masters, "optimizer": kept}, step=1)
        masters = {name: value * (1 + 1e-7) for name, value in masters.items()}
        kept = run.step().optimizer.state_dict()
        _, texts = warned(lambda: self.store.save(
            "b/2", {"model": narrow, "master": masters, "optimizer": kept}, step=2))
        self.assertEqual(texts, [])

    def test_warnings_may_be_errors_and_lose_nothing(self):
        with warnings.catch_warnings():
            warnings.simplefilter("error", cairn.StateWarning)
            with self.assertLogs("cairn", "WARNING") as logged:  # the tag is there: no error
                saved = self.store.save("run/11", self.run_.state(), step=11)
        self.assertIn(saved["warnings"][0], logged.output[0])
        self.assertEqual(self.store.load("run/11")["model"].keys(),
                         self.run_.model.state_dict().keys())

    def test_asynchronous_saves_tell_it_too(self):
        with AsyncSaver(self.store, model=self.run_.model, optimizer=self.run_.optimizer) as saver:
            self.run_.step()
            first = saver.save("a/1", self.run_.state(), step=1).result()
            again, texts = warned(lambda: saver.save("a/2", self.run_.state(), step=2).result())
        self.assertEqual(first["warnings"], [])
        self.assertEqual(len(again["warnings"]), 1)
        self.assertEqual(len(texts), 1)


class Seals(unittest.TestCase):
    def tensors(self):
        torch.manual_seed(4)
        return {"flat": torch.randn(100_003), "rows": torch.randn(70, 900),
                "turned": torch.randn(900, 70).t(), "small": torch.arange(7),
                "half": torch.randn(50, 900).bfloat16(), "empty": torch.empty(0, 3),
                "scalar": torch.tensor(2.5)}

    def only(self, tensors, turn=0, choice="sampled"):
        made = _tripwires.seals(tensors, turn, choice)
        self.assertEqual(len(made), 1)
        return next(iter(made.values()))

    def test_equal_tensors_have_equal_seals_whatever_their_strides(self):
        tensors = self.tensors()
        copies = {name: value.contiguous().clone() for name, value in tensors.items()}
        for choice in ("sampled", "all"):
            for turn in range(20):
                self.assertEqual(self.only(tensors, turn, choice), self.only(copies, turn, choice))

    def test_one_bit_is_seen_at_once_or_when_its_turn_comes(self):
        tensors, pick = self.tensors(), random.Random(5)
        for name in ("flat", "rows", "turned", "half"):
            changed = {key: value.clone() for key, value in tensors.items()}
            where = tuple(pick.randrange(length) for length in changed[name].shape)
            bits = changed[name].view(torch.int16 if name == "half" else torch.int32)
            bits[where] ^= 1
            self.assertNotEqual(self.only(changed, 0, "all"), self.only(tensors, 0, "all"))
            seen = [self.only(changed, turn) != self.only(tensors, turn) for turn in range(200)]
            self.assertIn(True, seen, name)

    def test_what_lies_on_a_device_is_sampled_alike(self):
        tensors = self.tensors()
        for bytes_ in (_tripwires._STRETCH_BYTES, 0):
            for turn in range(10):
                sampling = cairn._library.Sampling(24, bytes_, turn)
                gathered = _tripwires._gathered(list(tensors.items()), sampling)
                here = _tripwires.Records()
                for name, value in tensors.items():
                    here.add(name, cairn._memory.memory_of(name, value))
                self.assertEqual(gathered, _tripwires._digests_of(here, sampling))

    def test_of_very_many_tensors_some_get_their_turn(self):
        tensors = {str(number): torch.tensor(number) for number in range(5000)}
        seen, most = set(), 0
        for turn in range(0, 300, 10):
            names = self.only(tensors, turn).names
            most = max(most, len(names))
            seen.update(names)
        self.assertLessEqual(most, _tripwires._MOST_TENSORS)
        self.assertEqual(len(seen), 5000)

    def test_states_with_other_names_are_not_compared(self):
        one, other = self.tensors(), self.tensors() | {"more": torch.ones(2)}
        self.assertFalse(set(_tripwires.seals(one, 0)) & set(_tripwires.seals(other, 0)))
        self.assertEqual(_tripwires.seals(one, 0, "none"), {})
        self.assertEqual(_tripwires.seals({"s": torch.eye(3).to_sparse()}, 0), {})

    def test_ranks_and_tensors_are_named(self):
        def digests(*values):
            return b"".join(bytes([value]) * 8 for value in values)

        told = [{"x": digests(1, 2, 3)}, {"x": digests(1, 2, 3)}, {"x": digests(1, 9, 8)}, {}]
        self.assertEqual(
            _tripwires.differences(told, {"x": ["a", "b", "c"]}, lambda ranks: f"ranks {ranks}"),
            ["the tensors 'b', 'c' of ranks (2,) differ from those of ranks (0, 1): replicas that "
             "ranks hold have drifted apart"])
        told[1]["x"] = digests(1, 2, 4)
        lines = _tripwires.differences(told, {}, lambda ranks: f"ranks {ranks}")
        self.assertEqual([line.split(":")[0] for line in lines],
                         ["a tensor of ranks (2,) differs from that of ranks (0, 1)",
                          "a tensor of ranks (1, 2) differs from that of ranks (0,)"])
        self.assertEqual(_tripwires.doubts([{"x": "1", "y": "2"}, {"x": "1"}, {"x": "3"}, None]),
                         ["x"])


def flip(value):
    value.view(torch.int32).flatten()[value.numel() // 2] ^= 1 << 20


def save_replicas(rank, _, folder, odd_rank, how):
    """What each rank was warned of."""
    torch.manual_seed(0)
    state = {"model": {f"w{number}": torch.randn(30, 40) for number in range(6)}}
    if rank == odd_rank:
        flip(state["model"]["w3"])
    store = cairn.Store(folder)
    group = distributed.group.WORLD
    if how == "async":
        with AsyncSaver(store, group=group) as saver:
            result, texts = warned(lambda: saver.save("a", state, step=1).result())
    else:
        result, texts = warned(lambda: store.save("a", state, step=1, group=group,
                                                  compare_replicas=how))
    return result["warnings"], texts


def save_in_a_mesh(rank, size, folder, odd_rank):
    """Rows are cut along one axis of the mesh and replicated along the other."""
    torch.manual_seed(0)
    mesh = DeviceMesh("cpu", torch.arange(size).reshape(2, 2))
    cut = distribute_tensor(torch.randn(30, 40), mesh, [Replicate(), Shard(0)])
    whole = distribute_tensor(torch.randn(7), mesh, [Replicate(), Replicate()])
    if rank == odd_rank:
        flip(cut.to_local())
    result, texts = warned(lambda: cairn.Store(folder).save(
        "a", {"cut": cut, "whole": whole, "count": torch.tensor(rank)}, compare_replicas="all"))
    return result["warnings"], texts


class Replicas(package.StoreTest):
    def kept(self):
        return json.loads(self.store.show("a")["metadata"].get("cairn.warnings", "[]"))

    def test_a_flipped_bit_on_one_of_two_ranks(self):
        for how in ("all", "sampled", "async"):
            told = ranks.run(save_replicas, 2, self.store.path, 1, how)
            expected = ["the tensor 'model.w3' of rank 1 differs from that of rank 0: replicas that "
                        "ranks hold have drifted apart"]
            self.assertEqual([warning for warning, _ in told], [expected, expected], how)
            self.assertEqual([len(texts) for _, texts in told], [1, 0], "rank 0 warns")
            self.assertEqual(self.kept(), expected)
            self.store.forget("a", allow_newest=True)

    def test_equal_replicas_and_those_not_compared(self):
        self.assertEqual(ranks.run(save_replicas, 2, self.store.path, None, "all"), [([], [])] * 2)
        self.store.forget("a", allow_newest=True)
        self.assertEqual(ranks.run(save_replicas, 2, self.store.path, 1, "none"), [([], [])] * 2)

    def test_parts_that_a_mesh_replicates(self):
        told = ranks.run(save_in_a_mesh, 4, self.store.path, 2)[0][0]
        self.assertEqual(told, self.kept())
        self.assertRegex(" ".join(told), "tensor 'cut' of rank 2 differs from that of rank 0:")
        self.assertRegex(" ".join(told), "tensor 'count' of ranks 1, 2, 3 differs from that of rank 0")
        self.assertNotIn("whole", " ".join(told))


if __name__ == "__main__":
    unittest.main()
