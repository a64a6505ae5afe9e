"""The small things that every part of a store is made of: fields, digests, names, sealed JSON, zstd.

By docs/FORMAT.md sections 1, 2 and 7. Whatever breaks a rule is a Damage.
"""

import ctypes
import ctypes.util
import json
import re
import struct
from types import SimpleNamespace as Record

import blake3


class Damage(Exception):
    """The store breaks a rule of its format."""


class UnknownEncoding(Damage):
    """A copy in an encoding that format 1 does not have; other tensors can still be read."""


def need(condition, what):
    if not condition:
        raise Damage(what)


def digest(data):
    return blake3.blake3(data).digest()


def ceil_div(a, b):
    return -(-a // b)


class Cursor:
    """Takes fields off the front of some bytes; never past their end."""

    def __init__(self, data, what):
        self.data, self.what, self.at = memoryview(data), what, 0

    def take(self, count):
        need(count <= len(self.data) - self.at, f"{self.what}: ends in the middle of a field")
        self.at += count
        return bytes(self.data[self.at - count:self.at])

    def get(self, layout):
        values = struct.unpack("<" + layout, self.take(struct.calcsize("<" + layout)))
        return values[0] if len(values) == 1 else values

    def many(self, count, size):
        """`count` records of `size` bytes; the bound is checked before anything is made."""
        need(count * size <= len(self.data) - self.at, f"{self.what}: {count} records do not fit")
        return [self.take(size) for _ in range(count)]

    def zeros(self, count):
        need(not any(self.take(count)), f"{self.what}: reserved bytes are not zero at {self.at - count}")

    def string(self, length_layout):
        try:
            return self.take(self.get(length_layout)).decode("utf-8")
        except UnicodeDecodeError:
            raise Damage(f"{self.what}: a string is not UTF-8") from None

    def magic(self, magic, version=None):
        need(self.take(len(magic)) == magic, f"{self.what}: does not begin with {magic.decode()}")
        if version is not None:
            found = self.get("I")
            need(found == version, f"{self.what}: version {found}, known is {version}")

    def end(self):
        need(self.at == len(self.data), f"{self.what}: {len(self.data) - self.at} bytes too many")


def file_id(raw):
    """A file id of 24 bytes as the file's name: (name, session, counter)."""
    session, counter, reserved = struct.unpack("<16sII", raw)
    need(reserved == 0, "file id: reserved bytes are not zero")
    return f"{session.hex()}-{counter}"


def reference(raw):
    name = file_id(raw[:24])
    offset, length = struct.unpack("<QQ", raw[24:40])
    return Record(file=name, offset=offset, length=length, digest=raw[40:])


def sealed_json(data, what):
    need(len(data) > 78 and re.fullmatch(rb',"blake3":"[0-9a-f]{64}"\}\n', data[-78:]), f"{what}: no seal")
    need(data.count(b"\n") == 1, f"{what}: more than one line")
    need(digest(data[:-78]).hex().encode() == data[-67:-3], f"{what}: the digest does not match")
    try:
        return json.loads(data)
    except ValueError as error:
        raise Damage(f"{what}: no JSON: {error}") from None


def zstd_library():
    library = ctypes.CDLL(ctypes.util.find_library("zstd") or "libzstd.so.1")
    for name, arguments in (("ZSTD_decompress", [ctypes.c_char_p, ctypes.c_size_t] * 2),
                            ("ZSTD_findFrameCompressedSize", [ctypes.c_char_p, ctypes.c_size_t])):
        getattr(library, name).argtypes, getattr(library, name).restype = arguments, ctypes.c_size_t
    return library


def zstd_decode(stored, decoded_bytes, what, library=[]):
    if not library:
        library.append(zstd_library())
    frame = library[0].ZSTD_findFrameCompressedSize(stored, len(stored))
    need(frame == len(stored), f"{what}: not one zstd frame")
    decoded = ctypes.create_string_buffer(max(decoded_bytes, 1))
    got = library[0].ZSTD_decompress(decoded, decoded_bytes, stored, len(stored))
    need(got == decoded_bytes, f"{what}: the zstd frame does not decode to {decoded_bytes} bytes")
    return decoded.raw[:decoded_bytes]
