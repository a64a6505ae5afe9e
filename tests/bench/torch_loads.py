"""Loads by several ranks, cut as the state was saved and otherwise, beside dcp.load."""
import sys
import time
from pathlib import Path

import torch
from torch import distributed
from torch.distributed import checkpoint as dcp
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Replicate, Shard, empty

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "python"))

import cairn
import peers
import ranks
from cairn.torch import StorageReader, StorageWriter
from series_models import SIZES, Gpt
from store_bench import Table, take_turns

TAG = "run/1"
SAVED_ON = 2
LIMIT = 600  # seconds for one job
LOADED_ON = ((2, "rows"), (1, "rows"), (3, "columns"), (3, "rows"), (2, "replicated"))
PLACEMENTS = {"rows": Shard(0), "columns": Shard(1), "replicated": Replicate()}


def state_of(size, cut):
    """Weights and both moments of a GPT, cut among all ranks; without values."""
    mesh = init_device_mesh("cpu", (distributed.get_world_size(),))
    with torch.device("meta"):
        shapes = {name: p.shape for name, p in Gpt(SIZES[size]).named_parameters()}

    def tensor(shape):
        placement = PLACEMENTS[cut] if len(shape) > 1 else PLACEMENTS["rows"]
        if cut == "replicated":
            placement = Replicate()
        return empty(*shape, device_mesh=mesh, placements=[placement])

    return {part: {name: tensor(shape) for name, shape in shapes.items()}
            for part in ("model", "exp_avg", "exp_avg_sq")}


def save(rank, size, model_size, folder):
    """The same state as a tag and as files of DCP."""
    torch.manual_seed(rank)
    state = state_of(model_size, "rows")
    for part in state.values():
        for tensor in part.values():
            tensor.to_local().normal_()
    if rank == 0:
        cairn.Store(folder / "store", create=True)
    distributed.barrier()
    dcp.save(state, storage_writer=StorageWriter(folder / "store"), checkpoint_id=TAG)
    dcp.save(state, storage_writer=dcp.FileSystemWriter(folder / "files"))
    if rank == 0:
        peers.sync(folder)
    return sum(tensor.numel() * 4 for part in state.values() for tensor in part.values())


def load(rank, size, model_size, cut, folder, rounds):
    """Tables of seconds, from the disk and from the page cache, as rank 0 sees them: from the
    moment that all ranks begin to the moment that all have ended."""
    group = distributed.group.WORLD if size > 1 else None
    state = {name: state_of(model_size, cut) for name in ("cairn", "dcp.load")}
    store = cairn.Store(folder / "store")

    def by_reader():
        dcp.load(state["cairn"], storage_reader=StorageReader(store, group=group),
                 checkpoint_id=TAG)

    def into():
        store.load(TAG, into=state["cairn"])

    def by_dcp():
        dcp.load(state["dcp.load"], storage_reader=dcp.FileSystemReader(folder / "files"))

    def timed(work, prepare):
        def play(_):
            if rank == 0:
                prepare(folder)
            distributed.barrier()
            begun = time.perf_counter()
            work()
            distributed.barrier()
            return time.perf_counter() - begun
        return play

    works = {"cairn": by_reader, "cairn: Store.load": into, "dcp.load": by_dcp}
    for work in works.values():
        work()  # touches the memory
    for part, tensors in state["cairn"].items():
        for name, tensor in tensors.items():
            theirs = state["dcp.load"][part][name]
            assert torch.equal(tensor.to_local(), theirs.to_local()), name
    tables = []
    for prepare in (peers.forget_cached, peers.cache):
        tables.append(Table("", 1))
        take_turns(tables[-1], rounds, {name: timed(work, prepare) for name, work in works.items()})
    return tables


def measure(options):
    """A row for each way to load."""
    folder = options.folder / "loads"
    peers.remove(folder)
    folder.mkdir()
    bytes_ = ranks.run(save, SAVED_ON, options.size, folder, timeout=LIMIT)[0]
    rows = []
    for size, cut in LOADED_ON[:3:2] if options.quick else LOADED_ON:
        tables = ranks.run(load, size, options.size, cut, folder, options.rounds,
                           timeout=LIMIT)[0]
        for table, files in zip(tables, ("from the disk", "cached")):
            rows.append({"ranks": size, "cut": cut, "files": files, "bytes": bytes_,
                         **table.report()["rows"],
                         "dcp.load / cairn": table.ratio("dcp.load", "cairn"),
                         "dcp.load / Store.load": table.ratio("dcp.load", "cairn: Store.load")})
    peers.remove(folder)
    return rows
