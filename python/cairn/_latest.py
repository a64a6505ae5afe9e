"""What was made of the latest few keys."""

import collections


class Latest:
    """Threads: any; two may make the same thing at once."""

    def __init__(self, most=4):
        self._most = most
        self._made = collections.OrderedDict()

    def find(self, key, make):
        """What make() made of the key; called for what is new."""
        made = self._made.pop(key, None)
        if made is None:
            made = make()
        self._made[key] = made
        while len(self._made) > self._most:
            try:
                self._made.popitem(last=False)
            except KeyError:  # another thread took it
                break
        return made
