"""What all saves have in common, by one process or several, waited for or not: who stores what,
compared with which base."""

import contextlib
import dataclasses

from .. import _saving, _tree
from . import _replicas, _shares, _structures, _together, _tripwires
from ._forms import FormedTensors
from ._ranks import TIMEOUT, Ranks


@dataclasses.dataclass
class Begun:
    """A save that may go on: its tensors may be read."""

    store: object
    request: object  # _saving.Request
    tensors: dict  # those that this rank stores
    word: str = "go"
    given: object = None  # {tensor's name: (role, parameter)}
    exchange: object = None  # None: this process saves alone
    structure: object = None
    by_digest: bool = False  # `tensors` are all that this rank holds: digests tell who stores what

    @property
    def rank(self):
        return 0 if self.exchange is None else self.exchange.ranks.rank

    def finish(self, boxes, base_boxes=()):
        """Saves; boxes are those of `tensors`. Returns what _saving.save() does."""
        if self.exchange is None:
            return _saving.save(self.store, self.request, boxes, base_boxes)
        return _together.save(self.store, self.exchange, self.request, boxes, base_boxes,
                              self.structure, self.by_digest)

    @contextlib.contextmanager
    def withdrawn_on_error(self):
        """Lets the other ranks know when this one cannot finish."""
        try:
            yield
        except BaseException as error:
            if self.exchange is not None:
                _together.withdraw(self.exchange, error, self.by_digest)
            raise


def begin(store, ranks, request, take_apart, compare="sampled", decide=lambda: "go",
          may_digest=True):
    """take_apart(): the flattened state; it also completes the request. decide(): "go" or "skip",
    asked on rank 0. Both may raise: then this does, on all ranks. compare: replicas
    (of Store.save()). may_digest: whether this rank may be given all that it holds."""
    if ranks is None or ranks.size == 1:
        _check(request, compare)
        if (word := decide()) == "skip":
            return Begun(store, request, {}, word)
        flat = take_apart()
        return Begun(store, request, flat.tensors, word, _described(request, flat))
    flat = None

    def bring():
        nonlocal flat
        _check(request, compare)
        flat = take_apart()
        flat.tensors = FormedTensors(flat.tensors)
        outline = _shares.outline(flat.tensors, request.attachments.get(_tree.STRUCTURE, b""))
        turn = _tripwires.turn_of(request.tag, request.step)
        by_digest = may_digest and _replicas.are_digested(flat.tensors, ranks, compare)
        # What is digested anyway is compared whole.
        seals = {} if by_digest else _tripwires.seals(flat.tensors, turn, compare)
        return request.tag, request.step, outline, seals, by_digest

    def answer():
        return decide(), request.base or _saving.base_of(store, request.tag)

    agreed = _together.agree(ranks, request.tag, bring, answer)
    if agreed.word == "skip":
        return Begun(store, request, {}, agreed.word)
    request.base, request.warnings = agreed.base, agreed.warnings
    begun = Begun(store, request, flat.tensors, agreed.word, None, agreed.exchange,
                  by_digest=agreed.by_digest)
    with begun.withdrawn_on_error():
        begun.given = _described(request, flat)
        if not begun.by_digest:
            begun.tensors = _shares.share_of(flat.tensors, ranks, agreed.alike, begun.given)
        begun.structure = _structure_to_tell(flat, ranks.rank, agreed.alike)
    return begun


def _check(request, compare):
    _saving.check(request)
    _saving.check_comparison(compare)


def _described(request, flat):
    """The roles of tensors; the request gets the numbers of the step."""
    return _saving.describe(request, flat.tensors, flat.values)


def _structure_to_tell(flat, rank, alike):
    """Of the first rank of those that are alike."""
    if rank != alike[0]:
        return None
    if rank != 0:
        _structures.refuse_objects(flat)
    return _structures.Structure.of(flat)


def save(store, group, request, take_apart, compare, timeout):
    """Saves together with the ranks of a group (None: of the job), and waits."""
    ranks = Ranks.of(group, timeout=TIMEOUT if timeout is None else timeout)
    begun = begin(store, ranks, request, take_apart, compare)
    with begun.withdrawn_on_error():
        boxes = _saving.boxes_of(begun.tensors, begun.given, begun.rank)
    return begun.finish(boxes)
