"""Starts the ranks of the demo's training job, listens to them, and kills them."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Iterator

SCRIPTS = Path(__file__).resolve().parent


class Job:
    """demo_job.py on several ranks, each a process, all of one group that can be killed."""

    def __init__(self, ranks: int, folder: Path, *options: str) -> None:
        self.number = ranks
        meeting = f"{tempfile.mkdtemp(prefix='job-', dir=folder)}/meeting"
        environment = os.environ | {"OMP_NUM_THREADS": "1", "LOCAL_WORLD_SIZE": str(ranks),
                                    "PYTHONPATH": str(SCRIPTS.parent / "python")}
        self.errors = tempfile.TemporaryFile("w+")
        self.ranks: list[subprocess.Popen] = []
        for rank in range(ranks):
            command = [sys.executable, str(SCRIPTS / "demo_job.py"), str(rank), str(ranks),
                       str(folder), "--meeting", meeting, *options]
            self.ranks.append(subprocess.Popen(
                command, env=environment, text=True, stderr=self.errors,
                stdout=subprocess.PIPE if rank == 0 else subprocess.DEVNULL))

    def events(self) -> Iterator[dict]:
        """What rank 0 tells, as it happens; ends when it has ended."""
        for line in self.ranks[0].stdout:
            yield json.loads(line)

    def kill(self) -> None:
        """As a machine that fails: nobody gets to say goodbye."""
        for rank in self.ranks:
            rank.send_signal(signal.SIGKILL)
        for rank in self.ranks:
            rank.wait()

    def finish(self) -> None:
        """Waits for the ranks' end; ends the demo with what they said if one failed."""
        statuses = [rank.wait() for rank in self.ranks]
        if any(statuses):
            self.errors.seek(0)
            sys.exit(f"demo: ranks ended with {statuses}\n{self.errors.read()}")
