"""The keys that torch.distributed.checkpoint gives the leaves of a nested state, and the structure
that a tag keeps of it (cairn._tree).

DCP joins the keys on the way to a leaf with '.', as Cairn does, but calls other things leaves:
a tuple, and a list that holds neither a tensor nor a dict, is one value. So DCP's keys follow from
a structure. The structure follows from DCP's keys and the paths that its planner keeps of them,
but for two things that DCP has forgotten: keys that were integers are text, empty dicts are gone.
Where the keys are the numbers of an optimizer's parameters, they become integers again.
lib/formats/dcp_keys.cc has the same rules.
"""

from .. import _tree


def is_tensor(node):
    """A tensor as DCP sees it, tied or not; arrays of NumPy are values to it."""
    return node == "tensor" or (isinstance(node, dict) and "tied" in node)


def stored_name(key, node):
    """Of a tensor: that of the one which it is tied to, if it is."""
    return node["tied"] if isinstance(node, dict) else key


def is_leaf(node):
    """Whether DCP keeps all of the node under one key."""
    if not isinstance(node, dict) or "tied" in node or "tuple" in node:
        return True
    return "list" in node and all(
        is_leaf(child) and not is_tensor(child) for child in node["list"])


def leaves_of(structure):
    """DCP's key -> (path, node) for each leaf. `path`: text and integers, as its planner has it."""
    found = {}
    _visit(structure, (), found)
    return found


def _visit(node, path, found):
    if path and is_leaf(node):
        found[".".join(map(str, path))] = (path, node)
        return
    (kind, children), = node.items()
    pairs = children if kind == "dict" else enumerate(children)
    for key, child in pairs:
        _visit(child, path + (str(key) if kind == "dict" else key,), found)


class _Branch(dict):
    """A container on the way: part of a path -> node or branch."""


def structure_of(nodes, paths):
    """The structure whose leaves are `nodes` (DCP's key -> node), and its leaves_of(). `paths`:
    key -> path; a key without one is its own. Where they make no tree, a flat dict of the keys."""
    nested = _tree_of(nodes, paths)
    if nested is not None:
        leaves = leaves_of(nested)
        if leaves.keys() == nodes.keys():
            return nested, leaves
    flat = {"dict": [[key, node] for key, node in nodes.items()]}
    return flat, leaves_of(flat)


def _tree_of(nodes, paths):
    root = _Branch()
    for key, node in nodes.items():
        *way, last = path = paths.get(key, (key,))
        if "" in path:
            return None  # Cairn's names leave empty keys out
        place = root
        for part in way:
            below = place.get(part)
            if below is None:
                below = place[part] = _Branch()
            place = below
            if not isinstance(place, _Branch):
                return None
        if last in place:
            return None
        place[last] = node
    return _node_of(root, is_root=True)


def _node_of(branch, is_root=False):
    """The node of a container; None where its keys are neither text nor the places of a list."""
    children = [[key, _node_of(child) if isinstance(child, _Branch) else child]
                for key, child in branch.items()]
    if any(child is None for _, child in children):
        return None
    if all(isinstance(key, str) for key in branch):
        return {"dict": children}
    if is_root or any(isinstance(key, str) for key in branch):
        return None
    if sorted(branch) != list(range(len(branch))):
        return None
    return {"list": [child for _, child in sorted(children, key=lambda pair: pair[0])]}


def number_parameters(structure, values, name=""):
    """Makes integers of the keys of an optimizer's state where its groups number parameters:
    load_state_dict() finds no moments under text. values: name -> what JSON holds."""
    if not isinstance(structure, dict) or "tied" in structure:
        return
    (kind, children), = structure.items()
    pairs = children if kind == "dict" else list(enumerate(children))
    below = dict((key, child) for key, child in pairs)
    for key, child in pairs:
        number_parameters(child, values, _tree.below(name, key))
    if kind != "dict" or "state" not in below or "param_groups" not in below:
        return
    numbers = _numbers_of(below["param_groups"], values, _tree.below(name, "param_groups"))
    state = below["state"].get("dict") if isinstance(below["state"], dict) else None
    if state and all(key in numbers for key, _ in state):
        state[:] = [[int(key), child] for key, child in state]


def _numbers_of(groups, values, name):
    """The numbers of the groups' parameters as text; none where they are called otherwise."""
    numbers = set()
    for number, group in enumerate(groups.get("list", ()) if isinstance(groups, dict) else ()):
        if not isinstance(group, dict):
            return set()
        params = dict(map(tuple, group.get("dict", ()))).get("params")
        for place, _ in enumerate(params.get("list", ()) if isinstance(params, dict) else ()):
            value = values.get(f"{name}.{number}.params.{place}")
            if type(value) is not int:
                return set()
            numbers.add(str(value))
    return numbers
