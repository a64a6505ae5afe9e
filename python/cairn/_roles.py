"""What the tensors of a state are to its optimizers, told from the state itself.

A store predicts an optimizer's state from the tag before when it knows which tensors are the
weight, the master and the moments of one parameter, and with which numbers it was stepped
(docs/REDUCTIONS.md). What is wrong or missing here costs bytes, nothing else.
"""

import glob

from . import _optimizers, _pairing

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
    """
    optimizers = _optimizers.find(tensors, values)
    return _told(optimizers, *_assigned(optimizers, tensors), metadata)


class Describer:
    """describe(), for a state that is saved again and again: what is what is found out anew only
    when names or parameters are others; the step's numbers each time. Threads: one at a time."""

    def __init__(self):
        self._names, self._params, self._settings, self._assigned = None, None, (), None

    def describe(self, tensors, values, metadata=None):
        names = list(tensors)
        known = tensors
        if names == self._names:
            known = {name: tensors[name] for name in self._settings}
        optimizers = _optimizers.find(known, values)
        params = [(optimizer.prefix, group.params, group.names)
                  for optimizer in optimizers for group in optimizer.groups]
        if names != self._names or params != self._params:
            optimizers = _optimizers.find(tensors, values)
            self._names, self._params = names, params
            self._settings = [name for name in names if _optimizers.is_setting(name)]
            self._assigned = _assigned(optimizers, tensors)
        return _told(optimizers, *self._assigned, metadata)


def _assigned(optimizers, tensors):
    """({tensor's name: (role, parameter)}, the parameters of each group)."""
    given, parameters = {}, []
    for optimizer in optimizers:
        free = [name for name in tensors if name not in given and not optimizer.owns(name)]
        weights, masters = _pairing.pair(optimizer, tensors, free)
        given |= {name: ("other", "") for name in tensors if optimizer.owns(name)}
        for group in optimizer.groups:
            parameters.append([])
            for param in group.params:
                parameter = weights.get(param, f"{optimizer.prefix}state.{param}")
                parameters[-1].append(parameter)
                given |= _roles_of(optimizer.state.get(param, {}), parameter)
                for role, names in (("weight", weights), ("master", masters)):
                    if param in names:
                        given[names[param]] = (role, parameter)
    return given, parameters


def _told(optimizers, given, parameters, metadata):
    if not given:
        return "auto", {}
    groups = [group for optimizer in optimizers for group in optimizer.groups]
    return rules([(group.facts(), each) for group, each in zip(groups, parameters)],
                 metadata or {}), given


def _roles_of(kept, parameter):
    """Of the tensors that an optimizer keeps of a parameter: {key: name}."""
    roles = {name: _optimizers.ROLES.get(key, "other") for key, name in kept.items()}
    return {name: (role, "" if role == "other" else parameter) for name, role in roles.items()}


def rules(facts, metadata):
    """A roles file. `facts`: (settings, parameters) of each group."""
    alike = {}  # settings -> parameters
    for settings, parameters in facts:
        alike.setdefault(tuple(sorted(settings.items())), []).extend(parameters)
    told = {key: fact for key in _FACTS if (fact := _fact(key, metadata.get(key))) is not None}
    groups = sorted(alike.items(), key=lambda each: len(each[1]), reverse=True)
    # What all groups say, each in its way, the largest may say for all.
    if len({tuple(key for key, _ in settings) for settings, _ in groups}) == 1:
        told |= dict(groups.pop(0)[0])
    return {**told, "groups": [{"match": [glob.escape(name) for name in parameters],
                                **dict(settings)} for settings, parameters in groups]}


def _fact(key, value):
    """None for what is no fact."""
    if key == "optimizer":
        return value if isinstance(value, str) else None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
