"""Tags as folders of files: a file that nobody has put into a folder yet is a tag, and a folder
that was made of files is one."""

import errno
import os

from .._checkpoint import Checkpoint
from .._saved import SavedState
from ..errors import NotFoundError

KIND = "torch_checkpointing"  # the fact of a tag's metadata that says which of the two it is


def name_of(path):
    """The tag's name that a path is; "" for the outermost folder."""
    name = os.path.normpath(os.fspath(path)).lstrip("/")
    return "" if name == "." else name


class Folders:
    """What there is of both in a store. Other tags are none. Threads: any."""

    def __init__(self, store):
        self._store = store

    def kind_of(self, path):
        """"file" or "folder" for a tag that is one; None for what is none."""
        try:
            checkpoint = Checkpoint(self._store, name_of(path)) if name_of(path) else None
        except NotFoundError:
            return None
        return checkpoint and checkpoint.metadata.get(KIND)

    def tags_below(self, path):
        pattern = f"{name_of(path)}/*" if name_of(path) else None
        return [tag.tag for tag in self._store.tags(pattern) if KIND in tag.metadata]

    def names_in(self, path):
        """What is right below a folder."""
        below = {os.path.relpath(tag, name_of(path) or ".") for tag in self.tags_below(path)}
        if self.kind_of(path) == "folder":
            below |= set(self._files_of(name_of(path)))
        return sorted({name.partition("/")[0] for name in below})

    def place_of(self, path):
        """(tag, file in it). Errors: FileNotFoundError."""
        name = name_of(path)
        if self.kind_of(path) == "file":
            return name, os.path.basename(name)
        folder, _, rest = name.rpartition("/")
        while folder:
            if self.kind_of(folder) == "folder" and rest in self._files_of(folder):
                return folder, rest
            folder, _, last = folder.rpartition("/")
            rest = f"{last}/{rest}"
        raise FileNotFoundError(errno.ENOENT, "there is no such file", str(path))

    def refuse_occupied(self, path):
        """Errors: FileExistsError."""
        if self.kind_of(path) or self.tags_below(path):
            raise FileExistsError(errno.ENOTEMPTY, "the destination is occupied", str(path))

    def forget(self, tags):
        if tags:
            self._store.forget(*tags, allow_newest=True, allow_pinned=True)

    def _files_of(self, tag):
        structure = SavedState(Checkpoint(self._store, tag)).structure
        return [name for name, _ in structure["dict"]]
