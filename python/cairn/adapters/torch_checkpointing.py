"""A storage for the package torch_checkpointing: its checkpoints are tags of a store.

    from cairn.adapters.torch_checkpointing import CairnStorageConfig
    config = CheckpointManager.Config(storage_config=CairnStorageConfig("/data/store"))

Each file is there byte for byte, as the tensors in it and the bytes around them. While ranks write
a checkpoint, its files are tags, pinned; the rename that commits it makes one tag of them.
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
from ..errors import ExistsError
from ..store import Store
from . import _archives
from ._folders import KIND, Folders, name_of

_STEP = re.compile(r"(\d+)$")  # of a checkpoint's name


@dataclasses.dataclass
class CairnStorageConfig(StorageConfig):
    """Makes a CheckpointManager save to a store. Checkpoint ids are tags' names; of a path, what
    follows the first slash.

    store: the folder of a store, made when there is none."""

    store: str

    def create_storage(self):
        return CairnStorage(self.store)


class CairnStorage(Storage):
    """Paths are tags' names, and names of files in a tag.

    store: the folder of a store, made when there is none.
    Threads: any; processes: any.
    Errors: OSError as torch_checkpointing has them; else as Store.save and Store.load."""

    mmap_fill_workers = 1  # a stream reads a tensor once when it goes from one to the next

    def __init__(self, store):
        self._store = Store(store, create=True)
        self._folders = Folders(self._store)
        self._made = set()  # folders that nothing is in yet

    def stream_read(self, path, read_args=None):
        tag, key = self._folders.place_of(path)
        return _archives.ArchiveFile(Checkpoint(self._store, tag), key)

    def stream_write(self, path):
        return self.get_write_stream(path, None)

    def get_write_stream(self, path, data):
        return _Written(lambda content: self._keep(path, content, data))

    def write(self, path, data):
        self._keep(path, bytearray(data))

    def delete(self, path):
        tag, _ = self._folders.place_of(path)
        if tag != name_of(path):
            raise io.UnsupportedOperation(f"'{path}' is a part of the tag '{tag}', which rmdir() "
                                          "takes away")
        self._folders.forget([tag])

    def mkdir(self, path, recursive=True):
        self._made.add(name_of(path))

    def rmdir(self, path):
        own = [name_of(path)] if self._folders.kind_of(path) == "folder" else []
        gone = own + self._folders.tags_below(path)
        if not gone and name_of(path) not in self._made:
            raise FileNotFoundError(errno.ENOENT, "there is no such folder", str(path))
        self._made.discard(name_of(path))
        self._folders.forget(gone)

    def rename(self, src_path, dst_path, is_directory=False, background_cleanup=False):
        kind, source = self._folders.kind_of(src_path), name_of(src_path)
        if kind == "file":
            self._rename_file(source, dst_path)
            return
        self._folders.refuse_occupied(dst_path)
        if kind == "folder":
            _program.run(self._store.path, "tag", name_of(dst_path), source)
            self._folders.forget([source])
            return
        files = {os.path.relpath(tag, source): tag for tag in self._folders.tags_below(src_path)}
        if not files:
            raise FileNotFoundError(errno.ENOENT, "there is nothing to rename", str(src_path))
        self._commit(files, dst_path)

    def ls(self, path):
        below = self._folders.names_in(path)
        if not below and not self.isdir(path):
            raise FileNotFoundError(errno.ENOENT, "there is no such folder", str(path))
        return below

    def exists(self, path):
        if self.isdir(path):
            return True
        try:
            self._folders.place_of(path)
        except FileNotFoundError:
            return False
        return True

    def getsize(self, path):
        return self.stream_read(path).size

    def isdir(self, path):
        kind = self._folders.kind_of(path)
        return (name_of(path) in self._made or kind == "folder"
                or (kind is None and bool(self._folders.tags_below(path))))

    def remap_path(self, path):
        return f"cairn://{self._store.path}#{name_of(path)}"

    def _keep(self, path, content, value=None):
        """Saves a file as a tag, compared with the newest checkpoint beside its own."""
        folder, name = os.path.split(name_of(path))
        base = _saving.base_of(self._store, folder) if folder else None
        self._store.save(name_of(path), {name: _archives.take_apart(content, value)}, base=base,
                         metadata={KIND: "file"}, if_exists="replace", pin=True)

    def _commit(self, files, path):
        """One tag of several files, of all ranks."""
        whole = {name: self._load_file(tag) for name, tag in files.items()}
        step = _STEP.search(name_of(path))
        try:
            self._store.save(name_of(path), whole, step=step and int(step[1]),
                             metadata={KIND: "folder"})
        except ExistsError:
            self._folders.refuse_occupied(path)
            raise
        self._folders.forget(list(files.values()))

    def _rename_file(self, tag, path):
        if self.isdir(path):
            raise IsADirectoryError(errno.EISDIR, "the destination is a folder", str(path))
        state = {os.path.basename(name_of(path)): self._load_file(tag)}
        self._store.save(name_of(path), state, metadata={KIND: "file"}, if_exists="replace",
                         pin=True)
        self._folders.forget([tag])

    def _load_file(self, tag):
        return self._store.load(tag)[os.path.basename(tag)]


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
