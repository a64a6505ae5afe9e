"""Which way ranks that load together pass on what several of them want: from device to device, over
a communicator of NCCL that the library makes for the load, or from host to host."""

import collections
import os

from torch import distributed

from ..errors import UsageError

DEVICES, HOST = "devices", "host"
_CHOICE = "CAIRN_PASS_ON"  # of the environment


def wish(group, loads):
    """What this rank says: {"device": CUDA's number, where it would have the communicator}, or None
    there. loads: of Checkpoint.load(). Errors: UsageError for an environment that is no choice."""
    chosen = os.environ.get(_CHOICE) or None
    if chosen not in (None, DEVICES, HOST):
        raise UsageError(f"{_CHOICE} is {chosen!r}", f"it is '{DEVICES}' or '{HOST}', or not set")
    if chosen == HOST or (chosen is None and not _has_nccl(group)):
        return {"device": None}
    return {"device": _most_wanted(loads)}


def way_of(all_told):
    """For the whole job: on devices where all ranks would."""
    on_devices = all(told["device"] is not None for told in all_told)
    return {"way": DEVICES if on_devices else HOST}


def _has_nccl(group):
    return "nccl" in distributed.get_backend_config(group)


def _most_wanted(loads):
    """The device that most of the bytes go to; None where not more than half of all go to some."""
    bytes_ = collections.Counter()
    for _, memory in loads:
        bytes_[memory.device] += memory.owner.nbytes
    on_host = bytes_.pop(None, 0)
    if sum(bytes_.values()) <= on_host:
        return None
    return max(bytes_, key=bytes_.get)
