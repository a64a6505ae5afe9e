"""Where a tag of DCP's lies: the store that a writer or reader was given, and a checkpoint_id."""

from ..errors import UsageError
from ..store import Store, place_of
from . import _ids


class Place:
    """A store, opened when it is first needed, and the tag in it. Pickles.

    store: a Store, a path or URL, or None where checkpoint ids name it.
    create: whether this process makes one at a path where there is none; one of several does.
    """

    def __init__(self, store, checkpoint_id):
        self._given = store
        self.create = False
        self._opened = None
        self.checkpoint_id = checkpoint_id

    def __getstate__(self):
        return self.__dict__ | {"_opened": None}

    def reset(self, checkpoint_id):
        if checkpoint_id is not None:
            self.checkpoint_id = checkpoint_id

    @property
    def tag(self):
        """Errors: UsageError when no checkpoint_id was given, or one that names no tag."""
        if self.checkpoint_id is None:
            raise UsageError("no checkpoint_id says which tag is meant",
                             "give checkpoint_id=\"run7/step-100\"")
        return _ids.split(self.checkpoint_id)[1]

    @property
    def store(self):
        """Errors: UsageError without one, or with two; those of Store."""
        named = self.checkpoint_id and _ids.split(self.checkpoint_id)[0]
        given = self._given
        if given is None and not named:
            raise UsageError("no store is given", "give StorageWriter or StorageReader a path, or "
                             "checkpoint_id=\"cairn:///folder/of/the/store#tag\"")
        if given is not None and named and place_of(given) != place_of(named):
            raise UsageError(f"two stores are given: '{place_of(given)}' and '{named}'",
                             "give checkpoint_id a tag's name only")
        if isinstance(given, Store):
            return given
        path = place_of(given or named)
        if self._opened is None or self._opened.path != path:
            self._opened = Store(path, create=self.create)
        return self._opened


class Placed:
    """What a writer and a reader tell DCP of their place, self._place."""

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id):
        return _ids.is_url(checkpoint_id)

    @property
    def checkpoint_id(self):
        """What names the tag, as it was given."""
        return self._place.checkpoint_id
