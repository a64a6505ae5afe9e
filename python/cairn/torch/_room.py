"""Host memory that snapshots are taken into: one piece, touched, and kept from save to save."""

import contextlib
import mmap
import sys

import torch

_ALIGN = 64  # bytes: a cache line, and more than any dtype needs
_MADV_WIPEONFORK = 18  # Linux 4.14


@contextlib.contextmanager
def own_mode():
    """Whatever the caller's: what is made here outlives it."""
    with torch.inference_mode(False), torch.device("cpu"):
        yield


def room(bytes_, *, pinned=False, shared=False):
    """A tensor of bytes, all of whose pages are there.

    pinned: what GPUs copy to without a detour; shared: other processes may map it.
    Else it is in huge pages where the kernel has some, and a forked child finds zeros in its place:
    writing to it again then copies no page for a data loader's sake.
    """
    if shared:
        made = torch.empty(bytes_, dtype=torch.uint8).share_memory_()
    elif pinned or not sys.platform.startswith("linux") or bytes_ == 0:
        made = torch.empty(bytes_, dtype=torch.uint8, pin_memory=pinned)
    else:
        made = _anonymous(bytes_)
    return made.zero_()


def _anonymous(bytes_):
    memory = mmap.mmap(-1, bytes_, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for advice in (mmap.MADV_HUGEPAGE, _MADV_WIPEONFORK):
        try:
            memory.madvise(advice)
        except OSError:  # a kernel without it: slower, no less right
            pass
    return torch.frombuffer(memory, dtype=torch.uint8)


def cut(room_, shapes_and_dtypes):
    """Tensors in a room, one after the other, row-major."""
    made, begin = [], 0
    for shape, dtype in shapes_and_dtypes:
        end = begin + shape.numel() * dtype.itemsize
        made.append(room_[begin:end].view(dtype).view(shape))
        begin = _aligned(end)
    return made


def bytes_of(shapes_and_dtypes):
    """The room that cut() needs."""
    return sum(_aligned(shape.numel() * dtype.itemsize) for shape, dtype in shapes_and_dtypes)


def _aligned(bytes_):
    return -(-bytes_ // _ALIGN) * _ALIGN
