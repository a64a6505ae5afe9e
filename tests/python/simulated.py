"""CUDA tensors without CUDA: over libcairn_simulated, whose devices take the host's memory for
theirs, tensors of the host are declared to be on one.

The package asks PyTorch for five things (python/cairn/_devices.py), which Devices answers instead:
where a tensor is, memory of a device, the current streams, whether a graph is being captured, and
whether devices are in use.
"""
import weakref
from unittest import mock

import numpy as np
import torch

import package
from cairn import _devices
from cairn.torch import device_options


class Devices:
    """As long as it is entered, put() declares tensors. lent: the devices of which memory was asked
    for; has_room: whether PyTorch has any; streams: what streams_of() was asked."""

    def __init__(self):
        self._places = {}  # address of the memory -> (tensor, device)
        self.lent, self.streams = [], []
        self.has_room, self.is_capturing = True, False

    def __enter__(self):
        self._patch = mock.patch.multiple(
            _devices, cuda_index=self._index, new_memory=self._memory, streams_of=self._streams_of,
            is_capturing=lambda: self.is_capturing, are_in_use=lambda: True)
        self._patch.start()
        return self

    def __exit__(self, *_):
        self._patch.stop()

    def put(self, tensor, device=0):
        """Declares it, and all that share its memory, to be on a device. Returns it."""
        address = getattr(tensor, "_local_tensor", tensor).untyped_storage().data_ptr()
        self._places[address] = weakref.ref(tensor), device
        return tensor

    def put_all(self, value, device=0):
        """All tensors of a nested state, in place. Returns it."""
        children = value.values() if isinstance(value, dict) else value
        for child in children if isinstance(value, (dict, list)) else ():
            self.put_all(child, device)
        return self.put(value, device) if isinstance(value, torch.Tensor) else value

    def _index(self, tensor):
        holder, device = self._places.get(tensor.untyped_storage().data_ptr(), (lambda: None, None))
        return None if holder() is None else device

    def _memory(self, device, bytes_):
        if not self.has_room:
            raise torch.OutOfMemoryError("CUDA out of memory (simulated)")
        self.lent.append(device)
        return torch.empty(bytes_, dtype=torch.uint8)

    def _streams_of(self, devices, later=False):
        self.streams.append((list(devices), later))
        return [(None, device) for device in devices]


SLAB = 64 << 10


def small():
    """Several slabs, rounds and windows for some hundred KiB."""
    device_options(pinned_bytes=4 * SLAB, slab_bytes=SLAB, device_bytes=2 << 20)


def a_state():
    generator = torch.Generator().manual_seed(7)
    return {"w": torch.randn(300, 400, generator=generator), "host": torch.arange(5000.0),
            "turned": torch.randn(200, 150, generator=generator).t(),
            "part": torch.randn(90, 400, generator=generator)[::3, 7:205],
            "half": torch.randn(70001, generator=generator).bfloat16(), "scalar": torch.tensor(2.5),
            "flags": torch.ones(7, dtype=torch.bool), "empty": torch.empty(0, 3),
            "array": np.arange(12.0), "more": [torch.full((33,), 4), {"epoch": 3}]}


def copy_of(value):
    """Of a nested state, in the host's memory."""
    if isinstance(value, dict):
        return {key: copy_of(child) for key, child in value.items()}
    if isinstance(value, list):
        return [copy_of(child) for child in value]
    if isinstance(value, np.ndarray):
        return value.copy()
    return value.clone() if isinstance(value, torch.Tensor) else value


class DevicesTest(package.StoreTest):
    def setUp(self):
        super().setUp()
        small()
        self.devices = Devices()
        self.devices.__enter__()
        self.addCleanup(self.devices.__exit__)

    def on_devices(self, state):
        """Most of its tensors, on two devices."""
        for name, value in state.items():
            if name not in ("host", "array", "empty"):
                self.devices.put_all(value, 1 if name in ("turned", "half") else 0)
        return state

    def assert_same(self, loaded, wanted, where=""):
        if isinstance(wanted, dict):
            self.assertEqual(loaded.keys(), wanted.keys())
            for key, child in wanted.items():
                self.assert_same(loaded[key], child, f"{where}.{key}")
        elif isinstance(wanted, list):
            for number, child in enumerate(wanted):
                self.assert_same(loaded[number], child, f"{where}.{number}")
        else:
            same = loaded == wanted
            self.assertTrue(same.all() if hasattr(same, "all") else same, where)
