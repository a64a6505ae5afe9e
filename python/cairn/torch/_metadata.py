"""DCP's Metadata of a tag, and what of it the tag must keep beside its tensors.

Names, dtypes, shapes and the structure are in every tag, whoever saved it. What a planner says
beyond them goes into one attachment; most tags have none.
"""

import json

import torch
from torch.distributed.checkpoint.metadata import (BytesStorageMetadata, ChunkStorageMetadata,
                                                   Metadata, StorageMeta, TensorProperties,
                                                   TensorStorageMetadata)

from .. import _tree
from ..errors import UsageError
from . import _keys, _planner_data

EXTRAS = "cairn_dcp.json"
_VERSION = "1.0.0"  # of DCP's Metadata
_FORMATS = {"contiguous_format": torch.contiguous_format, "channels_last": torch.channels_last,
            "preserve_format": torch.preserve_format}


def attachments_of(metadata, told, always=False):
    """name -> bytes: the structure and values as Store.save has them of the same state, and what
    does not follow from them. `told`: key -> (node, its values), of all ranks. `always`: the
    structure of a flat dict of tensors too.
    Errors: UsageError for values whose names meet, and planner data that JSON does not hold."""
    paths = metadata.planner_data if _are_paths(metadata.planner_data) else {}
    # In the planner's order, which is the state's: that of `told` depends on who wrote what.
    keys = [key for key in paths if key in told] + [key for key in told if key not in paths]
    structure, leaves = _keys.structure_of({key: told[key][0] for key in keys}, paths)
    flat = _tree.Flat(structure=structure)
    for key in keys:
        for name, value in told[key][1].items():
            if name in flat.values:
                raise UsageError(f"two values of the state are called '{name}' when keys are "
                                 "joined with '.'", "rename one")
            flat.values[name] = value
    _keys.number_parameters(structure, flat.values)
    extras = _extras_of(metadata, leaves)
    if not always and all(node == "tensor" for _, node in structure["dict"]):
        flat.structure = None
    return flat.attachments() | ({} if extras is None else {EXTRAS: extras})


def _are_paths(planner_data):
    return isinstance(planner_data, dict) and all(
        isinstance(path, tuple) and path and all(type(part) in (str, int) for part in path)
        for path in planner_data.values())


def _extras_of(metadata, leaves):
    told = {}
    paths = {key: path for key, (path, _) in leaves.items()}
    if metadata.planner_data is not None and metadata.planner_data != paths:
        told["planner_data"] = _planner_data.encoded(metadata.planner_data)
    properties = {key: _unusual(each.properties)
                  for key, each in metadata.state_dict_metadata.items()
                  if isinstance(each, TensorStorageMetadata)}
    properties = {key: unusual for key, unusual in sorted(properties.items()) if unusual}
    if properties:
        told["properties"] = properties
    return json.dumps(told, separators=(",", ":")).encode() if told else None


def metadata_of(opened, load_id=None):
    """What DCP's planners need of a tag. Each tensor is one chunk: Cairn loads any box of it, and
    plans stay small however many ranks have saved it."""
    checkpoint = opened.checkpoint
    kept = opened.saved.read(EXTRAS)
    told = {} if kept is None else json.loads(kept)
    properties = told.get("properties", {})
    entries = {key: _entry(*opened.tensor(key)[1:], properties.get(key, {}))
               if _keys.is_tensor(node) else BytesStorageMetadata()
               for key, (_, node) in opened.leaves.items()}
    paths = {key: path for key, (path, _) in opened.leaves.items()}
    planner_data = _planner_data.decoded(told["planner_data"]) if "planner_data" in told else paths
    made = Metadata(entries, planner_data=planner_data, storage_data={})
    finish(made, StorageMeta(checkpoint_id=checkpoint.tag, save_id=checkpoint.manifest,
                             load_id=load_id))
    return made


def finish(metadata, storage_meta):
    """What a storage adds to a planner's metadata."""
    # A field since PyTorch 2.8 only.
    metadata.version, metadata.storage_meta = _VERSION, storage_meta


def _entry(dtype, shape, unusual):
    words = dict(unusual)
    if "memory_format" in words:
        words["memory_format"] = _FORMATS[words["memory_format"]]
    chunk = ChunkStorageMetadata(torch.Size([0] * len(shape)), torch.Size(shape))
    return TensorStorageMetadata(TensorProperties(dtype=dtype, **words),
                                 torch.Size(shape), [chunk])


def _unusual(properties):
    """Field -> word, for what is not as a new tensor is. Where the memory lay is left out."""
    words = {}
    if properties.requires_grad:
        words["requires_grad"] = True
    for word, known in _FORMATS.items():
        if properties.memory_format == known != torch.contiguous_format:
            words["memory_format"] = word
    return words
