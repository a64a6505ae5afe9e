"""Whether the ranks of a save find by digests what several of them hold, or by names.

By names each rank reads its share and trusts the others for the rest, but for a sample
(_tripwires.py). By digests it reads all that others have too, and what differs is seen whole: on a
device that costs next to nothing, in the host's memory as much as the save.
"""

from .. import _devices
from ._tripwires import is_replicated


def are_digested(tensors, ranks, compare):
    """compare: of _tripwires.CHOICES. tensors: of this rank, name -> tensor or array."""
    if compare == "none" or ranks.labels != list(range(ranks.size)):
        return False  # the library calls ranks by their numbers
    on_devices, all_bytes = 0, 0
    for value in tensors.values():
        local = getattr(value, "_local_tensor", value)
        bytes_ = getattr(local, "nbytes", 0)
        all_bytes += bytes_
        if _is_on_device(local) and is_replicated(value):
            on_devices += bytes_
    return 2 * on_devices > all_bytes


def _is_on_device(local):
    return hasattr(local, "is_cuda") and _devices.device_of(local) is not None
