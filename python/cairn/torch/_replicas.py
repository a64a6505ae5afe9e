"""Whether the ranks of a save find by digests what several of them hold, or by names.

By names each rank reads its share and trusts the others for the rest, but for a sample
(_tripwires.py). By digests it reads all that others have too, and what differs is seen whole: on a
device that is soon done, in the host's memory it takes as long as the save.
"""

from .. import _devices
from ._tripwires import is_replicated

_HOST_SHARE = 10  # one of so many bytes may be in the host's memory


def are_digested(tensors, ranks, compare):
    """compare: as for Store.save(). tensors: of this rank, name -> tensor or array."""
    if compare == "none" or ranks.labels != list(range(ranks.size)):
        return False  # the library calls ranks by their numbers
    replicas, on_host, all_bytes = 0, 0, 0
    for value in tensors.values():
        local = getattr(value, "_local_tensor", value)
        bytes_ = getattr(local, "nbytes", 0)
        all_bytes += bytes_
        if not _is_on_device(local):
            on_host += bytes_
        elif is_replicated(value):
            replicas += bytes_
    return 2 * replicas > all_bytes and _HOST_SHARE * on_host <= all_bytes


def _is_on_device(local):
    return hasattr(local, "is_cuda") and _devices.device_of(local) is not None
