"""Which rank stores what of a state that several ranks hold."""

import hashlib
import re

from .. import _memory
from ._forms import formed, is_plain

# Parts of names that say what a tensor is to its parameter, or which dict it came from.
_ROLE_WORDS = re.compile(r"(?:^|\.)(?:model|module|optim|optimizer|state|step|master|exp_avg|"
                         r"exp_avg_sq|max_exp_avg_sq|momentum_buffer)(?=\.|$)")


def outline(tensors, structure=b""):
    """A text that is equal on ranks whose states have the same names, dtypes, shapes and cuts, and
    the same structure around them."""
    told = formed(tensors).latest.find("outline", lambda: _outline(tensors))
    return hashlib.blake2b(told + structure, digest_size=16).hexdigest()


def _outline(tensors):
    digest = hashlib.blake2b()
    for name, value in tensors.items():
        cut = getattr(value, "placements", hasattr(value, "local_shards"))
        digest.update(f"{name}\0{value.dtype}\0{tuple(value.shape)}\0{cut}\n".encode())
    return digest.digest()


def share_of(tensors, ranks, alike, given=None):
    """Those that this rank stores, by name, so that each box is stored by one rank. What all hold
    is dealt out by bytes, the tensors of one parameter to one rank: they are encoded together.
    alike: the ranks whose outlines are equal; they all come to the same answer. given: {name:
    (role, parameter)}, as far as it is known."""
    given = given or {}
    key = ("share", ranks.rank, tuple(ranks.labels), tuple(alike), tuple(given.items()))
    mine = formed(tensors).latest.find(key, lambda: _names_of_share(tensors, ranks, alike, given))
    return {name: tensors[name] for name in mine}


def _names_of_share(tensors, ranks, alike, given):
    def cluster_of(name):
        return given.get(name, (None, ""))[1] or without_role(name)

    held = {}  # holders -> names
    known = {}  # mesh and placements -> holders
    for name, value in tensors.items():
        held.setdefault(_holders(value, ranks, tuple(alike), known), []).append(name)
    mine = set()
    for holders, names in held.items():
        sizes = {name: tensors[name].nbytes for name in names}
        mine.update(dealt(names, sizes, cluster_of, holders.index(ranks.rank), len(holders)))
    return [name for name in tensors if name in mine]


def without_role(name):
    """What the names of a parameter's tensors have in common, as DCP's state dicts have them."""
    return _ROLE_WORDS.sub("", name).lstrip(".")


def dealt(keys, sizes, cluster_of, place, places):
    """Those of one of several places: a run of the clusters as long as the others' in bytes."""
    if places == 1:
        return keys
    clusters = {}
    for key in keys:
        clusters.setdefault(cluster_of(key), []).append(key)
    total, begin, mine = max(1, sum(sizes.values())), 0, []
    for members in clusters.values():
        bytes_ = sum(sizes[key] for key in members)
        if min((2 * begin + bytes_) * places // (2 * total), places - 1) == place:
            mine += members
        begin += bytes_
    return mine


def _holders(value, ranks, alike, known):
    """The ranks that hold the same box as this one."""
    if is_plain(value):
        return alike
    if not _memory.is_tensor(value) or not hasattr(value, "device_mesh"):
        is_cut = _memory.is_tensor(value) and _memory.is_cut(value)
        return (ranks.rank,) if is_cut else alike
    key = (id(value.device_mesh), tuple(value.placements))
    if key not in known:
        known[key] = _holders_in_mesh(value, ranks, alike)
    return known[key]


def _holders_in_mesh(value, ranks, alike):
    mesh = value.device_mesh
    here = mesh.get_coordinate()
    if not _memory.is_cut(value):
        return alike
    if here is None:
        return (ranks.rank,)
    same = mesh.mesh[tuple(slice(None) if placement.is_replicate() else here[axis]
                           for axis, placement in enumerate(value.placements))]
    holders = tuple(ranks.labels.index(rank) if rank in ranks.labels else -1
                    for rank in same.flatten().tolist())
    return holders if set(holders) <= set(alike) else (ranks.rank,)
