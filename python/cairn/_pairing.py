"""Which tensor of a state is the weight of an optimizer's parameter.

Where the state calls parameters by name that is a look-up. A plain state dict numbers them: in the
order of each group, which mostly is the order of the model's state dict, where buffers and frozen
parameters lie between. Then the shapes tell which are meant. A wrong guess costs bytes.
"""

# Of several parts of a state that fit, the likelier one first.
_MODELS = ("model", "model_state_dict", "state_dict", "module", "net", "network")
_MASTERS = ("master", "fp32", "main_param")
_BUFFERS = ("running_mean", "running_var")
_MOST_GROUPS = 16  # beyond, groups are taken one after the other
_STEPS_A_TENSOR = 50  # of looking for what fits


def pair(optimizer, tensors, free):
    """({parameter: its weight's name}, {parameter: its master's name}). `free`: names of tensors
    that may be either, in the order of the state."""
    params = [param for group in optimizer.groups for param in group.params]
    names = [name for group in optimizer.groups for name in group.names]
    named = params if len(names) != len(params) else names
    found = []
    if optimizer.weights:
        found.append((next(iter(optimizer.weights.values())), optimizer.weights))
    if params:
        matches = (_by_shape(optimizer, tensors, free) if all(name.isdigit() for name in named)
                   else _by_name(named, free))
        found += sorted(((root, dict(zip(params, match))) for root, match in matches),
                        key=lambda each: _last_word(each[0]) not in _MODELS)
    weights = [match for root, match in found if not _is_masters(root)]
    masters = [match for root, match in found if _is_masters(root)]
    if not weights:  # then masters are all there is
        weights, masters = masters, []
    return next(iter(weights), {}), next(iter(masters), {})


def _last_word(root):
    return root.rstrip(".").rpartition(".")[2]


def _is_masters(root):
    return any(word in root.lower() for word in _MASTERS)


def _by_name(params, free):
    """(root, names of the weights) for each root under which all parameters are."""
    there = set(free)
    roots = {name[:-len(params[0])]: None for name in free
             if name.endswith(params[0]) and name[-len(params[0]) - 1:-len(params[0])] in ("", ".")}
    for root in roots:
        match = [root + param for param in params]
        if there.issuperset(match):
            yield root, match


def _by_shape(optimizer, tensors, free):
    """The same for parameters that are numbered."""
    wanted = [[optimizer.shape(param, tensors) for param in group.params]
              for group in optimizer.groups]
    if len(wanted) > _MOST_GROUPS:
        wanted = [[shape for group in wanted for shape in group]]
    for root, names in _parts(optimizer, tensors, free):
        modules = [name.rpartition(".")[0] for name in names]
        found = _interleave([tuple(tensors[name].shape) for name in names], wanted, modules)
        if found is not None:
            yield root, [names[at] for at in found]


def _parts(optimizer, tensors, free):
    """(root, names) of what may be a model's state dict: beside the optimizer first, then what is
    there in all."""
    beside = optimizer.prefix.rstrip(".").rpartition(".")[0]
    parts = {}
    for base in dict.fromkeys((f"{beside}." if beside else "", "")):
        inside = [name for name in free if name.startswith(base)]
        for name in inside:
            word, dot, _ = name[len(base):].partition(".")
            if dot:
                parts.setdefault(f"{base}{word}.", {})[name] = None
        parts.setdefault(base, dict.fromkeys(inside))
    for root, names in parts.items():
        kept, seen = [], set()
        for name in names:
            place = _place(tensors[name])
            if not name.endswith(_BUFFERS) and place not in seen:
                kept.append(name)
            seen.add(place)
        yield root, kept


def _place(tensor):
    """Equal for tied tensors."""
    address = getattr(tensor, "data_ptr", None)
    at = 0 if address is None or hasattr(tensor, "device_mesh") else address()
    return (at, tuple(tensor.shape)) if at else id(tensor)


def _interleave(shapes, wanted, modules):
    """Places in `shapes` of what each group wants, group after group; None where it does not fit.

    Each group takes places in ascending order, and none takes another's. Shapes that are None fit
    all. Of several solutions the likelier one is taken: a module is trained as a whole or not at
    all, the later places are left over, and the group that took the last place takes the next.
    """
    total = sum(len(group) for group in wanted)
    steps_left = _STEPS_A_TENSOR * (len(shapes) + 1)
    taken = [0] * len(wanted)
    dead, chosen = set(), []  # chosen: the group that takes each place so far, or None
    choices = [_choices(shapes, wanted, taken, modules, chosen)]
    while len(chosen) < len(shapes):
        steps_left -= 1
        if steps_left == 0:
            return None
        state = (len(chosen), tuple(taken))
        if choices[-1] and state not in dead:
            group = choices[-1].pop(0)
            chosen.append(group)
            if group is not None:
                taken[group] += 1
            choices.append(_choices(shapes, wanted, taken, modules, chosen))
            continue
        if not chosen:
            return None
        dead.add(state)
        choices.pop()
        last = chosen.pop()
        if last is not None:
            taken[last] -= 1
    if sum(taken) != total:
        return None
    return [at for group in range(len(wanted)) for at, who in enumerate(chosen) if who == group]


def _choices(shapes, wanted, taken, modules, chosen):
    """The groups that may take the next place, and None where nobody has to; likely ones first."""
    at, last = len(chosen), chosen[-1] if chosen else None
    if at == len(shapes):
        return []
    order = range(len(wanted)) if last is None else [last, *(
        group for group in range(len(wanted)) if group != last)]
    fitting = [group for group in order if taken[group] < len(wanted[group])
               and wanted[group][taken[group]] in (None, shapes[at])]
    left = sum(len(group) for group in wanted) - sum(taken)
    if left >= len(shapes) - at:
        return fitting
    is_passed_over = chosen and last is None and modules[at] == modules[at - 1]
    return [None, *fitting] if is_passed_over else [*fitting, None]
