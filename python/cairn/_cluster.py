"""Nodes of a job that bring a tag to their stores together (pull.py)."""

import datetime
import os
from pathlib import Path

from . import _program
from .errors import Error, error_of

PIECE_BYTES = 64 << 20
LONGEST = datetime.timedelta(days=7)  # of a pull: who dies is noticed by its connections
RANK = "{rank}"  # in a store's path


class Cluster:
    """The nodes of a job: of each machine one rank, or all ranks where each has a store of its own."""

    def __init__(self, store):
        import torch
        from torch import distributed

        self._torch, self._distributed = torch, distributed
        distributed.init_process_group("gloo", timeout=LONGEST)
        self.rank = distributed.get_rank()
        takes_part = RANK in store or int(os.environ.get("LOCAL_RANK", "0")) == 0
        ranks = self._told(takes_part, None)
        self.nodes = [rank for rank, does in enumerate(ranks) if does]
        self._group = distributed.new_group(self.nodes, backend="gloo", timeout=LONGEST)
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
        except OSError as error:
            mine = (None, (Error.number, str(error), "pull again: it goes on from what has arrived"))
        told = self._told(mine, self._group)
        for node, (_, failed) in enumerate(told):
            if failed is not None:
                number, message, hint = failed
                raise error_of(number, f"node {node}: {message}", hint)
        return [result for result, _ in told]

    def spread(self, folder, files_of_nodes):
        """Makes the files of each node files of all; `files_of_nodes`: (path below `folder`, bytes)."""
        failed = []
        for node, files in enumerate(files_of_nodes):
            for path, size in files:
                failed += self._spread_one(Path(folder, path), size, self.nodes[node])

        def check():
            if failed:
                raise failed[0]

        self.together(check)

    def _spread_one(self, path, size, owner):
        """Takes part to the end, whatever fails here: that is returned."""
        failed, file, is_own = [], None, owner == self.rank
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = open(path, "rb" if is_own else "xb")
        except OSError as error:
            failed.append(error)
        for begin in range(0, size, PIECE_BYTES):
            piece = self._torch.zeros(min(PIECE_BYTES, size - begin), dtype=self._torch.uint8)
            view = memoryview(piece.numpy())
            if is_own and not failed:
                failed += self._tried(lambda: file.readinto(view), len(view), path)
            self._distributed.broadcast(piece, owner, group=self._group)
            if not is_own and not failed:
                failed += self._tried(lambda: file.write(view), len(view), path)
        if file is not None:
            failed += self._tried(file.close, None, path)
        return failed

    @staticmethod
    def _tried(work, expected, path):
        try:
            return [] if work() == expected else [OSError(f"'{path}' is shorter than it was")]
        except OSError as error:
            return [error]

    def leave(self):
        """When all have come here."""
        self._distributed.barrier()
        self._distributed.destroy_process_group()


def _fetch_share(url, tag, store, flags):
    told = _program.run(store, "pull", url, tag, flags=flags)
    left = [(path, Path(store, path).stat().st_size) for path in told["left"]]
    return {"received_bytes": told["received_bytes"], "left": left}


def pull(cluster, url, tag, store, flags):
    """What happened, for the first node to tell. flags: of `cairn pull`, the same on all nodes.
    Errors: those of `cairn pull` on any node."""
    nodes = len(cluster.nodes)
    # "run7/@newest" means the same to all, whatever a store has by that name.
    asking = {"dry_run": True, "if_exists": "replace"}
    named = cluster.together(lambda: _program.run(store, "pull", url, tag, flags=asking)
                             if cluster.node == 0 else None)[0]
    tag = named["tag"]
    share = f"{cluster.node + 1}/{nodes}"
    shares = cluster.together(lambda: _fetch_share(url, tag, store, {**flags, "share": share}))
    cluster.spread(store, [share["left"] for share in shares])
    pulls = cluster.together(lambda: _program.run(store, "pull", url, tag, flags=flags))
    if len({each["manifest"] for each in pulls}) > 1:
        raise Error(f"the tag '{tag}' was replaced while it was pulled", "pull again")
    return {"tag": pulls[0]["tag"], "manifest": pulls[0]["manifest"], "nodes": nodes,
            "logical_bytes": pulls[0]["logical_bytes"],
            "received_bytes": sum(each["received_bytes"] for each in [*shares, *pulls])}
