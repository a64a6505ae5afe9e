"""Checkpoints of PyTorch and tags, one into the other; as torch.distributed.checkpoint.format_utils
does with its own two formats.

    python -m cairn.format_utils torch_to_cairn model.pt /data/store#run7/imported
    python -m cairn.format_utils cairn_to_dcp /data/store#run7/step-100 ./dcp

Tensors go byte for byte, a slab at a time, however large the state is; so do the numbers, texts
and objects beside them. PyTorch need not be there. A tag is written STORE#TAG; a store that is not
there is made. The same is done by `cairn import` and `cairn export`.
"""

import argparse
import os
import sys

from . import _program
from .errors import Error, NotFoundError, UsageError
from .store import Store


def torch_to_cairn(torch_save_path, tag, *, allow_pickle=False, if_exists="error", step=None):
    """Saves a file of torch.save as a tag.

    tag: STORE#TAG; the store is made when there is none.
    allow_pickle: objects that are neither tensors nor plain values are kept as the pickles that
    they are, unread; otherwise they are refused.
    if_exists: "error", "same" or "replace".
    step: of the tag.
    Returns what `cairn import --json` prints.
    Errors: UsageError for what is no such file, or holds such objects; NotFoundError; ExistsError;
    NoSpaceError, ..."""
    _check(torch_save_path, tag, os.path.isdir, "a folder", "dcp_to_cairn() takes folders")
    return _import(torch_save_path, tag, allow_pickle, if_exists, step)


def dcp_to_cairn(dcp_checkpoint_dir, tag, *, allow_pickle=False, if_exists="error", step=None):
    """Saves a folder of torch.distributed.checkpoint as a tag, however many ranks wrote it.
    Arguments, result and errors: as torch_to_cairn()."""
    _check(dcp_checkpoint_dir, tag, os.path.isfile, "a file", "torch_to_cairn() takes files")
    return _import(dcp_checkpoint_dir, tag, allow_pickle, if_exists, step)


def cairn_to_torch(tag, torch_save_path, *, force=False):
    """Writes a tag as a file of torch.save, which torch.load(weights_only=True) takes, unless the tag
    keeps objects of allow_pickle=True.

    tag: STORE#TAG.
    force: over a file that is there.
    Returns what `cairn export --json` prints.
    Errors: NoStoreError, NotFoundError, ExistsError, CorruptError, NoSpaceError, UsageError."""
    return _export(tag, torch_save_path, "torch", force)


def cairn_to_dcp(tag, dcp_checkpoint_dir, *, force=False):
    """Writes a tag as a folder that torch.distributed.checkpoint loads on any number of ranks.
    Arguments, result and errors: as cairn_to_torch()."""
    return _export(tag, dcp_checkpoint_dir, "dcp", force)


_MODES = {call.__name__: call
          for call in (torch_to_cairn, cairn_to_torch, dcp_to_cairn, cairn_to_dcp)}


def _split(tag):
    """(folder of the store, name of the tag)."""
    folder, mark, name = os.fspath(tag).partition("#")
    if not folder or not mark or not name:
        raise UsageError(f"'{tag}' names no tag of a store",
                         "write STORE#TAG: /data/store#run7/base; the source comes before the target")
    return folder, name


def _check(path, tag, is_other, what, hint):
    """Before a store is made."""
    _split(tag)
    if not os.path.exists(path):
        raise NotFoundError(f"there is no '{path}'")
    if is_other(path):
        raise UsageError(f"'{path}' is {what}", hint)


def _import(source, tag, allow_pickle, if_exists, step):
    folder, name = _split(tag)
    store = Store(folder, create=True)
    flags = {"allow_pickle": allow_pickle, "if_exists": if_exists, "step": step}
    return _program.run(store.path, "import", name, os.fspath(source), flags=flags)


def _export(tag, target, form, force):
    folder, name = _split(tag)
    flags = {"format": form, "force": force}
    return _program.run(Store(folder).path, "export", name, os.fspath(target), flags=flags)


def _arguments():
    parser = argparse.ArgumentParser(
        prog="python -m cairn.format_utils", formatter_class=argparse.RawDescriptionHelpFormatter,
        description=__doc__)
    parser.add_argument("mode", choices=_MODES)
    parser.add_argument("src", help="a file or folder of PyTorch, or STORE#TAG")
    parser.add_argument("dst", help="STORE#TAG, or the file or folder to be written")
    parser.add_argument("--allow-pickle", action="store_true",
                        help="keep objects that are neither tensors nor plain values, unread")
    parser.add_argument("--force", action="store_true",
                        help="write over a file or folder, or a tag, that is there")
    return parser.parse_args()


def _run(arguments):
    call = _MODES[arguments.mode]
    if arguments.mode.endswith("_to_cairn"):
        done = call(arguments.src, arguments.dst, allow_pickle=arguments.allow_pickle,
                    if_exists="replace" if arguments.force else "error")
        return f"saved '{done['tag']}': {done['tensors']} tensors, {done['logical_bytes']} bytes"
    done = call(arguments.src, arguments.dst, force=arguments.force)
    return f"wrote '{done['path']}': {done['tensors']} tensors, {done['bytes']} bytes"


def _with_flags(hint):
    """A hint of a function as the command has it."""
    for argument, flag in (("'allow_pickle'", "'--allow-pickle'"), ("'force'", "'--force'"),
                           ("'--if-exists replace'", "'--force'")):
        hint = hint.replace(argument, flag)
    return hint


def _main():
    try:
        print(_run(_arguments()))
    except Error as error:
        print(f"error: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"hint: {_with_flags(error.hint)}", file=sys.stderr)
        sys.exit(error.number)


if __name__ == "__main__":
    _main()
