"""Whether ranks that hold the same tensors hold the same bytes.

A save takes one of several replicas and drops the others unseen. So each rank seals what it holds
with digests, and rank 0 compares them: of a stretch of each tensor, another one at each save, or of
all bytes. Replicas are tensors of the same names, dtypes and boxes: all that is not cut among
ranks, and the parts of DTensors that a mesh replicates.
"""

import collections
import ctypes
import dataclasses
import hashlib
import itertools
import random
import zlib

import torch

from .. import _collector, _devices, _library, _memory
from .._records import Records
from ._forms import formed

_STRETCH_BYTES = 32 * 1024
_GATHERED_BYTES = 64 << 20  # of tensors on a device, brought to the host at a time
_MOST_TENSORS = 1024  # in a sample; then others, as stretches do
_DIGEST_BYTES, _KEPT_BYTES = 32, 8  # of each tensor; what chance makes equal is no matter here
_NAMED = 4  # tensors in one warning


@dataclasses.dataclass
class Seal:
    """What this rank holds of one kind of replicas."""

    names: list
    digests: bytes  # _KEPT_BYTES for each

    @property
    def sum(self):
        return hashlib.blake2b(self.digests, digest_size=16).hexdigest()


def turn_of(tag, step):
    """A number that is the same on all ranks, and another one at each save."""
    return zlib.crc32(tag.encode()) if step is None else step


def seals(tensors, turn, choice="sampled"):
    """label -> Seal. Seals of one label are of the same names and boxes, on whichever ranks.
    tensors: name -> tensor or array. Never fails: what has no bytes of its own has no seal."""
    if choice == "none":
        return {}
    with _collector.paused():
        return _seals(tensors, turn, choice)


def _seals(tensors, turn, choice):
    made = {}
    labels = formed(tensors).latest.find("labels", lambda: _labels_of(tensors))
    for label, names in labels.items():
        names = _chosen(names, turn, choice)
        try:
            digests = _digests({name: tensors[name] for name in names}, turn, choice)
        except Exception:  # the save itself says what is wrong
            continue
        made[label] = Seal(names, digests)
    return made


def _labels_of(tensors):
    """label -> names of one kind of replicas."""
    held, kinds = {}, {}
    for name, value in tensors.items():
        kind = _kind(value, kinds)
        if kind is not None:
            held.setdefault(kind, []).append(name)

    def label_of(kind, names):
        told = [(name, str(tensors[name].dtype), tuple(tensors[name].shape)) for name in names]
        return hashlib.blake2b(repr([kind, told]).encode(), digest_size=12).hexdigest()

    return {label_of(kind, names): names for kind, names in held.items()}


def doubts(told):
    """The labels of which ranks have other sums. told: label -> sum, for each rank."""
    sums = collections.defaultdict(set)
    for each in told:
        for label, text in (each or {}).items():
            sums[label].add(text)
    return sorted(label for label, texts in sums.items() if len(texts) > 1)


def tell(exchange, mine, labels):
    """On rank 0: the warnings, of seals that are in doubt; on others nothing. To be called by all
    ranks of the exchange."""
    told = exchange.gather({label: mine[label].digests.hex() for label in labels if label in mine})
    if told is None:
        return []
    names = {label: seal.names for label, seal in mine.items()}
    return differences([{label: bytes.fromhex(text) for label, text in each.items()}
                        for each in told], names, exchange.ranks.named)


def differences(told, names, named):
    """The warnings. told: label -> digests, for each rank; names: label -> names of the tensors,
    where known; named: from ranks to text."""
    holders = collections.defaultdict(list)
    for rank, each in enumerate(told):
        for label in each:
            holders[label].append(rank)
    odd = {}  # (ranks, other ranks) -> names
    for label, ranks in holders.items():
        count = len(told[ranks[0]][label]) // _KEPT_BYTES
        for at in range(count):
            by_digest = collections.defaultdict(list)
            for rank in ranks:
                place = at * _KEPT_BYTES
                by_digest[told[rank][label][place:place + _KEPT_BYTES]].append(rank)
            if len(by_digest) > 1:
                sides = sorted(by_digest.values(), key=lambda side: (-len(side), side))
                rest = tuple(rank for side in sides[1:] for rank in side)
                name = names[label][at] if label in names else None
                odd.setdefault((rest, tuple(sides[0])), []).append(name)
    return [f"{_named_tensors(tensors)} of {named(few)} {'differ' if _are_many(tensors) else 'differs'}"
            f" from {'those' if _are_many(tensors) else 'that'} of {named(many)}: replicas that ranks"
            " hold have drifted apart" for (few, many), tensors in odd.items()]


def _are_many(tensors):
    return len(tensors) > 1


