"""One rank of the demo's training job with a tiny model, for tests that kill it."""
import datetime
import os
import sys
import time
import traceback
from pathlib import Path

import package

sys.path.insert(0, str(package.ROOT / "scripts"))

import torch
from torch import distributed
from torch.distributed.device_mesh import init_device_mesh

import demo_job

SIZE = {"width": 64, "depth": 2, "heads": 2}
WAIT = 3.0  # seconds that a rank waits for another


class Signals:
    """What the ranks let the test know. context: of multiprocessing."""

    def __init__(self, context):
        self.all_there = context.Event()
        self.save_begun = context.Event()
        self.pace = context.Value("d", 0.0)  # seconds from one save to the next


class TellingSaves(demo_job.CairnSaves):
    def __init__(self, folder, signals):
        super().__init__(folder, timeout=WAIT)
        self.signals, self.before = signals, None

    def save(self, trainer, loss):
        super().save(trainer, loss)
        now = time.monotonic()
        if self.before is not None:
            self.signals.pace.value = now - self.before
        self.before = now
        self.signals.save_begun.set()


def run(rank, ranks, folder, port, signals, until):
    """Goes on from the newest tag; what it fails with is the file "error-RANK" of the folder."""
    sys.stdout = open(os.devnull, "w")  # where it tells each step
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    limit = datetime.timedelta(seconds=3 * WAIT)
    try:
        meeting = distributed.TCPStore("127.0.0.1", port, ranks, False, limit)
        distributed.init_process_group("gloo", store=meeting, rank=rank, world_size=ranks,
                                       timeout=limit)
        trainer = demo_job.Trainer(init_device_mesh("cpu", (ranks,)), **SIZE)
        distributed.barrier()
        signals.all_there.set()
        demo_job.train(trainer, TellingSaves(Path(folder), signals), until)
        distributed.barrier()
        distributed.destroy_process_group()
    except Exception:
        Path(folder, f"error-{rank}").write_text(traceback.format_exc())
        raise SystemExit(1) from None
