"""A whole cluster pulls a checkpoint: each node fetches a share, and the nodes give each other theirs.

    torchrun --nnodes 4 ... -m cairn.pull https://host/store run7/step-12000 --store /local/store

The remote sends the tag once, whatever the number of nodes; afterwards each node's store has it.

  share   `cairn pull --share I/N` on each node: fetched, checked, and left as a killed pull leaves it
  spread  the files of each share go to all other nodes, over the job's gloo group
  pull    an ordinary pull on each node, which goes on from what lies there, and checks all of it

Whatever fails or is killed, what has arrived stays for the next call, and no tag is visible before
all of it is durable and proven.
"""

import argparse
import json
import os
import sys

from . import _cluster
from .errors import Error, UnreachableError, UsageError


def main(arguments=None):
    """The command. Returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m cairn.pull", formatter_class=argparse.RawDescriptionHelpFormatter,
        description=__doc__)
    parser.add_argument("url", help="the store that has the tag")
    parser.add_argument("tag")
    parser.add_argument("--store", default=os.environ.get("CAIRN_STORE"),
                        help=f"of each node (CAIRN_STORE); with {_cluster.RANK} in it, of each rank")
    parser.add_argument("--tensors", action="append", metavar="GLOB",
                        help="only these tensors; may be given several times; with --as")
    parser.add_argument("--as", dest="as_", metavar="TAG", help="the tag's name in the stores")
    for flag, value, text in (
            ("--memory", "SIZE", "of each node, at most about (1GiB)"),
            ("--rate", "RATE", "of each node, such as 200MB: bytes a second from the remote"),
            ("--connections", "N", "of each node (32)"),
            ("--if-exists", "WHAT", "error, same or replace: what is done where a store has the name already")):
        parser.add_argument(flag, metavar=value, help=text)
    parser.add_argument("--json", action="store_true", help="the first node prints one JSON object")
    options = parser.parse_args(arguments)
    try:
        if not options.store:
            raise UsageError("no store is given", "say --store /local/store, or set CAIRN_STORE")
        if "RANK" not in os.environ:
            raise UsageError("this process is no rank of a job",
                             "start it by torchrun; 'cairn pull' is for one machine")
        cluster = _cluster.Cluster(options.store)
        store = os.path.abspath(options.store.replace(_cluster.RANK, str(cluster.rank)))
        told = None
        if cluster.node is not None:
            flags = {name: getattr(options, name) for name in
                     ("tensors", "as_", "memory", "rate", "connections", "if_exists")}
            try:
                told = _cluster.pull(cluster, options.url, options.tag, store, flags)
            except Error:
                cluster.leave()  # others wait there
                raise
        cluster.leave()
    except RuntimeError as error:  # gloo's, which has no class of its own
        if isinstance(error, (NotImplementedError, RecursionError)):
            raise
        lost = str(error).splitlines()[0] if str(error) else type(error).__name__
        print(f"error: the nodes lost each other: {lost}\n"
              "hint: pull again: it goes on from what has arrived", file=sys.stderr)
        return UnreachableError.number
    except Error as error:
        print(f"error: {error.message}\nhint: {error.hint}" if error.hint else f"error: {error.message}",
              file=sys.stderr)
        return error.number
    if cluster.node == 0:
        print(json.dumps(told) if options.json else
              f"pulled '{told['tag']}' to {told['nodes']} node{'s' if told['nodes'] > 1 else ''}: "
              f"{told['received_bytes'] / 2**20:,.1f} MiB from the remote, a checkpoint of "
              f"{told['logical_bytes'] / 2**20:,.1f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
