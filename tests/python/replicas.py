"""A state that all ranks hold on devices, and what their saves are given of it."""
import warnings
from unittest import mock

import torch

import cairn
from cairn import _saving


def a_state(add=0):
    generator = torch.Generator().manual_seed(7)

    def made(*shape):
        return torch.randn(*shape, generator=generator) + add

    return {"w": made(300, 400), "turned": made(90, 70).t(), "half": made(70001).bfloat16(),
            "step": torch.tensor(3.0 + add), "lr": 0.5}


def same(one, other):
    return list(one) == list(other) and all(
        torch.equal(one[name], value) if isinstance(value, torch.Tensor) else one[name] == value
        for name, value in other.items())


def tried(call):
    """What it returned, or (class, text) of what it raised; and the texts it warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = call()
        except cairn.Error as error:
            result = type(error).__name__, str(error)
    return result, [str(each.message) for each in caught
                    if issubclass(each.category, cairn.StateWarning)]


STATE_BYTES = sum(value.nbytes for value in a_state().values() if isinstance(value, torch.Tensor))


class Given:
    """The bytes that each part was given, while it is entered."""

    def __enter__(self):
        self.bytes, real = [], _saving.Part

        def counted(store, request, boxes, *rest):
            records = _saving._records_of(boxes)
            self.bytes.append(sum(records.on_devices and
                                  [tensor.nbytes for _, tensor, _ in records.on_devices] or [0]))
            return real(store, request, records, *rest)

        self._patch = mock.patch.object(_saving, "Part", counted)
        self._patch.start()
        return self

    def __exit__(self, *_):
        self._patch.stop()
