#!/usr/bin/env python3
"""Stores from PyTorch: dtypes, strides, ties, the meta device, modules."""
import unittest

import package

if __name__ == "__main__":
    package.enter("torch")

import torch

import cairn


class Tensors(package.StoreTest):
    def test_every_dtype_and_stride(self):
        state = {str(dtype): torch.arange(24).to(dtype)
                 for dtype in (torch.bool, torch.uint8, torch.int64, torch.float16, torch.bfloat16,
                               torch.float64, torch.float8_e4m3fn, torch.complex64)}
        state |= {"turned": torch.randn(8, 6).t(), "stretched": torch.ones(1, 4).expand(3, 4),
                  "every other": torch.arange(10)[::2], "conj": torch.randn(3, dtype=torch.cfloat).conj(),
                  "scalar": torch.tensor(2.5), "empty": torch.empty(0, 3),
                  "parameter": torch.nn.Parameter(torch.randn(3))}
        self.store.save("a", state)
        loaded = self.store.load("a")
        self.assertEqual(set(loaded), set(state))
        for name, tensor in state.items():
            self.assertEqual((loaded[name].dtype, loaded[name].shape), (tensor.dtype, tensor.shape))
            self.assertTrue(torch.equal(loaded[name].to(torch.complex64), tensor.to(torch.complex64)),
                            name)

    def test_ties_are_stored_once_and_tied_again(self):
        weight = torch.randn(64, 32)
        state = {"embed": weight, "head": weight, "rows": weight[:3]}
        saved = self.store.save("a", state)
        self.assertEqual(saved["tensors"], 2)
        loaded = self.store.load("a")
        self.assertIs(loaded["embed"], loaded["head"])
        self.assertTrue(torch.equal(loaded["rows"], weight[:3]))

    def test_modules_and_the_meta_device(self):
        module = torch.nn.Sequential(torch.nn.Linear(8, 4), torch.nn.BatchNorm1d(4))
        self.store.save("a", module.state_dict())
        with torch.device("meta"):
            empty = torch.nn.Sequential(torch.nn.Linear(8, 4), torch.nn.BatchNorm1d(4))
        for other in (torch.nn.Sequential(torch.nn.Linear(8, 4), torch.nn.BatchNorm1d(4)), empty):
            self.store.load("a", into=other)
            for name, tensor in module.state_dict().items():
                self.assertTrue(torch.equal(other.state_dict()[name], tensor), name)

    def test_a_module_keeps_its_parameters(self):
        module = torch.nn.Linear(8, 4)
        self.store.save("a", module.state_dict())
        other = torch.nn.Linear(8, 4)
        before = list(other.parameters())
        optimizer = torch.optim.SGD(other.parameters(), lr=0.1)
        self.store.load("a", into=other)
        self.assertTrue(all(a is b for a, b in zip(before, other.parameters())))
        other(torch.ones(2, 8)).sum().backward()
        optimizer.step()
        self.assertFalse(torch.equal(other.weight, module.weight), "the optimizer steps them")

    def test_ties_where_the_state_has_none(self):
        weight = torch.randn(6, 4)
        self.store.save("a", {"embed": weight, "head": weight})
        for device in ("cpu", "meta"):
            into = {name: torch.empty(6, 4, device=device) for name in ("embed", "head")}
            self.store.load("a", into)
            for name in into:
                self.assertTrue(torch.equal(into[name], weight), (device, name))

    def test_targets_that_cannot_be_filled(self):
        self.store.save("a", {"w": torch.ones(3, 4), "t": (torch.ones(2),)})
        for into, why in (({"w": torch.zeros(1, 4).expand(3, 4)}, "'w' cannot be written"),
                          ({"t": (torch.empty(2, device="meta"),)}, "'t.0' is on the meta device")):
            with self.assertRaisesRegex(cairn.UsageError, why):
                self.store.load("a", into, strict=False)

    def test_a_flat_dict_is_what_import_makes_of_the_file(self):
        tensors = {"w": torch.arange(12.0).reshape(3, 4), "b": torch.ones(3, dtype=torch.bfloat16)}
        named = self.store.save("a", tensors)
        file = self.folder / "m.safetensors"
        self.store_program("export", "a", str(file))
        self.assertEqual(self.store_program("import", "b", str(file))["manifest"], named["manifest"])

    def test_an_optimizer_goes_on_exactly(self):
        def train(module, optimizer, steps):
            for step in range(steps):
                optimizer.zero_grad()
                module(torch.full((2, 8), float(step))).square().mean().backward()
                optimizer.step()

        module = torch.nn.Linear(8, 4)
        optimizer = torch.optim.AdamW(module.parameters(), lr=1e-2)
        train(module, optimizer, 3)
        self.store.save("run/3", {"model": module.state_dict(), "optimizer": optimizer.state_dict()})
        train(module, optimizer, 3)
        other = torch.nn.Linear(8, 4)
        resumed = torch.optim.AdamW(other.parameters(), lr=1.0)
        state = self.store.load("run/3")
        other.load_state_dict(state["model"])
        resumed.load_state_dict(state["optimizer"])
        train(other, resumed, 3)
        self.assertTrue(torch.equal(other.weight, module.weight))

    def test_dtypes_are_converted_where_asked(self):
        self.store.save("a", {"w": torch.randn(100), "n": torch.arange(3)})
        loaded = self.store.load("a", dtype=torch.bfloat16)
        self.assertEqual((loaded["w"].dtype, loaded["n"].dtype), (torch.bfloat16, torch.int64))
        into = {"w": torch.zeros(100, dtype=torch.float64), "n": torch.zeros(3, dtype=torch.int64)}
        with self.assertRaisesRegex(cairn.UsageError, "'w' is F32 in the tag, here F64"):
            self.store.load("a", into)
        self.store.load("a", into, dtype=torch.float64)
        self.assertTrue(torch.equal(into["w"].float(), self.store.load("a")["w"]))

    def test_dtensors_that_are_whole(self):
        from torch import distributed
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.tensor import Shard, distribute_tensor

        distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
        self.addCleanup(distributed.destroy_process_group)
        mesh = init_device_mesh("cpu", (1,))
        weight = torch.randn(6, 4)
        self.store.save("a", {"w": distribute_tensor(weight, mesh, [Shard(0)])})
        self.assertTrue(torch.equal(self.store.load("a")["w"], weight))

    def test_what_has_no_bytes_is_named(self):
        for name, tensor in (("sparse", torch.eye(3).to_sparse()),
                             ("meta", torch.empty(3, device="meta")),
                             ("wide", torch.zeros(3, dtype=torch.complex128))):
            with self.assertRaisesRegex(cairn.UsageError, f"'{name}'"):
                self.store.save("a", {name: tensor})


if __name__ == "__main__":
    unittest.main()