def _named_tensors(tensors):
    known = [f"'{name}'" for name in tensors if name is not None]
    if not known:
        return "a tensor" if len(tensors) == 1 else f"{len(tensors)} tensors"
    more = f" and {len(tensors) - _NAMED} more" if len(tensors) > _NAMED else ""
    return f"the tensor{'s' if len(tensors) > 1 else ''} {', '.join(known[:_NAMED])}{more}"


def is_replicated(value):
    """Whether other ranks may hold the same box."""
    return _kind(value, {}) is not None


def _kind(value, kinds):
    """What is equal where ranks hold the same box; None for what nobody else holds. kinds: those
    of meshes and placements that were met."""
    if not _memory.is_tensor(value):
        return "whole"
    if not hasattr(value, "device_mesh"):
        return None if _memory.is_cut(value) else "whole"
    key = (id(value.device_mesh), tuple(value.placements))
    if key not in kinds:
        kinds[key] = _kind_in_mesh(value) if _memory.is_cut(value) else "whole"
    return kinds[key]


def _kind_in_mesh(value):
    mesh, here = value.device_mesh, value.device_mesh.get_coordinate()
    replicated = [placement.is_replicate() for placement in value.placements]
    if here is None or not any(replicated) or any(each.is_partial() for each in value.placements):
        return None
    place = tuple(None if whole else at for whole, at in zip(replicated, here))
    return (tuple(mesh.mesh.flatten().tolist()), str(value.placements), place)


def _chosen(names, turn, choice):
    if choice == "all" or len(names) <= _MOST_TENSORS:
        return names
    rounds = -(-len(names) // _MOST_TENSORS)
    return names[random.Random(turn).randrange(rounds)::rounds]


def _digests(tensors, turn, choice):
    sampling = _library.Sampling(ctypes.sizeof(_library.Sampling),
                                 0 if choice == "all" else _STRETCH_BYTES, turn)
    here, elsewhere, places = Records(), [], {}
    for name, value in tensors.items():
        local = getattr(value, "_local_tensor", value)
        if _memory.is_array(local) or (local.is_cpu and _devices.device_of(local) is None):
            places[name] = (here, len(here))
            here.add(name, _memory.memories_of(name, local)[0])
        else:
            places[name] = (elsewhere, len(elsewhere))
            elsewhere.append((name, local))
    made = {id(here): _digests_of(here, sampling), id(elsewhere): _gathered(elsewhere, sampling)}
    return b"".join(made[id(part)][at * _DIGEST_BYTES:at * _DIGEST_BYTES + _KEPT_BYTES]
                    for part, at in places.values())


def _digests_of(records, sampling=None):
    room = ctypes.create_string_buffer(max(1, _DIGEST_BYTES * len(records)))
    _library.call("cairn_digest", records.pack(), len(records), records.element_bytes,
                  None if sampling is None else ctypes.byref(sampling), 0, None, room)
    return room.raw


def _gathered(tensors, sampling):
    """The digests of what a sampling looks at in tensors on a device: only that comes to the host,
    many stretches by one copy."""
    digests, slices, bytes_ = b"", [], 0
    for name, value in tensors:
        where = _sampled_box(name, value, sampling)
        part = value.detach()[where].resolve_conj().resolve_neg()
        slices.append((name, part.contiguous().flatten().view(torch.uint8)))
        bytes_ += len(slices[-1][1])
        if bytes_ >= _GATHERED_BYTES:
            digests += _digests_of_slices(slices)
            slices, bytes_ = [], 0
    return digests + _digests_of_slices(slices)


def _digests_of_slices(slices):
    """Of bytes on devices, of one device in a row."""
    records, hosts = Records(), []
    for _, of_device in itertools.groupby(slices, key=lambda each: each[1].device):
        of_device = list(of_device)
        host, begin = _on_host(torch.cat([part for _, part in of_device])), 0
        hosts.append(host)  # until they are digested
        for name, part in of_device:
            records.add(name, _memory.memory_of_tensor(host[begin:begin + len(part)]))
            begin += len(part)
    return _digests_of(records)


def _on_host(gathered):
    return gathered.cpu()


def _sampled_box(name, value, sampling):
    """As slices."""
    records = Records()
    records.add(name, _memory.Memory(_memory.dtype_name(value.dtype), tuple(value.shape), None, 0,
                                     None))
    axes = ctypes.c_uint64 * max(1, value.dim())
    offsets, lengths = axes(), axes()
    _library.call("cairn_sampled_box", records.pack(), records.element_bytes,
                  ctypes.byref(sampling), offsets, lengths)
    return tuple(slice(offset, offset + length)
                 for offset, length in zip(offsets[:value.dim()], lengths[:value.dim()]))
