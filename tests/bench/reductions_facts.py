"""What the files of a series say by themselves: digests, classes, entropies."""
import contextlib
import hashlib
import json
import mmap
import os
import struct

import numpy

OPTIMIZER_CLASSES = ("master", "exp_avg", "exp_avg_sq", "step")
UNSIGNED = {"F32": numpy.uint32, "BF16": numpy.uint16, "F16": numpy.uint16}
SAMPLE = 1 << 22  # items of a class that an entropy is taken of


@contextlib.contextmanager
def opened(path):
    """name -> (dtype, shape, bytes) of a safetensors file; the bytes are views of a map of it."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        length = struct.unpack_from("<Q", content)[0]
        header = json.loads(content[8:8 + length])
        header.pop("__metadata__", None)
        with memoryview(content) as view:
            begin = 8 + length
            tensors = {name: (entry["dtype"], entry["shape"],
                              view[begin + entry["data_offsets"][0]:
                                   begin + entry["data_offsets"][1]])
                       for name, entry in header.items()}
            try:
                yield tensors
            finally:
                for _, _, data in tensors.values():
                    data.release()


def digests(path):
    """What must come back: dtype, shape and SHA-256 of every tensor."""
    with opened(path) as tensors:
        return {name: (dtype, tuple(shape), hashlib.sha256(data).hexdigest())
                for name, (dtype, shape, data) in tensors.items()}


def write_noise_like(source, path):
    """A file with the same tensors, filled with random bytes."""
    random = numpy.random.default_rng(1)
    with open(source, "rb") as file, open(path, "wb") as copy:
        length = file.read(8)
        copy.write(length + file.read(struct.unpack("<Q", length)[0]))
        left = os.fstat(file.fileno()).st_size - copy.tell()
        copy.write(random.integers(0, 256, left, dtype=numpy.uint8))


def class_of(name):
    first = name.split(".")[0]
    return first if first in OPTIMIZER_CLASSES else "weight"


def sizes(path):
    """Bytes of all tensors, and how many parameters are trained: those that have a master where
    there is an optimizer, else all weights (bytes, where those are no floats)."""
    total, counts = 0, {}
    with opened(path) as tensors:
        for name, (dtype, shape, data) in tensors.items():
            total += len(data)
            kind = class_of(name)
            counts[kind] = counts.get(kind, 0) + int(numpy.prod(shape, dtype=numpy.int64))
    return total, counts.get("master") or counts.get("weight", 0)


def ranks(values):
    """Unsigned numbers in the order of the floats that have these bits."""
    highest = values.dtype.type(1 << (8 * values.dtype.itemsize - 1))
    return numpy.where(values & highest, ~values, values | highest)


def zigzag(values):
    bits = 8 * values.dtype.itemsize
    signed = values.view(values.dtype.str.replace("u", "i"))
    return ((signed << 1) ^ (signed >> (bits - 1))).view(values.dtype)


def entropy(values):
    """Order-0 entropy of the byte planes, in bytes an item."""
    planes = values.view(numpy.uint8).reshape(-1, values.dtype.itemsize)
    bits = 0.0
    for plane in range(planes.shape[1]):
        counts = numpy.bincount(planes[:, plane], minlength=256)
        shares = counts[counts > 0] / len(planes)
        bits -= float((shares * numpy.log2(shares)).sum())
    return bits / 8


def collect(path):
    """class -> name -> values as unsigned numbers, of floats with more than one item."""
    classes = {}
    with opened(path) as tensors:
        for name, (dtype, _, data) in tensors.items():
            kind = UNSIGNED.get(dtype)
            if kind is not None and len(data) > numpy.dtype(kind).itemsize:
                classes.setdefault(class_of(name), {})[name] = numpy.frombuffer(data, kind).copy()
    return classes


def sampled(values):
    """Every tensor's share of SAMPLE items, so that none speaks for all."""
    total = sum(len(each) for each in values)
    step = max(1, total // SAMPLE)
    return [each[::step] for each in values]


def entropies(before, after):
    """class -> entropy of the later tag alone, and of its difference from the earlier one as
    integers in the order of the floats; both of byte planes, in bytes an item."""
    old, new = collect(before), collect(after)
    results = {}
    for kind, tensors in new.items():
        names = [name for name, values in tensors.items()
                 if len(old.get(kind, {}).get(name, ())) == len(values)]
        if not names:
            continue
        now = numpy.concatenate(sampled([tensors[name] for name in names]))
        then = numpy.concatenate(sampled([old[kind][name] for name in names]))
        results[kind] = {"items": sum(len(tensors[name]) for name in names),
                         "changed": float((now != then).mean()), "raw": entropy(now),
                         "difference": entropy(zigzag(ranks(now) - ranks(then)))}
    return results
