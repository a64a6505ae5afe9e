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
from pathlib import Path

from . import _program
from .errors import Error, UsageError, error_of

PIECE_BYTES = 64 << 20
RANK = "{rank}"


class Cluster:
    """The nodes of a job: of each machine one rank, or all ranks where each has a store of its own."""

    def __init__(self, store):
        import torch
        from torch import distributed

        self._torch, self._distributed = torch, distributed
        distributed.init_process_group("gloo")
        self.rank = distributed.get_rank()
        takes_part = RANK in store or int(os.environ.get("LOCAL_RANK", "0")) == 0
        ranks = self._told(takes_part, None)
        self.nodes = [rank for rank, does in enumerate(ranks) if does]
        self._group = distributed.new_group(self.nodes, backend="gloo")
        self.node = self.nodes.index(self.rank) if takes_part else None

    def _told(self, mine, group):
        size = self._distributed.get_world_size(group)
        told = [None] * size
        self._distributed.all_gather_object(told, mine, group=group)
        return told

    def together(self, work):
        """What work() returned on each node. Errors: what it raised on the first where it did."""
        try:
            mine = (work(), None)
        except Error as error:
            mine = (None, (error.number, error.message, error.hint))
        told = self._told(mine, self._group)
        for node, (_, failed) in enumerate(told):
            if failed is not None:
                number, message, hint = failed
                raise error_of(number, f"node {node}: {message}", hint)
        return [result for result, _ in told]

    def spread(self, folder, files_of_nodes):
        """Makes the files of each node files of all; `files_of_nodes`: (path below `folder`, bytes)."""
        for node, files in enumerate(files_of_nodes):
            for path, size in files:
                self._spread_one(Path(folder, path), size, self.nodes[node])

    def _spread_one(self, path, size, owner):
        is_own = owner == self.rank
        if not is_own:
            path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "rb" if is_own else "xb") as file:
            for begin in range(0, size, PIECE_BYTES):
                piece = self._torch.empty(min(PIECE_BYTES, size - begin), dtype=self._torch.uint8)
                view = memoryview(piece.numpy())
                if is_own and file.readinto(view) != len(view):
                    raise Error(f"'{path}' is shorter than it was", "pull again")
                self._distributed.broadcast(piece, owner, group=self._group)
                if not is_own:
                    file.write(view)

    def leave(self):
        """When all have come here."""
        self._distributed.barrier()
        self._distributed.destroy_process_group()


def _fetch_share(url, tag, store, share):
    told = _program.run(store, "pull", url, tag, flags={"share": share})
    left = [(path, Path(store, path).stat().st_size) for path in told["left"]]
    return {"received_bytes": told["received_bytes"], "left": left}


def pull(cluster, url, tag, store):
    """What happened, for the first node to tell. Errors: those of `cairn pull` on any node."""
    nodes = len(cluster.nodes)
    # "run7/@newest" means the same to all.
    named = cluster.together(lambda: _program.run(store, "pull", url, tag, flags={"dry_run": True})
                             if cluster.node == 0 else None)[0]
    tag = named["tag"]
    shares = cluster.together(lambda: _fetch_share(url, tag, store, f"{cluster.node + 1}/{nodes}"))
    cluster.spread(store, [share["left"] for share in shares])
    pulls = cluster.together(lambda: _program.run(store, "pull", url, tag))
    if len({each["manifest"] for each in pulls}) > 1:
        raise Error(f"the tag '{tag}' was replaced while it was pulled", "pull again")
    return {"tag": tag, "manifest": pulls[0]["manifest"], "nodes": nodes,
            "logical_bytes": pulls[0]["logical_bytes"],
            "received_bytes": sum(each["received_bytes"] for each in [*shares, *pulls])}


def main(arguments=None):
    parser = argparse.ArgumentParser(
        prog="python -m cairn.pull", formatter_class=argparse.RawDescriptionHelpFormatter,
        description=__doc__)
    parser.add_argument("url", help="the store that has the tag")
    parser.add_argument("tag")
    parser.add_argument("--store", default=os.environ.get("CAIRN_STORE"),
                        help=f"of each node (CAIRN_STORE); with {RANK} in it, of each rank")
    parser.add_argument("--json", action="store_true", help="the first node prints one JSON object")
    options = parser.parse_args(arguments)
    try:
        if not options.store:
            raise UsageError("no store is given", "say --store /local/store, or set CAIRN_STORE")
        cluster = Cluster(options.store)
        store = os.path.abspath(options.store.replace(RANK, str(cluster.rank)))
        told = None
        if cluster.node is not None:
            told = pull(cluster, options.url, options.tag, store)
        cluster.leave()
    except Error as error:
        print(f"error: {error.message}\nhint: {error.hint}" if error.hint else f"error: {error.message}",
              file=sys.stderr)
        return error.number
    if cluster.node == 0:
        print(json.dumps(told) if options.json else
              f"pulled '{told['tag']}' to {told['nodes']} stores: {told['received_bytes']:,} bytes "
              f"from the remote, of {told['logical_bytes']:,}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
