"""Cairn for PyTorch: saves that training does not wait for, saves by several ranks, roles told by
optimizers; torch.distributed.checkpoint saves to a store and loads from it.

    saver = cairn.torch.AsyncSaver("/data/store")
    saver.save("run7/step-100", {"model": model.state_dict(), "optimizer": optimizer.state_dict()})

    from torch.distributed import checkpoint as dcp
    from cairn.torch import StorageReader, StorageWriter
    dcp.save(state, storage_writer=StorageWriter("/data/store"), checkpoint_id="run7/step-100")
    dcp.load(state, storage_reader=StorageReader("/data/store"), checkpoint_id="run7/@newest")
"""

from ._async_saver import AsyncSaver
from ._device_options import device_options, devices
from ._live_roles import roles_of
from ._ranks import Ranks
from ._reader import StorageReader
from ._stager import AsyncStager
from ._torch_save_reader import TorchSaveReader
from ._writer import StorageWriter

__all__ = ["AsyncSaver", "AsyncStager", "Ranks", "StorageReader", "StorageWriter",
           "TorchSaveReader", "device_options", "devices", "roles_of"]

try:
    from . import _fsspec
except ImportError:  # no fsspec: then cairn:// is for writers and readers that are given
    pass
else:
    _fsspec.register()
