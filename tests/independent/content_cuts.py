"""Where content is cut, by docs/FORMAT.md, section 5, alone: plain sums."""

import numpy as np


def hashes(data):
    """The hash at each word."""
    words = np.frombuffer(data[:len(data) // 4 * 4], "<u4").astype(np.uint64)
    mixed = (words * 0x9E3779B1 + 0x85EBCA6B) & 0xFFFFFFFF
    mixed ^= mixed >> 15
    found = np.zeros(len(words), np.uint64)
    for back in range(min(32, len(words))):
        found[back:] += mixed[:len(words) - back] << back
    return found & 0xFFFFFFFF


def content_cuts(data, average):
    """The lengths of the chunks."""
    threshold = 2**32 // (3 * average // 16)
    ends = (np.flatnonzero(hashes(data) <= threshold) + 1) * 4
    lengths, begin = [], 0
    while begin < len(data):
        fitting = ends[(ends >= begin + average // 4) & (ends <= begin + 4 * average)]
        end = min(int(fitting[0]) if len(fitting) else begin + 4 * average, len(data))
        lengths.append(end - begin)
        begin = end
    return lengths
