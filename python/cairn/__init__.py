"""Cairn: a content-addressed checkpoint store for model training.

    import cairn
    store = cairn.Store("/data/store", create=True)
    store.save("run7/step-100", {"model": model.state_dict(), "optimizer": optimizer.state_dict()},
               step=100)
    state = store.load("run7/@newest")
"""

import importlib

from ._library import loaded
from .errors import (AuthError, BusyError, CancelledError, CorruptError, Error, ExistsError,
                     NewerFormatError, NoSpaceError, NoStoreError, NotFoundError, PartialError,
                     ProtectedError, StateWarning, UnreachableError, UsageError)
from .store import Store, Tag


def __getattr__(name):
    if name == "torch":  # which imports PyTorch
        return importlib.import_module("cairn.torch")
    if name == "__version__":
        return loaded().cairn_version_text().decode()
    raise AttributeError(f"module 'cairn' has no attribute '{name}'")


__all__ = ["AuthError", "BusyError", "CancelledError", "CorruptError", "Error", "ExistsError",
           "NewerFormatError", "NoSpaceError", "NoStoreError", "NotFoundError", "PartialError",
           "ProtectedError", "StateWarning", "Store", "Tag", "UnreachableError", "UsageError"]
