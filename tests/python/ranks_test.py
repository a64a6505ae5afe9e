#!/usr/bin/env python3
"""How ranks talk: values arrive, missing ranks are named, nothing is left behind."""
import datetime
import multiprocessing
import os
import threading
import time
import unittest
from unittest import mock

import package

if __name__ == "__main__":
    package.enter("torch")

import torch
from torch import distributed

import cairn
import ranks
from cairn.torch import Ranks, _joining, _life, _outcomes


def together(size, work, make_store=distributed.HashStore, **options):
    """work(Ranks) of each rank in a thread; the results, or what was raised."""
    store, results = make_store(), [None] * size

    def run(rank):
        try:
            results[rank] = work(Ranks(rank, size, store, **options))
        except Exception as error:
            results[rank] = error

    threads = [threading.Thread(target=run, args=[rank]) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results, store


def talk(us):
    exchange = us.exchange()
    gathered = exchange.gather({"rank": us.rank})
    told = exchange.broadcast({"all": gathered} if us.rank == 0 else None)
    last = exchange.broadcast([us.rank], of=us.size - 1)
    return gathered, told, last


def meet(us, topic, step=None):
    """A talk that rank 0 announces: what the others heard, or the error."""
    try:
        if us.rank == 0:
            try:
                with _joining.announced(us, topic, step) as exchange:
                    exchange.gather(step)
            except cairn.UnreachableError as error:
                _joining.tell_missed(us, exchange.missing, topic, step, error.message)
                raise
            return exchange.broadcast(f"heard {step}")
        exchange = _joining.join(us, topic, step)
        exchange.gather(step)
        return exchange.broadcast()
    except cairn.UnreachableError as error:
        return error.message


def is_slow(us):
    """The last rank takes four time-outs to answer, and shows that it gets on; or that it does not
    while it answers the second time."""
    told = []
    for is_alive in (True, False):
        exchange, ticks = us.exchange(), iter(range(100))
        if us.rank == us.size - 1:
            with exchange.working(lambda: next(ticks) if is_alive else 0):
                threading.Event().wait(4 * us.timeout)
        try:
            exchange.gather(us.rank)
            told.append(exchange.broadcast("heard" if us.rank == 0 else None))
        except cairn.UnreachableError as error:
            told.append(error.message)
    return told


def train_and_talk(rank, size):
    us, heard = Ranks.of(), []

    def background():
        while len(heard) <= 50:
            exchange = us.exchange()
            exchange.gather(rank)
            heard.append(exchange.broadcast(len(heard) if rank == 0 else None))

    thread = threading.Thread(target=background)
    thread.start()
    total = torch.zeros(1)
    for step in range(200):
        value = torch.full((1,), float(rank + step))
        distributed.all_reduce(value)
        total += value
    thread.join(60)
    return total.item(), heard


def in_groups(rank, size):
    halves = [distributed.new_group([0, 2]), distributed.new_group([1, 3])]
    mine = halves[rank % 2]
    told = Ranks.of(mine).gather(rank, to=1)
    try:
        Ranks.of(halves[1 - rank % 2])
        outside = None
    except cairn.UsageError as error:
        outside = error.message
    short = Ranks.of(mine, timeout=0.3)
    missing = None
    if rank == 0:
        try:
            short.gather(0)
        except cairn.UnreachableError as error:
            missing = error.message
    return told, outside, missing


def fork_and_leave(rank, size):
    us = Ranks.of()
    us.gather(rank)

    def speak():
        try:
            us.gather(rank)
        except cairn.UsageError:
            os._exit(3)

    child = multiprocessing.get_context("fork").Process(target=speak)
    child.start()
    child.join(60)
    return child.exitcode


def lose_the_store(rank, size, folder):
    us = Ranks.of(timeout=60)
    us.gather(rank)
    distributed.barrier()
    if rank == 0:
        os._exit(0)  # as killed: the store goes with it
    begin = time.monotonic()
    try:
        us.broadcast()
    except cairn.UnreachableError as error:
        (package.Path(folder) / "told").write_text(f"{time.monotonic() - begin}\n{error}")
    os._exit(0)


class Talks(package.StoreTest):
    def test_values_arrive_and_keys_go(self):
        def file_store():
            return distributed.FileStore(str(self.folder / "file-store"), 3)

        for make in (distributed.HashStore, file_store, self.tcp_store):
            results, store = together(3, talk, make)
            everyone = [{"rank": rank} for rank in range(3)]
            self.assertEqual(results, [(everyone if rank == 0 else None, {"all": everyone}, [2])
                                       for rank in range(3)], make)
            left = store.num_keys()
            for _ in range(3):
                together(3, talk, lambda: store)
            self.assertEqual(store.num_keys(), left, make)

    def tcp_store(self):
        return distributed.TCPStore("127.0.0.1", 0, None, True, wait_for_workers=False)

    def test_no_key_is_left_after_many_talks(self):
        results, store = together(2, lambda us: [talk(us) for _ in range(500)] and None)
        self.assertEqual(results, [None, None])
        self.assertEqual(store.num_keys(), 0)

    def test_missing_ranks_are_named(self):
        def work(us):
            if us.rank in (1, 3):
                return None
            return us.exchange().gather(0) if us.rank == 0 else us.exchange().broadcast(of=1)

        results, _ = together(5, work, timeout=0.3, labels=[10, 11, 12, 13, 14])
        self.assertIsInstance(results[0], cairn.UnreachableError)
        self.assertIn("ranks 11, 12, 13, 14 did not answer rank 10", results[0].message)
        self.assertIn("rank 11 did not answer rank 12", results[2].message)

    def test_who_is_slow_is_waited_for_while_it_gets_on(self):
        results, _ = together(3, is_slow, timeout=1)
        self.assertEqual([told[0] for told in results], ["heard"] * 3)
        for rank in (0, 1):
            self.assertRegex(results[rank][1], f"rank [02] did not answer rank {rank}")

    def test_who_missed_a_talk_takes_part_in_others(self):
        """Also in one about the same topic, whoever comes first to it."""
        for topics in ("abc", "aaa"):
            in_step = threading.Barrier(2)

            def work(us):
                heard = []
                for number, topic in enumerate(topics):
                    in_step.wait(60)
                    if (us.rank, number) == (1, 1):
                        continue
                    heard.append(meet(us, topic, number))
                return heard

            (first, second), _ = together(2, work, timeout=0.5)
            self.assertEqual(second, ["heard 0", "heard 2"])
            self.assertEqual([first[0], first[2]], ["heard 0", "heard 2"])
            self.assertIn("rank 1 did not answer rank 0", first[1])

    def test_who_comes_too_late_hears_it(self):
        gave_up = threading.Event()

        def work(us):
            if us.rank == 1:
                gave_up.wait(60)
            heard = meet(us, "a")
            gave_up.set()
            return heard, meet(us, "b")

        (first, second), _ = together(2, work, timeout=0.5)
        for heard in first[0], second[0]:
            self.assertIn("rank 1 did not answer rank 0", heard)
        self.assertEqual((first[1], second[1]), ("heard None", "heard None"))

    def test_many_talks_one_after_the_other(self):
        """Of one topic and of several: nobody joins a talk twice, nor finds one that is over."""
        for topics in ("a", "abc"):
            def work(us):
                return [meet(us, topics[number % len(topics)], number) for number in range(60)]

            results, store = together(3, work)
            self.assertEqual(results, [[f"heard {number}" for number in range(60)]] * 3)
            self.assertEqual(store.num_keys(), 0)

    def test_a_talk_that_ended_early_does_not_disturb_the_next(self):
        given_up = threading.Event()

        def work(us):
            if us.rank == 0:
                with self.assertRaises(cairn.UnreachableError):
                    us.gather("early")
                given_up.set()
                return us.gather("now")
            given_up.wait(60)
            us.gather("late")
            return us.gather("now")

        results, _ = together(2, work, timeout=0.4)
        self.assertEqual(results[0], ["now", "now"])

    def test_who_spoke_knows_when_all_have_heard(self):
        may_read = threading.Event()

        def work(us):
            exchange = us.exchange()
            if us.rank == 0:
                exchange.broadcast("last words")
                early = exchange.settle(0.2)
                exchange.broadcast("again")
                may_read.set()
                return early, exchange.settle()
            may_read.wait(60)
            return exchange.broadcast(), exchange.broadcast()

        results, _ = together(3, work)
        self.assertEqual(results, [(False, True), *[("last words", "again")] * 2])

    def test_who_is_gone_before_it_has_heard_is_the_one_that_is_named(self):
        def work(us):
            exchange = us.exchange()
            if us.rank == 1:
                exchange.gather({})
                return None
            _outcomes.answered(exchange, {}, lambda told: {})
            return _outcomes.answered(exchange, {}, lambda told: {})["error"][1]

        results, _ = together(3, work, timeout=1)
        self.assertEqual(results, ["rank 1 did not answer rank 0 within 1 s", None] +
                         ["rank 1 did not answer rank 0 within 1 s"])

    def test_a_process_that_beats_no_more_is_gone(self):
        """Whatever the time-out; one that only waits is not, nor one that goes on."""
        ends = threading.Event()

        def work(us):
            exchange = us.exchange()
            life = exchange._life
            if us.rank == 2:
                with exchange.working(lambda: 0):
                    ends.wait(60)
                    exchange.gather("late")
                    return exchange.broadcast()
            if us.rank == 1:
                life._beats = 0
                life._tell()  # and never again
                return None
            try:
                exchange.gather(None)
            except cairn.UnreachableError as error:
                ends.set()
                exchange.broadcast("over")
                return error.message, exchange.missing
            return None

        with mock.patch.object(_life, "LOOK", 0.05):
            begin = time.monotonic()
            results, _ = together(3, work, timeout=60)
        self.assertLess(time.monotonic() - begin, 30)
        self.assertEqual(results, [("rank 1 no longer gives rank 0 signs of life", [1, 2]), None,
                                   "over"])

    def test_one_process_talks_to_itself(self):
        us = Ranks.alone()
        self.assertEqual((us.gather(1), us.broadcast("a")), ([1], "a"))
        with self.assertRaisesRegex(cairn.UsageError, "need a store"):
            Ranks(0, 2)
        with self.assertRaisesRegex(cairn.UsageError, "not initialized"):
            Ranks.of()

    def test_a_wait_is_ended_by_another_thread(self):
        us = Ranks(0, 2, distributed.HashStore())
        threading.Timer(0.1, us.end).start()
        with self.assertRaises(cairn.CancelledError):
            us.gather(0)

    def test_values_are_no_pickles_and_not_too_large(self):
        with self.assertRaises(TypeError):
            Ranks(1, 2, distributed.HashStore()).gather({1, 2})
        noise = os.urandom(8 << 20).hex()
        with self.assertRaisesRegex(cairn.UsageError, "too much"):
            Ranks(1, 2, distributed.HashStore()).gather(noise)


class Jobs(package.StoreTest):
    def test_beside_collectives_of_the_main_thread(self):
        for total, heard in ranks.run(train_and_talk, 2):
            self.assertEqual(total, sum(2 * step + 1 for step in range(200)))
            self.assertEqual(heard, list(range(51)))

    def test_groups_by_their_global_ranks(self):
        results = ranks.run(in_groups, 4)
        self.assertEqual([told for told, _, _ in results], [None, None, [0, 2], [1, 3]])
        self.assertIn("rank 3 is not in the group", results[3][1])
        self.assertIn("rank 2 did not answer rank 0", results[0][2])

    def test_a_fork_is_refused(self):
        self.assertEqual(ranks.run(fork_and_leave, 2), [3, 3])

    def test_a_store_that_goes_before_the_first_talk_is_not_waited_for(self):
        """As long as PyTorch waits, which is as long as for anything else."""
        holder = distributed.TCPStore("127.0.0.1", 0, None, True, wait_for_workers=False)
        store = distributed.TCPStore("127.0.0.1", holder.port, None, False,
                                     datetime.timedelta(seconds=60), wait_for_workers=False)
        del holder
        begin = time.monotonic()
        with self.assertRaises(cairn.UnreachableError) as raised:
            Ranks(1, 2, store, timeout=1).ask("check", ["a"])
        self.assertLess(time.monotonic() - begin, 20)
        self.assertIn("no connection in time", raised.exception.message)

    def test_a_dead_rank_0_is_an_error_and_no_hang(self):
        job = ranks.start(lose_the_store, 2, self.folder, str(self.folder))
        for process in job.processes:
            process.join(60)
        seconds, told = (self.folder / "told").read_text().split("\n", 1)
        self.assertLess(float(seconds), 30)
        self.assertIn("the job's store does not answer rank 1", told)
        self.assertIn("rank 0 or the launcher", told)


if __name__ == "__main__":
    unittest.main()
