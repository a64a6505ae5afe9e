"""cairn:///folder/of/the/store#tag for code that only takes a path.

dcp.save, dcp.load and dcp.async_save without a writer or reader ask fsspec whether it knows the
scheme, and then make an FsspecWriter or FsspecReader, which know nothing but files. A state in
such files would be opaque to Cairn: no tensor, no chunk in common with the next step. So, for
cairn:// and nothing else, making one of the two makes a StorageWriter or StorageReader instead.

The file system itself shows tags as folders, for code that looks whether a checkpoint is there.
It opens no files.
"""

import fsspec
from torch.distributed.checkpoint._fsspec_filesystem import FsspecReader, FsspecWriter

from ..store import Store
from . import _ids
from ._reader import StorageReader
from ._writer import StorageWriter


class CairnFileSystem(fsspec.AbstractFileSystem):
    """Tags of a store as folders; "/" in their names parts them."""

    protocol = "cairn"

    @classmethod
    def _strip_protocol(cls, path):
        return path.removeprefix(_ids.SCHEME).rstrip("/")

    def ls(self, path, detail=True, **kwargs):
        """What lies directly below. Errors: FileNotFoundError, those of cairn.Store."""
        folder, mark, prefix = self._strip_protocol(path).partition("#")
        tags = [tag.tag for tag in Store(folder).tags()]
        below = prefix + "/" if prefix else ""
        if prefix and prefix not in tags and not any(tag.startswith(below) for tag in tags):
            raise FileNotFoundError(path)
        words = {tag[len(below):].split("/")[0] for tag in tags if tag.startswith(below)}
        names = sorted(f"{folder}#{below}{word}" for word in words)
        return [_folder(name) for name in names] if detail else names

    def info(self, path, **kwargs):
        """Errors: FileNotFoundError for what is no tag and has none below."""
        self.ls(path)
        return _folder(self._strip_protocol(path))

    def _open(self, path, mode="rb", **kwargs):
        raise NotImplementedError(f"'{path}': a store has no files to open; use cairn.torch's "
                                  "StorageWriter and StorageReader, or cairn.Store")


def _folder(name):
    return {"name": name, "size": 0, "type": "directory"}


def _make_writer(cls, path="", *args, **options):
    if cls is FsspecWriter and _ids.is_url(path):
        return StorageWriter(checkpoint_id=path, overwrite=options.get("overwrite", True))
    return object.__new__(cls)


def _make_reader(cls, path="", *args, **options):
    if cls is FsspecReader and _ids.is_url(path):
        return StorageReader(checkpoint_id=path)
    return object.__new__(cls)


def register():
    """Makes the scheme known in this process. An installed package is found by fsspec itself."""
    fsspec.register_implementation("cairn", CairnFileSystem, clobber=True)
    FsspecWriter.__new__ = _make_writer
    FsspecReader.__new__ = _make_reader
