"""A tag, opened, with the keys that torch.distributed.checkpoint has for its parts."""

from .. import _memory, _tree
from .._checkpoint import Checkpoint
from ..errors import NotFoundError
from . import _keys


class OpenedTag:
    """Errors: NotFoundError, and others of cairn.Error. Threads: any, to read."""

    def __init__(self, store, tag):
        self.checkpoint = Checkpoint(store._handle, tag)
        structure, self.values = _tree.load_structure(self.checkpoint.attachment)
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
