"""Cairn's writer and reader for code that thinks of a folder for each checkpoint."""
import os

from cairn.torch import StorageReader, StorageWriter

_TAG = "checkpoint"


def _id_of(path):
    return f"cairn://{os.path.join(os.path.abspath(os.fspath(path)), 'cairn')}#{_TAG}"


class _InFolder:
    """self.path: the folder that stands for a checkpoint."""

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id):
        return "://" not in str(checkpoint_id)

    def reset(self, checkpoint_id=None):
        if checkpoint_id is not None:
            self.path = checkpoint_id
        super().reset(_id_of(self.path))


class PathWriter(_InFolder, StorageWriter):
    """Takes what FileSystemWriter takes; how files are written means nothing here."""

    def __init__(self, path, *args, overwrite=True, **options):
        super().__init__(checkpoint_id=_id_of(path), overwrite=overwrite)
        self.path = path

    def set_up_storage_writer(self, *args, **kwargs):
        os.makedirs(self.path, exist_ok=True)
        super().set_up_storage_writer(*args, **kwargs)


class PathReader(_InFolder, StorageReader):
    """Takes what FileSystemReader takes."""

    def __init__(self, path, *args, **options):
        super().__init__(checkpoint_id=_id_of(path))
        self.path = path
