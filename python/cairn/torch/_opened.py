"""A tag, opened, with the keys that torch.distributed.checkpoint has for its parts."""

from .. import _memory
from .._checkpoint import Checkpoint
from .._saved import SavedState
from ..errors import NotFoundError
from . import _keys


class OpenedTag:
    """rank: whose values count where ranks have their own.
    Errors: NotFoundError, and others of cairn.Error. Threads: any, to read."""

    def __init__(self, store, tag, rank=0):
        self.checkpoint = Checkpoint(store, tag)
        self.saved = SavedState(self.checkpoint, rank)
        structure = self.saved.structure
        if structure is None:
            structure = {"dict": [[name, "tensor"] for name in self.checkpoint.tensors]}
        self.leaves = _keys.leaves_of(structure)  # key -> (path, node)

    def node(self, key):
        """Errors: NotFoundError."""
        if key not in self.leaves:
            raise NotFoundError(f"there is no '{key}' in the tag '{self.checkpoint.tag}'")
        return self.leaves[key][1]

    def tensor(self, key):
        """(stored name, dtype of PyTorch, shape). Errors: NotFoundError, UsageError."""
        name = _keys.stored_name(key, self.node(key))
        if name not in self.checkpoint.tensors:
            raise NotFoundError(f"'{key}' of the tag '{self.checkpoint.tag}' is no tensor")
        dtype, shape = self.checkpoint.tensors[name]
        return name, _memory.torch_dtype(dtype), shape
