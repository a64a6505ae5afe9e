"""Who may include whom. cli -> lib -> {store, gpu} -> base; only cli knows store/index,
and store/remote knows base alone."""

import re

from tidy_tree import Finding, layer_of

MAY_INCLUDE = {
    "base": {"base"},
    "gpu": {"gpu", "base"},
    "store": {"store", "base"},
    "store/index": {"store/index", "store", "base"},
    "store/remote": {"store/remote", "base"},
    "lib": {"lib", "store", "store/remote", "gpu", "base"},
    "cli": {"cli", "lib", "store", "store/index", "store/remote", "gpu", "base"},
    "python": {"python"},
    "tests": {"tests", "cli", "lib", "store", "store/index", "store/remote", "gpu", "base",
              "python"},
}
# What a library in another language links: the one header of lib with C linkage.
C_HEADERS = {"lib/cairn.h"}
ROCKSDB_LAYERS = {"store/index"}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def check(tree):
    for path in tree.cpp():
        for number, line in tree.lines(path):
            match = INCLUDE.match(line)
            if match is None:
                continue
            if match[1] == '"':
                what = _quoted(tree, path, match[2])
            else:
                what = _bracketed(path, match[2])
            if what:
                yield Finding(path, number, "layers", what)


def _quoted(tree, path, target):
    layer, target_layer = layer_of(path), layer_of(target)
    if target.startswith(".") or target_layer not in MAY_INCLUDE:
        return f'"{target}" is not a path from the root'
    if not (tree.root / target).is_file():
        return f'"{target}" does not exist'
    if layer == "python" and target in C_HEADERS:
        return None
    if layer not in MAY_INCLUDE:
        return f"'{layer or path}' is no layer of the tree"
    if target_layer not in MAY_INCLUDE[layer]:
        return f'{layer} must not include {target_layer} ("{target}")'
    return None


def _bracketed(path, target):
    if target.startswith("rocksdb/") and layer_of(path) not in ROCKSDB_LAYERS:
        return f"only store/index includes RocksDB (<{target}>)"
    if layer_of(target) in MAY_INCLUDE:
        return f'Cairn\'s own headers are quoted ("{target}")'
    return None
