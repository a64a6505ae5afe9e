"""The tag that a save by several ranks compares with: chosen once, by rank 0."""

import ctypes

from .. import _library, _program
from .._checkpoint import Checkpoint
from ..errors import NotFoundError


def prefix_of(tag):
    """The name up to its last '/', that included: tags that have it in common follow each other."""
    return tag[:tag.rfind("/") + 1]


def choose(store, tag, wanted, last=None):
    """What `cairn_save` would compare with: the tag that is wanted, or the newest of the prefix,
    or "none". store: a cairn.Store. last: what was saved just now, if anything."""
    if wanted is not None:
        return wanted
    prefix = prefix_of(tag)
    if last is not None and prefix_of(last) == prefix and _is_there(store, last):
        return last
    try:
        newest = Checkpoint(store._handle, prefix + "@newest").tag
    except NotFoundError:
        return "none"
    if prefix_of(newest) == prefix:
        return newest
    # The newest below the prefix is in a folder of its own.
    beside = [row["tag"] for row in _program.run(store.path, "ls", prefix + "*")["tags"]
              if prefix_of(row["tag"]) == prefix]
    return beside[0] if beside else "none"


def _is_there(store, tag):
    checkpoint = ctypes.c_void_p()
    try:
        _library.call("cairn_checkpoint_open", store._handle, tag.encode(), ctypes.byref(checkpoint))
    except NotFoundError:
        return False
    _library.loaded().cairn_checkpoint_close(checkpoint)
    return True
