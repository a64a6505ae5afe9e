"""Runs a function of a test on several gloo ranks, each a process of its own."""
import atexit
import datetime
import os
import pickle
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

TIMEOUT = 120  # seconds for a whole run: a test that hangs fails


def run(function, size, *arguments, timeout=TIMEOUT):
    """What function(rank, size, *arguments) returned on each rank. It must be a module's function.
    Fails with the traceback of the first rank that raised."""
    with tempfile.TemporaryDirectory(prefix="cairn-ranks-") as folder:
        job = start(function, size, folder, *arguments)
        end = time.monotonic() + timeout
        try:
            while not job.join(timeout=max(0.0, end - time.monotonic())):
                if time.monotonic() > end:
                    raise AssertionError(f"ranks still ran after {timeout} s")
        finally:
            for process in job.processes:
                process.kill()
        return [pickle.loads(Path(folder, f"result-{rank}").read_bytes()) for rank in range(size)]


def start(function, size, folder, *arguments):
    """The ranks' processes, as torch.multiprocessing gives them; results are files of `folder`."""
    import torch.multiprocessing

    return torch.multiprocessing.spawn(_main, (size, str(folder), function, arguments), nprocs=size,
                                       join=False)


def run_torn(function, size, folder, *arguments, timeout=90):
    """A run in which some ranks are killed. function(rank, size, folder, *arguments) ends in tell()
    on the others: rank -> (seconds, text) of those that came to it."""
    folder.mkdir()
    job = start(function, size, folder, str(folder), *arguments)
    end = time.monotonic() + timeout
    for process in job.processes[1:]:
        process.join(max(0.0, end - time.monotonic()))
    first = job.processes[0]
    while first.is_alive() and not (folder / "told-0").exists() and time.monotonic() < end:
        first.join(0.05)
    for process in job.processes:
        process.kill()
    told = {}
    for rank in range(size):
        if (folder / f"told-{rank}").exists():
            seconds, _, text = (folder / f"told-{rank}").read_text().partition(" ")
            told[rank] = float(seconds), text
    return told


def tell(folder, rank, seconds, told):
    """The last word of a rank of run_torn(). Rank 0, which holds the job's store, then stays until it
    is killed. told: an exception, or (class, text)."""
    if isinstance(told, BaseException):
        told = type(told).__name__, str(told)
    Path(folder, f"told-{rank}.new").write_text(f"{seconds:.1f} {': '.join(told)}")
    os.rename(Path(folder, f"told-{rank}.new"), Path(folder, f"told-{rank}"))
    if rank == 0:
        signal.pause()
    os._exit(0)


def failures_of(call):
    """rank -> (class, text) of what a call of DCP failed with on all ranks; DCP gathers them."""
    from torch.distributed.checkpoint.api import CheckpointException

    try:
        call()
    except CheckpointException as error:
        return {rank: (type(each[0]).__name__, str(each[0]))
                for rank, each in error.failures.items()}
    return None


def keys_of_cairn():
    """Those that are in the job's store when all ranks have come here. Others are PyTorch's, which
    makes some when it likes."""
    from torch import distributed

    distributed.barrier()
    keys = distributed.distributed_c10d._get_default_store().list_keys()
    distributed.barrier()
    return [key for key in keys if "cairn" in key]


def _main(rank, size, folder, function, arguments):
    import torch
    from torch import distributed

    torch.set_num_threads(1)
    store = _job_store(rank, size, Path(folder))
    distributed.init_process_group("gloo", store=store, rank=rank, world_size=size,
                                   timeout=datetime.timedelta(seconds=TIMEOUT))
    result = function(rank, size, *arguments)
    Path(folder, f"result-{rank}").write_bytes(pickle.dumps(result))
    distributed.barrier()  # rank 0 holds the store: it goes last
    distributed.destroy_process_group()
    _leave()


def _leave():
    """What an interpreter does at its end, without its end: threads of gloo that outlive the group
    have aborted one that was ending."""
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _job_store(rank, size, folder):
    from torch import distributed

    limit = datetime.timedelta(seconds=TIMEOUT)
    meeting = distributed.FileStore(str(folder / "meeting"), size)
    port = 0 if rank == 0 else int(meeting.get("port"))
    store = distributed.TCPStore("127.0.0.1", port, size, rank == 0, limit, wait_for_workers=False)
    if rank == 0:
        meeting.set("port", str(store.port))
    return store
