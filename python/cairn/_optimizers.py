"""Optimizers as they look in a flattened state: who steps which parameters, and with which numbers.

Two forms are known, each under any prefix. A plain state dict: `state.0.exp_avg`,
`param_groups.0.lr`, `param_groups.0.params` with the parameters' numbers, or their names where
torch.distributed.checkpoint made it. And one of its flattened state dicts:
`state.layers.0.weight.exp_avg`, `param_groups.layers.0.weight.lr`.
"""

import dataclasses
import math
import re

# What an optimizer keeps of a parameter -> its role. Anything else is "other".
ROLES = {
    "exp_avg": "exp_avg", "momentum_buffer": "exp_avg", "exp_avg_sq": "exp_avg_sq",
    "max_exp_avg_sq": "max_exp_avg_sq", "step": "step", "master": "master",
    "master_param": "master", "master_weight": "master",
}
# These have the shape of their parameter.
_SHAPED = ("exp_avg", "momentum_buffer", "exp_avg_sq", "master", "master_param", "master_weight")
_NUMBERS = ("lr", "eps", "weight_decay", "momentum", "dampening")
# Settings that only one kind of optimizer has; of the last, the value tells which of two.
_MUONS, _SGDS, _ADAMS = "ns_steps", "dampening", "decoupled_weight_decay"
SETTINGS = frozenset((*_NUMBERS, "betas", _MUONS, _SGDS, _ADAMS))
_GROUPS, _STATE = "param_groups.", "state."
_NUMBERED = re.compile(r"(\d+)\.(\w+)(?:\.(\d+))?")
_NAMED = re.compile(r"(.+)\.([A-Za-z_]\w*)(?:\.(\d+))?")


@dataclasses.dataclass
class Group:
    """Parameters that are stepped alike, as the state calls them, and where their settings are."""

    settings: dict = dataclasses.field(default_factory=dict)  # key -> name, or names of items
    params: list = dataclasses.field(default_factory=list)  # texts: "0", or "layers.0.weight"
    names: list = dataclasses.field(default_factory=list)  # of the same, where the state has them

    def options(self, values, tensors):
        """The settings as they are in a state of the same names."""
        def read(name):
            return values[name] if name in values else tensors[name]

        return {key: [read(each) for each in name] if isinstance(name, list) else read(name)
                for key, name in self.settings.items()}


@dataclasses.dataclass
class Optimizer:
    """One optimizer in a state."""

    prefix: str  # of its names; empty, or ends with "."
    groups: list
    state: dict = dataclasses.field(default_factory=dict)  # parameter -> {key: tensor's name}
    weights: dict = dataclasses.field(default_factory=dict)  # parameter -> tensor's name, if known

    def __post_init__(self):
        self._inside = (self.prefix + _STATE, self.prefix + _GROUPS)

    def owns(self, name):
        """Whether a tensor of the state lies in it."""
        return name.startswith(self._inside)

    def shape(self, param, tensors):
        """Of the parameter, from what is kept of it; None where nothing tells."""
        kept = self.state.get(param, {})
        for key in _SHAPED:
            if key in kept:
                return tuple(tensors[kept[key]].shape)
        return None


def find(tensors, values):
    """The optimizers of a flattened state: `tensors` and plain `values` by their names."""
    entries = {}  # prefix -> [(name, the rest of it)]
    for name in (*values, *tensors):
        if _GROUPS in name:
            before, found, rest = f".{name}".partition(f".{_GROUPS}")
            if found:
                entries.setdefault(f"{before[1:]}." if before else "", []).append((name, rest))
    optimizers = [Optimizer(prefix, _groups(rows, values)) for prefix, rows in entries.items()]
    for optimizer in optimizers:
        _take_state(optimizer, tensors)
    return [optimizer for optimizer in optimizers if optimizer.groups]


def _groups(rows, values):
    matches = [(name, match) for name, rest in rows if (match := _NUMBERED.fullmatch(rest))]
    numbered = any(match[2] == "params" for _, match in matches)
    if not numbered:
        matches = [(name, match) for name, rest in rows if (match := _NAMED.fullmatch(rest))]
    groups, lists = {}, {}
    for name, (word, key, item) in ((name, match.groups()) for name, match in matches):
        group = groups.setdefault(word, Group())
        if key in ("params", "param_names"):
            value = values.get(name)
            lists.setdefault((word, key), []).extend(
                [value] if item is not None else value if isinstance(value, (list, tuple)) else [])
        elif key in SETTINGS and item is None:
            group.settings[key] = name
        elif key in SETTINGS and isinstance(group.settings.setdefault(key, []), list):
            group.settings[key].append(name)
    for word, group in groups.items():
        group.params = ([str(each) for each in lists.get((word, "params"), ())] if numbered
                        else [word])
        names = lists.get((word, "param_names"), ())
        group.names = [str(name) for name in names] if len(names) == len(group.params) else []
    return list(groups.values())


def _take_state(optimizer, tensors):
    beginning = optimizer.prefix + _STATE
    for name in tensors:
        if name.startswith(beginning):
            param, _, key = name[len(beginning):].rpartition(".")
            optimizer.state.setdefault(param, {})[key] = name


def facts_of(options):
    """Settings of an optimizer's group as a roles file has them (docs/cli/import.md)."""
    facts = {name: _number(options.get(name)) for name in _NUMBERS}
    betas = options.get("betas")
    if isinstance(betas, (list, tuple)) and len(betas) == 2:
        facts["beta1"], facts["beta2"] = map(_number, betas)
    facts["optimizer"] = _kind(options)
    return {name: fact for name, fact in facts.items() if fact is not None}


def _number(value):
    """A finite float; None for what is none. Some optimizers hold numbers in tensors."""
    if hasattr(value, "item"):
        try:
            value = value.item()
        except (RuntimeError, ValueError):
            return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) else None


def _kind(options):
    """What a roles file calls it; None where the settings are those of several, or of none."""
    if _MUONS in options:
        return "muon"
    if _SGDS in options:
        return "sgd"
    if _ADAMS in options:  # NAdam and RAdam have it too: their moments are Adam's
        return "adamw" if options[_ADAMS] else "adam"
    return None
