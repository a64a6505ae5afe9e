#!/usr/bin/env python3
"""Tags that go to another place: by call, and beside the training."""
import pickle
import threading
import unittest
from unittest import mock

import package

if __name__ == "__main__":
    package.enter("torch", "numpy")

import torch
from torch.distributed import checkpoint as dcp

import cairn
from cairn.torch import AsyncSaver, StorageReader, StorageWriter
from environment import lacks
from file_servers import BUCKET_SERVER, BucketServer

# Saves, and ends at once.
SHORT = """
import sys, torch, cairn.torch
saver = cairn.torch.AsyncSaver(sys.argv[1], push_to=sys.argv[2])
for step in range(3):
    saver.save(f"run/{step}", {"w": torch.full((1000,), step)}, step=step)
"""


def state(step):
    generator = torch.Generator().manual_seed(step)
    return {"w": torch.randn(1 << 16, generator=generator), "step": step}


class Held:
    """Pushes that wait for release()."""

    def __init__(self):
        self.begun, self._may_go, self.tags = threading.Event(), threading.Event(), []
        push = cairn.Store.push

        def waiting(store, place, tag):
            self.tags.append(tag)
            self.begun.set()
            self._may_go.wait()
            return push(store, place, tag)

        self.patch = mock.patch.object(cairn.Store, "push", waiting)

    def release(self):
        self._may_go.set()


class Push(package.StoreTest):
    def setUp(self):
        super().setUp()
        self.place = self.folder / "there"

    def there(self):
        return cairn.Store(self.place)

    def tags_there(self):
        return [tag.tag for tag in reversed(self.there().tags())]

    def saver(self, **options):
        saver = AsyncSaver(self.store, push_to=self.place, **options)
        self.addCleanup(saver.close)
        return saver

    def held(self):
        held = Held()
        held.patch.start()
        self.addCleanup(held.patch.stop)
        self.addCleanup(held.release)
        return held

    def test_by_call(self):
        self.store.save("run/1", state(1))
        moved = self.store.push(self.place, "run/1")
        self.assertEqual((moved["tag"], moved["already_there"]), ("run/1", False))
        self.assertTrue(self.store.push(self.there(), "run/1")["already_there"])
        self.there().save("run/2", state(2))
        self.assertEqual(self.store.pull(self.place, "run/2", dry_run=True)["dry_run"], True)
        self.store.pull(self.there(), "run/2")
        self.assertTrue(torch.equal(self.store.load("run/2")["w"], state(2)["w"]))
        with self.assertRaises(cairn.NotFoundError):
            self.store.push(self.place, "run/3")

    def test_each_tag_goes_oldest_first(self):
        saver = self.saver()
        for step in range(6):
            saver.save(f"run/{step}", state(step), step=step)
        saver.wait()
        self.assertTrue(saver.wait_pushed(60))
        self.assertEqual(self.tags_there(), [f"run/{step}" for step in range(6)])
        self.assertTrue(torch.equal(self.there().load("run/5")["w"], state(5)["w"]))

    def test_closing_waits_for_them(self):
        with AsyncSaver(self.store, push_to=self.place) as saver:
            saver.save("run/1", state(1))
        self.assertEqual(self.tags_there(), ["run/1"])

    def test_the_training_does_not_wait_for_them(self):
        saver, held = self.saver(push_backlog=3), self.held()
        for step in range(3):
            saver.save(f"run/{step}", state(step))
        saver.wait()
        held.begun.wait()
        self.assertFalse(saver.wait_pushed(0.01))
        self.assertEqual(held.tags, ["run/0"])

    def test_more_than_the_backlog_waits(self):
        saver, held = self.saver(push_backlog=1), self.held()
        saver.save("run/0", state(0)).wait()
        later = threading.Thread(target=saver.save, args=["run/1", state(1)])
        later.start()
        held.begun.wait()
        later.join(0.2)
        self.assertTrue(later.is_alive())
        held.release()
        later.join()
        self.assertTrue(saver.wait_pushed())

    def test_more_than_the_backlog_is_skipped_or_refused(self):
        saver, held = self.saver(push_backlog=1, back_pressure="skip"), self.held()
        saver.save("run/0", state(0)).wait()
        held.begun.wait()
        self.assertTrue(saver.save("run/1", state(1)).skipped)
        other = cairn.Store(self.folder / "other", create=True)
        with AsyncSaver(other, push_to=self.place, push_backlog=1, back_pressure="error") as strict:
            strict.save("other/0", state(0)).wait()
            with self.assertRaisesRegex(cairn.BusyError, "pushes"):
                strict.save("other/1", state(1))
            held.release()

    def test_what_one_fails_with_is_raised_once(self):
        self.place.write_text("no folder")
        saver = self.saver()
        saver.save("run/0", state(0)).wait()
        with self.assertRaisesRegex(cairn.Error, "'run/0' is saved and was not pushed"):
            saver.wait_pushed()
        self.place.unlink()
        saver.save("run/1", state(1)).wait()
        self.assertTrue(saver.wait_pushed())
        self.assertEqual(self.tags_there(), ["run/1"])

    def test_a_program_that_ends_pushes_what_it_saved(self):
        short = package.program(SHORT, self.folder / "short", self.place)
        self.assertEqual(short.communicate(timeout=120)[1], "")
        self.assertEqual(self.tags_there(), ["run/0", "run/1", "run/2"])

    def test_dcp_saves_go_on_too(self):
        writer = pickle.loads(pickle.dumps(StorageWriter(self.store, push_to=self.place)))
        for step in range(3):
            dcp.save(state(step), storage_writer=writer, checkpoint_id=f"run/{step}", no_dist=True)
        self.assertTrue(writer.wait_pushed(60))
        self.assertEqual(self.tags_there(), ["run/0", "run/1", "run/2"])
        loaded = state(0)
        dcp.load(loaded, storage_reader=StorageReader(self.there()), checkpoint_id="run/2",
                 no_dist=True)
        self.assertTrue(torch.equal(loaded["w"], state(2)["w"]))

    def test_a_backlog_that_is_none(self):
        with self.assertRaises(cairn.UsageError):
            AsyncSaver(self.store, push_to=self.place, push_backlog=0)


@unittest.skipIf(lacks(*BUCKET_SERVER), lacks(*BUCKET_SERVER) or "")
class Bucket(package.StoreTest):
    def test_saves_go_on_to_a_bucket(self):
        server = BucketServer()
        self.addCleanup(server.stop)
        with mock.patch.dict("os.environ", server.environment):
            with AsyncSaver(self.store, push_to="s3://bucket/run") as saver:
                for step in range(3):
                    saver.save(f"run/{step}", state(step), step=step)
            there = cairn.Store("s3://bucket/run")
            self.assertEqual([tag.step for tag in there.tags()], [2, 1, 0])
            self.assertTrue(torch.equal(there.load("run/2")["w"], state(2)["w"]))


if __name__ == "__main__":
    unittest.main()
