"""One rank of the demo's training job with a tiny model, for tests that kill it."""
import datetime
import os
import sys
import traceback
from pathlib import Path

import package

sys.path.insert(0, str(package.ROOT / "scripts"))

import torch
from torch import distributed
from torch.distributed.device_mesh import init_device_mesh

import demo_job

SIZE = {"width": 64, "depth": 2, "heads": 2}
WAIT = 5.0  # seconds that a rank waits for another


def run(rank, ranks, folder, port, began, until):
    """Goes on from the newest tag; what it fails with is the file "error-RANK" of the folder.
    began: an event, set when all ranks are there."""
    sys.stdout = open(os.devnull, "w")  # where it tells each step
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    limit = datetime.timedelta(seconds=2 * WAIT)
    meeting = distributed.TCPStore("127.0.0.1", port, ranks, False, limit)
    try:
        distributed.init_process_group("gloo", store=meeting, rank=rank, world_size=ranks,
                                       timeout=limit)
        trainer = demo_job.Trainer(init_device_mesh("cpu", (ranks,)), **SIZE)
        distributed.barrier()
        began.set()
        demo_job.train(trainer, demo_job.CairnSaves(Path(folder), timeout=WAIT), until)
        distributed.barrier()
        distributed.destroy_process_group()
    except Exception:
        Path(folder, f"error-{rank}").write_text(traceback.format_exc())
        raise SystemExit(1) from None
