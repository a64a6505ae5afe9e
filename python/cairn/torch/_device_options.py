"""How much of the machine calls with tensors on CUDA devices take."""

from .. import _devices
from ..errors import UsageError


def device_options(*, pinned_bytes=None, slab_bytes=None, device_bytes=None, multiprocessors=None):
    """What saves and loads of tensors on CUDA devices work with in this process, from the next call
    on; what was kept from call to call for them is given back. Without arguments: as at the start.

    pinned_bytes: of the host's memory, for what waits for the disk (512 MiB). A save that has more to
    store waits for the disk before the tensors may change.
    slab_bytes: what travels at a time (32 MiB; 64 KiB to 4 GiB).
    device_bytes: of each device's memory, from PyTorch's allocator (256 MiB, or 4 slabs where these
    are more). Of less than three slabs and some more nothing is used: then all bytes travel, and the
    host digests them.
    multiprocessors: of each device, at most, for digests (all). The rest stay the training's.
    Threads: any; calls under way go on with what they have.
    Errors: UsageError for what is no number; for slabs of other sizes, by the next call.
    """
    given = {"pinned_bytes": pinned_bytes, "slab_bytes": slab_bytes, "device_bytes": device_bytes,
             "multiprocessors": multiprocessors}
    for name, value in given.items():
        most = 1 << (31 if name == "multiprocessors" else 52)
        if value is not None and (type(value) is not int or not 0 < value <= most):
            raise UsageError(f"{name} is {value!r}", "it is a number above 0, or None")
    _devices.set_options(_devices.Options(**{name: value or 0 for name, value in given.items()}))


def devices():
    """On how many CUDA devices the library reads and fills tensors where they lie. 0: tensors are
    copied to the host first; docs/INSTALL.md says what it needs. Threads: any."""
    return _devices.count()
