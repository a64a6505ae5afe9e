"""Arrays of `cairn_tensor` (lib/cairn.h), packed without a Python object for each field."""

import array
import ctypes
import struct

from .errors import UsageError

# name, dtype, rank, writer, shape, offsets, lengths, strides_bytes, data, role, parameter, device
_RECORD = struct.Struct("=QQIIQQQQQQQI4x")


class Records:
    """Boxes of tensors in memory for one call. What is added must live until then; so must this.

    on_devices: (name, tensor, device) of those that are on a CUDA device; these it keeps alive.
    """

    element_bytes = _RECORD.size

    def __init__(self):
        self._rows = []
        self._texts = bytearray()
        self._places = {}
        self._numbers = array.array("q")
        self._packed = None  # what the array points to, and that itself
        self.on_devices = []

    def __len__(self):
        return len(self._rows)

    def _text(self, text):
        place = self._places.get(text)
        if place is None:
            if "\0" in text:
                raise UsageError(f"the name {text!r} has a zero byte in it")
            try:
                encoded = text.encode() + b"\0"
            except UnicodeEncodeError as error:
                raise UsageError(f"the name {text!r} has no form in UTF-8") from error
            place = self._places[text] = len(self._texts)
            self._texts += encoded
        return place

    def _list(self, values):
        if values is None:
            return None
        place = len(self._numbers)
        self._numbers.extend(values)
        return place

    def add(self, name, memory, *, writer=0, role=None, parameter=None):
        """`memory`: a _memory.Memory. `writer`: the rank that holds it."""
        self._rows.append((
            self._text(name), self._text(memory.dtype), len(memory.shape), writer,
            self._list(memory.shape), self._list(memory.offsets), self._list(memory.lengths),
            self._list(memory.strides_bytes), memory.address,
            None if role is None else self._text(role),
            None if parameter is None else self._text(parameter),
            0 if memory.device is None else 1 + memory.device))
        if memory.device is not None:
            self.on_devices.append((name, memory.owner, memory.device))
        self._packed = None

    def pack(self):
        """The address of the array; its elements are of `element_bytes`."""
        if self._packed is not None:
            return ctypes.addressof(self._packed[-1])
        kept_texts = ctypes.create_string_buffer(bytes(self._texts))
        texts = ctypes.addressof(kept_texts)
        numbers, size = self._numbers.buffer_info()[0], self._numbers.itemsize
        packed = ctypes.create_string_buffer(max(1, _RECORD.size * len(self._rows)))

        def number(place):
            return 0 if place is None else numbers + size * place

        def text(place):
            return 0 if place is None else texts + place

        for at, (name, dtype, rank, writer, shape, offsets, lengths, strides, address, role,
                 parameter, device) in enumerate(self._rows):
            _RECORD.pack_into(packed, at * _RECORD.size, texts + name, texts + dtype, rank, writer,
                              number(shape), number(offsets), number(lengths), number(strides),
                              address, text(role), text(parameter), device)
        self._packed = (kept_texts, packed)
        return ctypes.addressof(packed)
