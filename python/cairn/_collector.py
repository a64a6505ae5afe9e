"""Python's garbage collector stands still for a moment."""

import contextlib
import gc


@contextlib.contextmanager
def paused():
    """While a state of many tensors is taken apart. What that makes is gone soon; were it counted,
    every few saves would look through all objects of the program, which takes longer than the
    save's call itself."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
