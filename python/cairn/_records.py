"""Arrays of `cairn_tensor` (lib/cairn.h), packed without a Python object for each field."""

import array
import ctypes
import struct

from .errors import UsageError

# name, dtype, rank, writer, shape, offsets, lengths, strides_bytes, data, role, parameter
_RECORD = struct.Struct("=QQIIQQQQQQQ")


class Records:
    """Tensors in memory for one call. What is added must live until then; so must this."""

    def __init__(self):
        self._rows = []
        self._texts = bytearray()
        self._places = {}
        self._numbers = array.array("q")

    def __len__(self):
        return len(self._rows)

    def _text(self, text):
        if text is None:
            return None
        place = self._places.get(text)
        if place is None:
            if "\0" in text:
                raise UsageError(f"the name {text!r} has a zero byte in it")
            place = self._places[text] = len(self._texts)
            self._texts += text.encode() + b"\0"
        return place

    def _list(self, values):
        if values is None:
            return None
        place = len(self._numbers)
        self._numbers.extend(values)
        return place

    def add(self, name, memory, box=None, shape=None, role=None, parameter=None):
        """One box. `memory`: a tensors.Memory; `shape`: of the whole tensor, `box`: (offsets,
        lengths) in it, both in elements; without them the memory is the whole tensor."""
        offsets, lengths = box if box is not None else (None, None)
        shape = memory.shape if shape is None else shape
        self._rows.append((self._text(name), self._text(memory.dtype), len(shape),
                           self._list(shape), self._list(offsets), self._list(lengths),
                           self._list(memory.strides_bytes), memory.address, self._text(role),
                           self._text(parameter)))

    def pack(self):
        """The array; its elements are of `element_bytes`."""
        self._texts_kept = ctypes.create_string_buffer(bytes(self._texts))
        texts = ctypes.addressof(self._texts_kept)
        numbers = self._numbers.buffer_info()[0]
        packed = bytearray(_RECORD.size * len(self._rows))

        def text(place):
            return 0 if place is None else texts + place

        def numbers_at(place):
            return 0 if place is None else numbers + 8 * place

        for at, row in enumerate(self._rows):
            name, dtype, rank, shape, offsets, lengths, strides, address, role, parameter = row
            _RECORD.pack_into(packed, at * _RECORD.size, text(name), text(dtype), rank, 0,
                              numbers_at(shape), numbers_at(offsets), numbers_at(lengths),
                              numbers_at(strides), address, text(role), text(parameter))
        self._packed = (ctypes.c_char * max(1, len(packed))).from_buffer(packed or bytearray(1))
        return ctypes.addressof(self._packed)

    element_bytes = _RECORD.size
