"""What the tensors of a state are to its optimizers, told from the state itself.

A store predicts an optimizer's state from the tag before when it knows which tensors are the
weight, the master and the moments of one parameter, and with which numbers it was stepped
(docs/REDUCTIONS.md). What is wrong or missing here costs bytes, nothing else.
"""

import dataclasses
import glob
import math

from . import _optimizers, _pairing
from ._latest import Latest

# Keys of metadata that say something of the step.
_FACTS = ("optimizer", "lr", "beta1", "beta2", "eps", "weight_decay", "clip", "momentum",
          "dampening")


def of_save(roles, tensors, values, metadata):
    """What a save was told as `roles`, as the request and its boxes take it: (roles, {tensor's
    name: (role, parameter)}). `roles`: "auto", "none", a dict like a roles file, or an object that
    describes a state itself."""
    if hasattr(roles, "describe"):
        return roles.describe(tensors, values, metadata)
    return describe(tensors, values, metadata) if roles == "auto" else (roles, {})


def describe(tensors, values, metadata=None):
    """(roles, {tensor's name: (role, parameter)}) of a flattened state.

    tensors, values: by names joined with '.'; tensors have a `shape`.
    metadata: of the tag; of the step it tells what the state does not, as the clip factor.
    roles: a dict like a roles file, or "auto" where no optimizer is found: then names tell.
    The second is the same object from save to save as long as the names are.
    """
    plan = _plans.find(key_of(tensors, values), lambda: _plan(tensors, values))
    return plan.rules(values, tensors, metadata), plan.given


@dataclasses.dataclass
class Plan:
    """What names and shapes of a state tell; the numbers are new in every save."""

    given: dict  # tensor's name -> (role, parameter)
    groups: list  # (what has options(values, tensors), globs of its parameters) for each group

    def rules(self, values, tensors, metadata):
        """A roles file, or "auto"."""
        if not self.given:
            return "auto"
        return rules([(_optimizers.facts_of(group.options(values, tensors)), globs)
                      for group, globs in self.groups], metadata or {})


def key_of(tensors, values):
    """Equal for states of the same names and shapes, which have one plan."""
    lists = [(name, value) for name, value in values.items() if type(value) in (list, tuple)]
    return (tuple(tensors), tuple(value.shape for value in tensors.values()), tuple(values),
            repr(lists))


_plans = Latest()


def _plan(tensors, values):
    return assemble(_optimizers.find(tensors, values), tensors)


def assemble(optimizers, tensors):
    """The Plan of a state with these optimizers."""
    given = {name: ("other", "") for optimizer in optimizers for name in tensors
             if optimizer.owns(name)}
    groups = []
    for optimizer in optimizers:
        weights, masters = _pairing.pair(optimizer, tensors,
                                         [name for name in tensors if name not in given])
        for group in optimizer.groups:
            parameters = []
            for param in group.params:
                parameter = weights.get(param, f"{optimizer.prefix}state.{param}")
                parameters.append(parameter)
                for key, name in optimizer.state.get(param, {}).items():
                    role = _optimizers.ROLES.get(key, "other")
                    given[name] = (role, "" if role == "other" else parameter)
                for role, names in (("weight", weights), ("master", masters)):
                    if param in names:
                        given[names[param]] = (role, parameter)
            groups.append((group, [glob.escape(parameter) for parameter in parameters]))
    return Plan(given, groups)


def rules(facts, metadata):
    """A roles file. `facts`: (settings, globs of parameters) of each group."""
    alike = {}  # settings -> globs
    for settings, globs in facts:
        alike.setdefault(tuple(sorted(settings.items())), []).extend(globs)
    told = {key: fact for key in _FACTS if (fact := _fact(key, metadata.get(key))) is not None}
    groups = sorted(alike.items(), key=lambda each: len(each[1]), reverse=True)
    # What all groups say, each in its way, the largest may say for all.
    if len({tuple(key for key, _ in settings) for settings, _ in groups}) == 1:
        told |= dict(groups.pop(0)[0])
    return {**told, "groups": [{"match": globs, **dict(settings)} for settings, globs in groups]}


def _fact(key, value):
    """None for what is no fact."""
    if key == "optimizer":
        return value if isinstance(value, str) else None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
