"""Optimizers as they look in a flattened state: who steps which parameters, and with which numbers.

Two forms are known, each under any prefix. A plain state dict: `state.0.exp_avg`,
`param_groups.0.lr`, `param_groups.0.params` with the parameters' numbers, or their names where
torch.distributed.checkpoint made it. And one of its flattened state dicts:
`state.layers.0.weight.exp_avg`, `param_groups.layers.0.weight.lr`.
"""

import dataclasses
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
_GROUPS, _STATE = "param_groups.", "state."
_NUMBERED = re.compile(r"(\d+)\.(\w+)(?:\.(\d+))?")
_NAMED = re.compile(r"(.+)\.([A-Za-z_]\w*)(?:\.(\d+))?")


@dataclasses.dataclass
class Group:
    """Parameters that are stepped alike, as the state calls them, and the settings."""

    options: dict = dataclasses.field(default_factory=dict)
    params: list = dataclasses.field(default_factory=list)  # texts: "0", or "layers.0.weight"
    names: list = dataclasses.field(default_factory=list)  # of the same, where the state has them

    def facts(self):
        """The settings as a roles file has them (docs/cli/import.md)."""
        facts = {name: number for name in _NUMBERS
                 if (number := _number(self.options.get(name))) is not None}
        betas = self.options.get("betas")
        if isinstance(betas, (list, tuple)) and len(betas) == 2:
            facts |= {f"beta{at}": _number(beta) for at, beta in enumerate(betas, 1)}
        kind = _kind(self.options)
        if kind:
            facts["optimizer"] = kind
        return {name: fact for name, fact in facts.items() if fact is not None}


@dataclasses.dataclass
class Optimizer:
    """One optimizer in a state."""

    prefix: str  # of its names; empty, or ends with "."
    groups: list
    state: dict = dataclasses.field(default_factory=dict)  # parameter -> {key: tensor's name}

    def owns(self, name):
        """Whether a tensor of the state lies in it."""
        return name.startswith((self.prefix + _STATE, self.prefix + _GROUPS))

    def shape(self, param, tensors):
        """Of the parameter, from what is kept of it; None where nothing tells."""
        kept = self.state.get(param, {})
        for key in _SHAPED:
            if key in kept:
                return tuple(tensors[kept[key]].shape)
        return None


def find(tensors, values):
    """The optimizers of a flattened state: `tensors` and plain `values` by their names."""
    entries = {}  # prefix -> [(the rest of the name, value)]
    for part in (values, tensors):
        for name, value in part.items():
            before, found, rest = f".{name}".partition(f".{_GROUPS}")
            if found:
                entries.setdefault(f"{before[1:]}." if before else "", []).append((rest, value))
    optimizers = [Optimizer(prefix, _groups(rows)) for prefix, rows in entries.items()]
    for optimizer in optimizers:
        _take_state(optimizer, tensors)
    return [optimizer for optimizer in optimizers if optimizer.groups]


def is_setting(name):
    """Whether a value or tensor of the state may be one of an optimizer's settings."""
    return f".{_GROUPS}" in f".{name}"


def _groups(rows):
    numbered = any((match := _NUMBERED.fullmatch(rest)) and match[2] == "params"
                   for rest, _ in rows)
    groups = {}
    for rest, value in rows:
        match = (_NUMBERED if numbered else _NAMED).fullmatch(rest)
        if match is None:
            continue
        options = groups.setdefault(match[1], Group()).options
        if match[3] is None:
            options[match[2]] = value
        else:
            options.setdefault(match[2], []).append(value)
    for word, group in groups.items():
        params, names = group.options.pop("params", []), group.options.pop("param_names", [])
        group.params = [str(param) for param in params] if numbered else [word]
        group.names = list(names) if len(names) == len(group.params) else []
    return list(groups.values())


def _take_state(optimizer, tensors):
    beginning = optimizer.prefix + _STATE
    for name in tensors:
        if name.startswith(beginning):
            param, _, key = name[len(beginning):].rpartition(".")
            optimizer.state.setdefault(param, {})[key] = name


def _number(value):
    """A float; None for what is none. Some optimizers hold numbers in tensors."""
    if hasattr(value, "item") and getattr(value, "size", None) is not None:
        try:
            value = value.item()
        except (RuntimeError, ValueError):
            return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value)


def _kind(options):
    """What a roles file calls it; None where the settings are those of several, or of none."""
    if "ns_steps" in options:
        return "muon"
    if "dampening" in options:
        return "sgd"
    if "decoupled_weight_decay" in options:  # NAdam and RAdam have it too: their moments are Adam's
        return "adamw" if options["decoupled_weight_decay"] else "adam"
    return None
