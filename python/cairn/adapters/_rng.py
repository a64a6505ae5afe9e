"""States of random number generators as tensors, arrays and plain values, and back.

The Python libraries that keep them pickle tuples; here nothing is executed when they are read.
"""

import random

import numpy
import torch


def states():
    """Of this process: {"python": ..., "numpy": ..., "torch": ..., "cuda": [...]}."""
    version, words, gauss = random.getstate()
    kind, keys, position, has_gauss, cached = numpy.random.get_state()
    taken = {"python": {"version": version, "words": torch.tensor(words), "gauss": gauss},
             "numpy": {"kind": kind, "keys": keys.copy(), "position": position,
                       "has_gauss": has_gauss, "gauss": cached},
             "torch": torch.get_rng_state()}
    if torch.cuda.is_available():
        taken["cuda"] = torch.cuda.get_rng_state_all()
    return taken


def of_python(taken):
    """What random.setstate() takes."""
    own = taken["python"]
    return own["version"], tuple(own["words"].tolist()), own["gauss"]


def of_numpy(taken):
    """What numpy.random.set_state() takes."""
    own = taken["numpy"]
    return own["kind"], own["keys"], own["position"], own["has_gauss"], own["gauss"]


def restore(taken):
    """Gives this process the states; those of devices where there are any."""
    random.setstate(of_python(taken))
    numpy.random.set_state(of_numpy(taken))
    torch.set_rng_state(taken["torch"])
    if torch.cuda.is_available() and "cuda" in taken:
        torch.cuda.set_rng_state_all(taken["cuda"])
