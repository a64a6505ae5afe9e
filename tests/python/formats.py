"""What the tests of conversions share."""
import random
import resource
import subprocess

import package
import torch

from cairn import _program, format_utils


def a_state():
    model = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.Linear(7, 3))
    optimizer = torch.optim.AdamW([{"params": model[0].parameters(), "lr": 0.1},
                                   {"params": model[1].parameters()}])
    model(torch.randn(2, 5)).sum().backward()
    optimizer.step()
    return {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3,
            "best": float("inf"), "nan": float("nan"), "name": "läuft", "none": None, "yes": True,
            "bytes": bytes(range(256)), "big": 2**63 + 5, "negative": -2**40,
            "nested": [1, (2.5, [torch.ones(2), "x"]), {"deep": 2}], "rng": torch.get_rng_state(),
            "empty": torch.empty(0, 4), "scalar": torch.tensor(2.5)}


DTYPES = [torch.bool, torch.uint8, torch.int8, torch.int16, torch.uint16, torch.int32, torch.uint32,
          torch.int64, torch.uint64, torch.float16, torch.bfloat16, torch.float32, torch.float64,
          torch.complex64, torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz,
          torch.float8_e5m2fnuz, torch.float8_e8m0fnu]


def of_all_dtypes():
    bits = torch.randint(0, 256, (3, 5, 8), dtype=torch.uint8)
    made = {str(dtype): bits.clone().view(dtype) for dtype in DTYPES if dtype != torch.bool}
    return made | {"bool": bits > 100}


class FormatTest(package.StoreTest):
    def setUp(self):
        super().setUp()
        torch.manual_seed(random.randrange(2**30))
        self.tag = f"{self.store.path}#run/step-1"

    def assert_same(self, a, b, where="the state"):
        self.assertIs(type(a), type(b), where)
        if isinstance(a, torch.Tensor):
            self.assertEqual((a.dtype, a.shape, a.requires_grad), (b.dtype, b.shape, b.requires_grad),
                             where)
            self.assertEqual(bits_of(a), bits_of(b), where)
        elif isinstance(a, dict):
            self.assertEqual(list(a), list(b), where)
            for key in a:
                self.assert_same(a[key], b[key], f"{where}.{key}")
            self.assertEqual(getattr(a, "_metadata", None), getattr(b, "_metadata", None), where)
        elif isinstance(a, (list, tuple)):
            self.assertEqual(len(a), len(b), where)
            for number, pair in enumerate(zip(a, b)):
                self.assert_same(*pair, f"{where}.{number}")
        elif a == a:  # no NaN
            self.assertEqual(a, b, where)

    def cairn(self, *words, limits=None):
        """A command on the test's store, with what it says. limits: of open files, soft and hard."""
        def limit():
            if limits:
                resource.setrlimit(resource.RLIMIT_NOFILE, limits)

        return subprocess.run([_program.program(), "-s", self.store.path, *map(str, words)],
                              capture_output=True, text=True, check=True, preexec_fn=limit)

    def torch_file(self, state, name="in.pt", **options):
        torch.save(state, self.folder / name, **options)
        return self.folder / name

    def refused(self, kind, path, *words, call=format_utils.torch_to_cairn, **options):
        with self.assertRaises(kind) as caught:
            call(path, f"{self.store.path}#refused", **options)
        for word in words:
            self.assertIn(word, str(caught.exception))
        self.assertEqual(self.store.tags("refused"), [])
        return caught.exception


def bits_of(tensor):
    flat = tensor.detach().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""


def blank(value):
    if isinstance(value, torch.Tensor):
        return torch.zeros_like(value)
    if isinstance(value, dict):
        made = type(value)((key, blank(child)) for key, child in value.items())
        vars(made).update(vars(value)) if hasattr(value, "_metadata") else None
        return made
    if isinstance(value, list) and any(isinstance(each, (torch.Tensor, dict)) for each in value):
        return [blank(child) for child in value]
    return "blank"
