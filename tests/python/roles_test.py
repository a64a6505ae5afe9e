#!/usr/bin/env python3
"""What states and optimizers say of their tensors, and what a save makes of it."""
import copy
import pickle
import random
import unittest

import package

if __name__ == "__main__":
    package.enter("torch")

import torch
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict
from torch.nn import functional

import cairn
from cairn import _pairing, _roles, _tree
from cairn.torch import roles_of


def told(state, roles=_roles, metadata=None):
    flat = _tree.flatten(state)
    return roles.describe(flat.tensors, flat.values, metadata)


def group_of(rules, parameter):
    """The facts of one parameter, as lib/optimizer_facts.cc puts them together."""
    facts = {key: fact for key, fact in rules.items() if key != "groups"}
    for group in rules["groups"]:
        if parameter in group["match"]:
            facts |= {key: fact for key, fact in group.items() if key != "match"}
    return facts


class Net(torch.nn.Module):
    """Has a buffer, a frozen layer and tied weights among its parameters."""

    def __init__(self, width=8):
        super().__init__()
        self.embed = torch.nn.Embedding(16, width)
        self.frozen = torch.nn.Linear(width, width)
        self.norm = torch.nn.BatchNorm1d(width)
        self.up = torch.nn.Linear(width, 2 * width)
        self.down = torch.nn.Linear(2 * width, width)
        self.head = torch.nn.Linear(width, 16, bias=False)
        self.head.weight = self.embed.weight
        self.frozen.requires_grad_(False)

    def forward(self, tokens):
        x = self.norm(self.frozen(self.embed(tokens)))
        return self.head(x + self.down(functional.gelu(self.up(x))))


def trained(make=torch.optim.AdamW, steps=2, net=None, groups=None, **settings):
    net = net or Net()
    trainable = [p for p in net.parameters() if p.requires_grad]
    optimizer = make(groups(net) if groups else trainable, **settings)
    for _ in range(steps):
        optimizer.zero_grad()
        tokens = torch.randint(16, (32,))
        functional.cross_entropy(net(tokens), tokens).backward()
        optimizer.step()
    return net, optimizer


def two_groups(net):
    params = [p for p in net.parameters() if p.requires_grad]
    return [{"params": [p for p in params if p.dim() > 1]},
            {"params": [p for p in params if p.dim() < 2], "weight_decay": 0.0}]


TRAINED = ["embed.weight", "norm.weight", "norm.bias", "up.weight", "up.bias", "down.weight",
           "down.bias"]


