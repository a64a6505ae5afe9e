"""A storage for the package torch_checkpointing: its checkpoints are tags of a store.

    from cairn.adapters.torch_checkpointing import CairnStorageConfig
    config = CheckpointManager.Config(storage_config=CairnStorageConfig("/data/store"))

Each file is there byte for byte, as the tensors in it and the bytes around them. While ranks write a
checkpoint, its files are tags, pinned; the rename that commits it makes one tag of them.
docs/MIGRATION.md says what that costs.
"""

import dataclasses
import errno
import io
import os
import re

from torch_checkpointing.storage.base_storage import Storage, StorageConfig

from .. import _program, _saving
from .._checkpoint import Checkpoint
from .._saved import SavedState
from ..errors import ExistsError, NotFoundError
from ..store import Store
from . import _archives

_KIND = "torch_checkpointing"  # the fact of a tag's metadata that says what it is
_STEP = re.compile(r"(\d+)$")


@dataclasses.dataclass
class CairnStorageConfig(StorageConfig):
    """store: the folder of a store, made when there is none. Checkpoint ids are tags' names; of a
    path, what follows the first slash."""

    store: str

    def create_storage(self):
        return CairnStorage(self.store)


class CairnStorage(Storage):
    """Paths are tags' names, and names of files in a tag. Threads: any; processes: any.
    Errors: OSError as torch_checkpointing has them; else as Store.save and Store.load."""

    mmap_fill_workers = 1  # a stream reads a tensor once when it goes from one to the next

    def __init__(self, store):
        self._store = Store(store, create=True)
        self._made = set()  # folders that nothing is in yet

    def stream_read(self, path, read_args=None):
        tag, key = self._place_of(path)
        return _archives.ArchiveFile(Checkpoint(self._store, tag), key)

    def stream_write(self, path):
        return self.get_write_stream(path, None)

    def get_write_stream(self, path, data):
        return _Written(lambda content: self._keep(path, content, data))

    def write(self, path, data):
        self._keep(path, bytearray(data))

    def delete(self, path):
        tag, _ = self._place_of(path)
        if tag != _name_of(path):
            raise io.UnsupportedOperation(f"'{path}' is a part of the tag '{tag}'; rmdir() takes it")
        self._forget([tag])

    def mkdir(self, path, recursive=True):
        self._made.add(_name_of(path))

    def rmdir(self, path):
        own = [_name_of(path)] if self._kind_of(path) == "folder" else []
        gone = own + [tag.tag for tag in self._tags_below(path)]
        if not gone and _name_of(path) not in self._made:
            raise FileNotFoundError(errno.ENOENT, "there is no such folder", str(path))
        self._made.discard(_name_of(path))
        self._forget(gone)

    def rename(self, src_path, dst_path, is_directory=False, background_cleanup=False):
        kind = self._kind_of(src_path)
        if kind == "file":
            self._rename_file(src_path, dst_path)
            return
        self._refuse_occupied(dst_path)
        if kind == "folder":
            _program.run(self._store.path, "tag", _name_of(dst_path), _name_of(src_path))
            self._forget([_name_of(src_path)])
            return
        files = {os.path.relpath(tag.tag, _name_of(src_path)): tag.tag
                 for tag in self._tags_below(src_path)}
        if not files:
            raise FileNotFoundError(errno.ENOENT, "there is nothing to rename", str(src_path))
        self._commit(files, dst_path)

    def ls(self, path):
        below = {os.path.relpath(tag.tag, _name_of(path)).partition("/")[0]
                 for tag in self._tags_below(path)}
        if self._kind_of(path) == "folder":
            below |= {name.partition("/")[0] for name in self._files_of(_name_of(path))}
        if not below and not self.exists(path):
            raise FileNotFoundError(errno.ENOENT, "there is no such folder", str(path))
        return sorted(below)

    def exists(self, path):
        if self.isdir(path):
            return True
        try:
            self._place_of(path)
        except FileNotFoundError:
            return False
        return True

    def getsize(self, path):
        return self.stream_read(path).size

    def isdir(self, path):
        if _name_of(path) in self._made or self._kind_of(path) == "folder":
            return True
        return self._kind_of(path) is None and bool(self._tags_below(path))

    def remap_path(self, path):
        return f"cairn://{self._store.path}#{_name_of(path)}"

    def _keep(self, path, content, value=None):
        """Saves a file as a tag, compared with the newest checkpoint beside the one it will be in."""
        folder, name = os.path.split(_name_of(path))
        base = _saving.base_of(self._store, folder) if folder else None
        self._store.save(_name_of(path), {name: _archives.take_apart(content, value)}, base=base,
                         metadata={_KIND: "file"}, if_exists="replace", pin=True)

    def _commit(self, files, path):
        """One tag of several files, of all ranks."""
        whole = {name: self._store.load(tag)[os.path.basename(tag)] for name, tag in files.items()}
        step = _STEP.search(_name_of(path))
        try:
            self._store.save(_name_of(path), whole, step=step and int(step[1]),
                             metadata={_KIND: "folder"})
        except ExistsError:
            self._refuse_occupied(path)
            raise
        self._forget(files.values())

    def _rename_file(self, src_path, dst_path):
        if self.isdir(dst_path):
            raise IsADirectoryError(errno.EISDIR, "the destination is a folder", str(dst_path))
        tag, name = _name_of(src_path), os.path.basename(_name_of(dst_path))
        self._store.save(_name_of(dst_path), {name: self._store.load(tag)[os.path.basename(tag)]},
                         metadata={_KIND: "file"}, if_exists="replace", pin=True)
        self._forget([tag])

    def _refuse_occupied(self, path):
        if self._kind_of(path) or self._tags_below(path):
            raise FileExistsError(errno.ENOTEMPTY, "the destination is occupied", str(path))

    def _kind_of(self, path):
        """"file" or "folder" for a tag of this storage; None for what is none."""
        try:
            checkpoint = Checkpoint(self._store, _name_of(path)) if _name_of(path) else None
        except NotFoundError:
            return None
        return checkpoint and checkpoint.metadata.get(_KIND)

    def _tags_below(self, path):
        pattern = f"{_name_of(path)}/*" if _name_of(path) else None
        return [tag for tag in self._store.tags(pattern) if _KIND in tag.metadata]

    def _files_of(self, tag):
        structure = SavedState(Checkpoint(self._store, tag)).structure
        return [name for name, _ in structure["dict"]]

    def _place_of(self, path):
        """(tag, file in it). Errors: FileNotFoundError."""
        name = _name_of(path)
        if self._kind_of(path) == "file":
            return name, os.path.basename(name)
        folder, _, rest = name.rpartition("/")
        while folder:
            if self._kind_of(folder) == "folder" and rest in self._files_of(folder):
                return folder, rest
            folder, _, last = folder.rpartition("/")
            rest = f"{last}/{rest}"
        raise FileNotFoundError(errno.ENOENT, "there is no such file", str(path))

    def _forget(self, tags):
        tags = list(tags)
        if tags:
            self._store.forget(*tags, allow_newest=True, allow_pinned=True)


class _Written(io.RawIOBase):
    """Hands over what was written when it is closed, unless an error ends it."""

    def __init__(self, keep):
        super().__init__()
        self._keep, self._content = keep, bytearray()

    def __exit__(self, kind, *_):
        if kind is not None:
            self._keep = None
        self.close()

    def writable(self):
        return True

    def write(self, data):
        self._content += data
        return len(data)

    def close(self):
        keep, self._keep = self._keep, None
        super().close()
        if keep is not None:
            keep(self._content)


def _name_of(path):
    """"" for the outermost folder."""
    name = os.path.normpath(os.fspath(path)).lstrip("/")
    return "" if name == "." else name
