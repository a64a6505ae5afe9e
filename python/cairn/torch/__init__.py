"""Cairn for PyTorch: asynchronous saves, and saves by several ranks."""

from ._ranks import Ranks

__all__ = ["Ranks"]