class States(unittest.TestCase):
    def expect_all_paired(self, given, model="model.", optimizer="optimizer."):
        weights = {parameter for role, parameter in given.values() if role == "weight"}
        self.assertEqual(weights, {model + name for name in TRAINED})
        for role in ("exp_avg", "exp_avg_sq", "step"):
            self.assertEqual({p for r, p in given.values() if r == role}, weights, role)
        self.assertNotIn(f"{model}frozen.weight", given)
        self.assertTrue(all(given[name][0] in ("exp_avg", "exp_avg_sq", "step", "other")
                            for name in given if name.startswith(optimizer)))

    def test_numbered_parameters_are_told_by_order_and_shape(self):
        for groups in (None, two_groups):
            net, optimizer = trained(groups=groups)
            rules, given = told({"model": net.state_dict(), "optimizer": optimizer.state_dict()})
            self.expect_all_paired(given)
            facts = group_of(rules, "model.norm.bias")
            self.assertEqual(facts["weight_decay"], 0.0 if groups else 0.01)
            self.assertEqual(group_of(rules, "model.up.weight"), {
                "lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.01,
                "optimizer": "adamw"})

    def test_parts_may_have_any_name_and_place(self):
        net, optimizer = trained()
        for state, model, name in (
                ({"net": net.state_dict(), "opt": optimizer.state_dict()}, "net.", "opt."),
                ({"ema": net.state_dict(), "model": net.state_dict(),
                  "opt": optimizer.state_dict()}, "ema.", "opt."),  # tied: stored once
                ({"app": {"a": net.state_dict(), "o": optimizer.state_dict()}}, "app.a.", "app.o."),
                ({**net.state_dict(), "o": optimizer.state_dict()}, "", "o."),
                ({"m": net.state_dict(), **optimizer.state_dict()}, "m.", "state.")):
            self.expect_all_paired(told(state)[1], model, name)

    def test_copies_of_the_model_are_not_taken_for_it(self):
        net, optimizer = trained()
        old = {name: value.clone() for name, value in net.state_dict().items()}
        _, given = told({"ema": old, "model": net.state_dict(),
                         "optimizer": optimizer.state_dict()})
        self.expect_all_paired(given)

    def test_what_torch_distributed_checkpoint_makes(self):
        net, optimizer = trained(groups=two_groups)
        for flatten in (False, True):
            options = StateDictOptions(flatten_optimizer_state_dict=flatten)
            model, optim = get_state_dict(net, optimizer, options=options)
            rules, given = told({"model": model, "optim": optim})
            self.expect_all_paired(given, optimizer="optim.")
            self.assertEqual(group_of(rules, "model.norm.bias")["weight_decay"], 0.0)
            self.assertEqual(group_of(rules, "model.up.weight")["weight_decay"], 0.01)

    def test_masters_beside_narrow_weights(self):
        net, optimizer = trained()
        narrow = {name: value.bfloat16() for name, value in net.state_dict().items()}
        _, given = told({"model": narrow, "fp32_master": net.state_dict(),
                         "optimizer": optimizer.state_dict()})
        self.assertEqual(given["model.up.bias"], ("weight", "model.up.bias"))
        self.assertEqual(given["fp32_master.up.bias"], ("master", "model.up.bias"))
        self.assertEqual(given["optimizer.state.4.exp_avg"], ("exp_avg", "model.up.bias"))

    def test_optimizers_are_told_by_their_settings(self):
        optim = torch.optim
        modern = "decoupled_weight_decay" in optim.AdamW([torch.ones(1)]).defaults
        for make, settings, expected, roles in (
                (optim.Adam, {}, {"optimizer": "adam"} if modern else {}, {"exp_avg", "exp_avg_sq"}),
                (optim.AdamW, {"amsgrad": True}, {"optimizer": "adamw"} if modern else {},
                 {"exp_avg", "exp_avg_sq", "max_exp_avg_sq"}),
                (optim.SGD, {"lr": 0.1, "momentum": 0.9, "dampening": 0.5},
                 {"optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "dampening": 0.5}, {"exp_avg"}),
                (optim.RMSprop, {"lr": 0.1}, {"lr": 0.1}, set()),
                (optim.Adafactor, {"lr": 0.1}, {"lr": 0.1}, set())):
            net, optimizer = trained(make, **settings)
            rules, given = told({"model": net.state_dict(), "optimizer": optimizer.state_dict()})
            facts = group_of(rules, "model.up.weight")
            self.assertEqual(facts, facts | expected, make)
            self.assertEqual({role for role, _ in given.values()} - {"weight", "step", "other"},
                             roles, make)
        if hasattr(optim, "Muon"):
            net, optimizer = trained(optim.Muon, lr=0.1, groups=lambda net: [net.down.weight])
            rules, given = told({"model": net.state_dict(), "optimizer": optimizer.state_dict()})
            self.assertEqual(group_of(rules, "model.down.weight")["optimizer"], "muon")
            self.assertEqual(given["model.down.weight"][0], "weight")

    def test_metadata_tells_what_the_state_does_not(self):
        net, optimizer = trained()
        state = {"model": net.state_dict(), "optimizer": optimizer.state_dict()}
        rules, _ = told(state, metadata={"clip": "0.25", "loss": 3.0, "lr": "soon"})
        self.assertEqual(group_of(rules, "x")["clip"], 0.25)
        self.assertEqual(group_of(rules, "x")["lr"], 1e-3)

    def test_states_without_an_optimizer_are_told_by_names(self):
        self.assertEqual(told({"w": torch.ones(3), "exp_avg.w": torch.ones(3)}), ("auto", {}))

    def test_groups_with_other_settings_are_told_apart(self):
        self.assertEqual(_roles.rules([({"lr": 1.0}, ["a"]), ({"eps": 1.0}, ["b", "c"])], {}),
                         {"groups": [{"match": ["b", "c"], "eps": 1.0},
                                     {"match": ["a"], "lr": 1.0}]})

    def test_names_with_the_signs_of_globs(self):
        rules, given = told({"m": {"v": torch.ones(2), "w[0]": torch.ones(2)}, "o": {
            "state": {number: {"exp_avg": torch.ones(2)} for number in range(2)},
            "param_groups": [{"lr": 1.0, "params": [0]}, {"lr": 2.0, "params": [1]}]}})
        self.assertEqual(given["m.w[0]"], ("weight", "m.w[0]"))
        self.assertEqual(rules["groups"], [{"match": ["m.w[[]0]"], "lr": 2.0}])

    def test_what_is_known_of_names_is_known_of_them_alone(self):
        net, optimizer = trained()
        state = {"model": net.state_dict(), "optimizer": optimizer.state_dict()}
        first = told(state)
        state["optimizer"]["param_groups"][0]["lr"] = 0.75
        again = told(state)
        self.assertIs(again[1], first[1])
        self.assertEqual(again[0]["lr"], 0.75)
        state["model"]["up.weight"] = torch.ones(1)
        self.assertNotIn("model.up.weight", told(state)[1])

    def test_odd_states_are_no_error(self):
        pick = random.Random(7)
        leaves = [lambda: torch.ones(pick.choice([(), (2,), (2, 2)])), lambda: pick.randint(-1, 2),
                  lambda: float("nan"), lambda: None, lambda: "text", lambda: [], lambda: (1, 0.5),
                  lambda: [torch.ones(2)], lambda: True]
        keys = ["state", "param_groups", "params", "param_names", "lr", "betas", "0", "1", 0, 1,
                "exp_avg", "step", "w", "model"]

        def grow(depth):
            if depth == 0 or pick.random() < 0.3:
                return pick.choice(leaves)()
            if pick.random() < 0.2:
                return [grow(depth - 1) for _ in range(pick.randint(0, 3))]
            return {key: grow(depth - 1) for key in pick.sample(keys, pick.randint(0, 4))}

        described = 0
        for _ in range(3000):
            state = {"state": grow(3), "param_groups": grow(3), "model": grow(2)}
            try:
                flat = _tree.flatten(state)
            except cairn.UsageError:
                continue
            rules, given = _roles.describe(flat.tensors, flat.values)
            self.assertLessEqual(set(given), set(flat.tensors))
            described += rules != "auto"
        self.assertGreater(described, 100)


class Pairs(unittest.TestCase):
    def test_groups_take_what_fits_in_order(self):
        for shapes, wanted, expected in (
                ("abab", ["aa", "bb"], [0, 2, 1, 3]),
                ("xaybz", ["ab"], [1, 3]),
                ("aab", ["ab"], [0, 2]),
                ("aaaa", ["aa", "aa"], [0, 1, 2, 3]),
                ("aba", ["b", "aa"], [1, 0, 2]),
                ("abca", ["aca", "b"], [0, 2, 3, 1]),
                ("acb", ["ab", "ac"], None),
                ("ab", ["ba"], None), ("a", ["aa"], None), ("", ["a"], None), ("a", [""], [])):
            found = _pairing._interleave(list(shapes), [list(each) for each in wanted],
                                         range(len(shapes)))
            self.assertEqual(found, expected, (shapes, wanted))

    def test_unknown_shapes_fit_all(self):
        self.assertEqual(_pairing._interleave(list("abc"), [["a", None, "c"]], "xyz"), [0, 1, 2])

    def test_modules_are_trained_as_a_whole(self):
        self.assertEqual(_pairing._interleave(list("abbb"), [list("bb")], "xxyy"), [2, 3])
        self.assertEqual(_pairing._interleave(list("abb"), [list("b")], "xxy"), [2])

    def test_what_cannot_be_told_is_given_up_soon(self):
        self.assertIsNone(_pairing._interleave(["a"] * 2000, [["a"] * 200] * 9 + [["b"]],
                                               range(2000)))


class Live(package.StoreTest):
    def test_the_rate_is_that_of_the_step(self):
        net, optimizer = trained(steps=0)
        roles = roles_of(net, optimizer, clip=0.5)
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
        for _ in range(3):
            net(torch.arange(16)).sum().backward()
            optimizer.step()
            schedule.step()
        state = {"model": net.state_dict(), "optimizer": optimizer.state_dict()}
        self.assertEqual(group_of(told(state)[0], "x")["lr"], 1e-3 / 8)
        rules, given = told(state, roles)
        self.assertEqual(group_of(rules, "x")["lr"], 1e-3 / 4)
        self.assertEqual(group_of(rules, "x")["clip"], 0.5)
        self.assertEqual(given, told(state)[1])
        roles.end()
        optimizer.step()
        self.assertEqual(group_of(told(state, roles)[0], "x")["lr"], 1e-3 / 4)

    def test_rates_in_tensors_are_those_of_the_step_too(self):
        net, optimizer = trained(steps=0, lr=torch.tensor(0.25))
        roles = roles_of(net, optimizer)
        net(torch.arange(16)).sum().backward()
        optimizer.step()
        optimizer.param_groups[0]["lr"].fill_(0.125)
        rules, _ = told({"m": net.state_dict(), "o": optimizer.state_dict()}, roles)
        self.assertEqual(group_of(rules, "x")["lr"], 0.25)

    def test_tensors_are_known_by_their_memory(self):
        net, optimizer = trained()
        names = {parameter: name for name, parameter in net.named_parameters()}
        state = {f"weights/{name}": value.detach() for value, name in names.items()}
        for parameter, kept in optimizer.state.items():
            state |= {f"m/{names[parameter]}": kept["exp_avg"],
                      f"v/{names[parameter]}": kept["exp_avg_sq"]}
        rules, given = told(state, roles_of(net, optimizer))
        self.assertEqual(given["weights/up.bias"], ("weight", "weights/up.bias"))
        self.assertEqual(given["m/up.bias"], ("exp_avg", "weights/up.bias"))
        self.assertEqual(given["v/up.bias"], ("exp_avg_sq", "weights/up.bias"))
        self.assertEqual(group_of(rules, "weights/up.bias")["beta2"], 0.999)

    def test_copies_are_known_by_their_names(self):
        net, optimizer = trained(groups=two_groups)
        wrapped = torch.nn.Sequential()
        wrapped.add_module("_orig_mod", net)
        options = StateDictOptions(cpu_offload=True, full_state_dict=True)
        clones = {name: value.clone() for name, value in net.state_dict().items()}
        same = [torch.zeros_like(value) for value in clones.values()]  # fits by shape as well
        for state in ({"model": get_state_dict(net, optimizer, options=options)[0],
                       "optimizer": get_state_dict(net, optimizer, options=options)[1]},
                      {"a": dict(zip(clones, same)) | {"up.weight": torch.ones(1)},
                       "model": clones, "optimizer": optimizer.state_dict()}):
            for model in (net, wrapped):
                given = told(state, roles_of(model, optimizer))[1]
                self.assertEqual({parameter for role, parameter in given.values() if role == "weight"},
                                 {f"model.{name}" for name in TRAINED})

    def test_two_optimizers_of_one_shape(self):
        (one, first), (two, second) = trained(lr=0.25), trained(lr=0.5)
        roles = roles_of(torch.nn.ModuleList([one, two]), [second, first])
        rules, given = told({"a": one.state_dict(), "b": two.state_dict(),
                             "oa": first.state_dict(), "ob": second.state_dict()}, roles)
        self.assertEqual(given["oa.state.4.exp_avg"], ("exp_avg", "a.up.bias"))
        self.assertEqual(given["ob.state.4.exp_avg"], ("exp_avg", "b.up.bias"))
        self.assertEqual(group_of(rules, "a.up.bias")["lr"], 0.25)
        self.assertEqual(group_of(rules, "b.up.bias")["lr"], 0.5)

    def test_what_another_process_is_told(self):
        net, optimizer = trained(steps=0, groups=two_groups)
        roles = roles_of(net, optimizer, clip=0.5)
        net(torch.arange(16)).sum().backward()
        optimizer.step()
        optimizer.param_groups[0]["lr"] = 7.0
        other = pickle.loads(pickle.dumps(roles))
        clones = {name: value.clone() for name, value in net.state_dict().items()}
        state = {"model": clones, "optimizer": copy.deepcopy(optimizer.state_dict())}
        self.assertEqual(told(state, other), told(state, roles))
        self.assertEqual(group_of(told(state, other)[0], "model.up.weight")["lr"], 1e-3)
        other.end()

    def test_an_optimizer_without_steps(self):
        net, optimizer = trained(steps=0)
        rules, given = told({"m": net.state_dict(), "o": optimizer.state_dict()},
                            roles_of(net, optimizer))
        self.assertEqual(given["m.up.bias"], ("weight", "m.up.bias"))
        self.assertEqual(group_of(rules, "m.up.bias")["lr"], 1e-3)


class Saves(package.StoreTest):
    def bytes_of(self, roles, make, **settings):
        """What a tag takes one step after its base, bytes a parameter."""
        torch.manual_seed(3)
        net, optimizer = trained(make, steps=0, net=Net(128), **settings)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 50)
        for step in range(1, 8):
            optimizer.zero_grad()
            tokens = torch.randint(16, (64,))
            functional.cross_entropy(net(tokens), tokens).backward()
            optimizer.step()
            schedule.step()
            if step > 5:
                state = {"model": net.state_dict(), "optimizer": optimizer.state_dict()}
                saved = self.store.save(f"{make.__name__}-{roles}/{step}", state, step=step,
                                        roles=roles)
        loaded = self.store.load(saved["tag"])
        for name, value in net.state_dict().items():
            self.assertTrue(torch.equal(loaded["model"][name], value), name)
        parameters = sum(p.numel() for p in net.parameters() if p.requires_grad)
        changed = sum(row["stored_bytes"] for row in self.store.show(saved["tag"])["tensors"]
                      if "frozen" not in row["name"])
        return changed / parameters

    def test_states_are_replayed_without_being_asked_to(self):
        for make, settings, most in ((torch.optim.AdamW, {"weight_decay": 0.1}, 4.0),
                                     (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9}, 3.5)):
            plain = self.bytes_of("none", make, **settings)
            replayed = self.bytes_of("auto", make, **settings)
            self.assertLess(replayed, most, make)
            self.assertLess(replayed, plain * 0.66, make)

    def test_roles_are_seen_in_the_store(self):
        net, optimizer = trained()
        self.store.save("a", {"model": net.state_dict(), "optimizer": optimizer.state_dict()},
                        roles=roles_of(net, optimizer))
        classes = self.store_program("stats")["by_class"]
        self.assertLessEqual({"weight", "exp_avg", "exp_avg_sq", "step"}, set(classes))


if __name__ == "__main__":
    unittest.main()
