#!/usr/bin/env python3
"""Two ranks that save every step, killed at random moments: tags are whole or not there, nobody
waits for ever, and training goes on as if nothing had happened.

CAIRN_KILLS: how often they are killed (20). CAIRN_SEED: of the moments.
"""
import multiprocessing
import os
import random
import signal
import time
import unittest

import package

if __name__ == "__main__":
    package.enter("torch", "numpy")

from torch import distributed

import cairn
import killed_job

KILLS = int(os.environ.get("CAIRN_KILLS", "20"))
LIMIT = 60  # seconds for what must end by itself
processes = multiprocessing.get_context("forkserver")  # PyTorch is imported once


class Job:
    """Ranks that go on from the newest tag of the store in `folder`."""

    def __init__(self, folder, ranks=2, until=1_000_000):
        self.folder = folder
        # The launcher holds the job's store, as torchrun does: it outlives the ranks.
        self.meeting = distributed.TCPStore("127.0.0.1", 0, None, True, wait_for_workers=False)
        self.signals = killed_job.Signals(processes)
        arguments = ranks, str(folder), self.meeting.port, self.signals, until
        self.ranks = [processes.Process(target=killed_job.run, args=(rank, *arguments))
                      for rank in range(ranks)]
        for rank in self.ranks:
            rank.start()

    def kill(self, victims):
        for victim in victims:
            os.kill(self.ranks[victim].pid, signal.SIGKILL)

    def join(self):
        """What each rank said at its end; None: it said nothing. Kills and fails what hangs."""
        end = time.monotonic() + LIMIT
        hung = []
        for number, rank in enumerate(self.ranks):
            rank.join(max(0.0, end - time.monotonic()))
            if rank.is_alive():
                hung.append(number)
                rank.kill()
        assert not hung, f"ranks {hung} still ran {LIMIT} s later"
        return [self._error(number) for number in range(len(self.ranks))]

    def _error(self, rank):
        path = self.folder / f"error-{rank}"
        if not path.exists():
            return None
        text = path.read_text()
        path.unlink()
        return text


class Killed(package.StoreTest):
    def test_at_random_moments(self):
        seed = int(os.environ.get("CAIRN_SEED", str(random.randrange(1 << 32))))
        print(f"CAIRN_SEED={seed}", flush=True)
        chance = random.Random(seed)
        quiet = Job(self.folder, until=4)
        self.assertEqual(quiet.join(), [None, None])
        for attempt in range(KILLS):
            victims = chance.choice([(0,), (1,), (0, 1)])
            with self.subTest(attempt=attempt, victims=victims):
                job = Job(self.folder)
                self.wait_for_a_moment(job, chance, quiet.signals.pace.value)
                job.kill(victims)
                self.check_errors(victims, job.join())
                self.assertTrue(self.store.check(read_data=True)["ok"])
        self.check_nothing_is_left()
        self.check_tags_are_those_of_a_quiet_run()

    def wait_for_a_moment(self, job, chance, pace):
        """While ranks load, or in one of the first saves. pace: seconds from one to the next."""
        signal = chance.choice([job.signals.all_there, *3 * [job.signals.save_begun]])
        self.assertTrue(signal.wait(LIMIT))
        job.ranks[0].join(chance.uniform(0, 4 * pace))

    def check_nothing_is_left(self):
        """Once gc was there."""
        self.store.gc()
        self.assertEqual(self.store.gc()["freed_bytes"], 0)
        self.assertEqual(list((self.folder / "store" / "sessions").iterdir()), [])

    def check_errors(self, victims, errors):
        for rank, error in enumerate(errors):
            if rank in victims:
                self.assertIsNone(error)
            elif "cairn.errors" in error:
                # Rank 0's answer is waited for twice as long: it may be waiting itself.
                seconds = int(killed_job.WAIT * (2 if rank else 1))
                self.assertIn(f"rank {1 - rank} did not answer rank {rank} within {seconds} s", error)
            else:  # it was in a collective of the training
                self.assertRegex(error, "gloo|Connection|peer")

    def check_tags_are_those_of_a_quiet_run(self):
        """A manifest is made of all that a tag holds, so equal ones are equal states."""
        tags = {tag.step: tag.manifest for tag in self.store.tags()}
        self.assertGreater(len(tags), 4)
        self.assertEqual(sorted(tags), list(range(1, len(tags) + 1)))
        quiet = self.folder / "quiet"
        quiet.mkdir()
        store = cairn.Store(quiet / "store", create=True)
        self.assertEqual(Job(quiet, until=len(tags)).join(), [None, None])
        self.assertEqual(tags, {tag.step: tag.manifest for tag in store.tags()})


if __name__ == "__main__":
    processes.set_forkserver_preload(["torch.distributed.tensor",
                                      "torch.distributed.checkpoint.state_dict"])
    unittest.main()
