#!/usr/bin/env python3
"""Stores from Python without PyTorch: arrays, nested states, errors, what the program does."""
import pickle
import subprocess
import sys
import threading
import unittest

import package

if __name__ == "__main__":
    package.enter("numpy")

import numpy as np

import cairn


def state():
    return {"model": {"w": np.arange(12, dtype=np.float32).reshape(3, 4),
                      "turned": np.arange(12.0).reshape(3, 4).T,
                      "backwards": np.arange(6)[::-1], "empty": np.zeros((0, 3))},
            "optimizer": {"state": {0: {"step": np.array(3, dtype=np.float32)}},
                          "groups": [{"lr": 1e-3, "betas": (0.9, 0.999), "name": None, "ids": []}]},
            "epoch": 3, "best": float("-inf"), "done": False, "raw": b"\0\xff"}


class Stores(package.StoreTest):
    def assert_same(self, a, b):
        if isinstance(a, np.ndarray):
            np.testing.assert_array_equal(a, b)
            self.assertEqual(a.dtype, b.dtype)
        elif isinstance(a, dict):
            self.assertEqual(list(a), list(b))
            for key in a:
                self.assert_same(a[key], b[key])
        elif isinstance(a, (list, tuple)):
            self.assertEqual((type(a), len(a)), (type(b), len(b)))
            for one, other in zip(a, b):
                self.assert_same(one, other)
        else:
            self.assertEqual((type(a), a), (type(b), b))

    def test_a_state_comes_back(self):
        saved = self.store.save("run/1", state(), step=7, user_content={"seed": [1, 2]},
                                metadata={"loss": 1.5, "note": "x"})
        self.assertEqual(saved["logical_bytes"], saved["new_bytes"] + saved["reused_bytes"])
        self.assert_same(self.store.load("run/@newest"), state())
        self.assertEqual(self.store.user_content("run/1"), {"seed": [1, 2]})
        tag, = self.store.tags("run/*")
        self.assertEqual((tag.tag, tag.step, tag.metadata), ("run/1", 7, {"loss": "1.5", "note": "x"}))
        again = self.store.save("run/2", state(), step=7)
        self.assertEqual(again["new_bytes"], 0)

    def test_into_what_the_caller_has(self):
        self.store.save("run/1", state())
        room = np.zeros((8, 6), dtype=np.float32)
        into = {"model": {"w": room[1:4, ::2][:, :3], "more": np.zeros(2)}}
        with self.assertRaisesRegex(cairn.UsageError, r"'model.w' is \[3, 4\].*'model.more' is not"):
            self.store.load("run/1", into)
        with self.assertRaisesRegex(cairn.UsageError, "'model.turned' of the tag is not in the state"):
            self.store.load("run/1", {"model": {"w": room[1:4, ::2][:, :3]}}, tensors="model.[wt]*")
        backwards = np.zeros((3, 4), dtype=np.float32)[::-1]
        self.store.load("run/1", {"model": {"w": backwards}}, tensors="model.w")
        self.assert_same(np.ascontiguousarray(backwards), state()["model"]["w"])
        into = {"model": {"w": np.zeros((4, 3), dtype=np.float32).T}}
        self.store.load("run/1", into, strict=False)
        self.assert_same(into["model"]["w"], state()["model"]["w"])

    def test_parts_and_names(self):
        self.store.save("run/1", state())
        part = self.store.load("run/1", tensors="model.t*", rename={r"^model\.": "m/"})
        self.assertEqual(list(part), ["m/turned"])
        with self.assertRaisesRegex(cairn.UsageError, "no tensor matches 'x'"):
            self.store.load("run/1", tensors=["x"])
        with self.assertRaisesRegex(cairn.UsageError, "both renamed"):
            self.store.load("run/1", rename={".*": "same"})

    def test_errors_say_what_and_what_next(self):
        with self.assertRaises(cairn.NoStoreError):
            cairn.Store(self.folder / "none")
        (self.folder / "file").write_text("x")
        with self.assertRaises(cairn.Error):
            cairn.Store(self.folder / "file", create=True)
        self.store.save("run/1", {"w": np.ones(3)})
        for kind, call in (
                (cairn.ExistsError, lambda: self.store.save("run/1", {"w": np.ones(3)})),
                (cairn.NotFoundError, lambda: self.store.load("run/2")),
                (cairn.NotFoundError, lambda: self.store.show("run/2")),
                (cairn.ProtectedError, lambda: self.store.forget("run/1")),
                (cairn.UsageError, lambda: self.store.save("-x", {"w": np.ones(3)})),
                (cairn.UsageError, lambda: self.store.save("a", {"w": np.ones(3)}, if_exists="x")),
                (cairn.UsageError, lambda: self.store.save("a", {"w": np.array(["text"])})),
                (cairn.UsageError, lambda: self.store.save("a", {"w": object()})),
                (cairn.UsageError, lambda: self.store.save("a", {"a": {"b": 1}, "a.b": 2})),
                (cairn.UsageError, lambda: self.store.save("a", {1.5: np.ones(3)})),
                (cairn.UsageError, lambda: self.store.save("a", {"w": 1}, user_content=object()))):
            with self.assertRaises(kind) as raised:
                call()
            self.assertTrue(raised.exception.message)
            self.assertEqual(type(raised.exception).code, raised.exception.code)
        self.assertEqual([tag.tag for tag in self.store.tags()], ["run/1"])
        error = pickle.loads(pickle.dumps(cairn.BusyError("a", "b")))
        self.assertEqual((type(error), error.hint), (cairn.BusyError, "b"))

    def test_a_name_that_is_taken(self):
        self.store.save("run/1", {"w": np.ones(3)})
        with self.assertRaises(cairn.ExistsError) as raised:
            self.store.save("run/1", {"w": np.zeros(3)})
        self.assertIn('if_exists="replace"', raised.exception.hint)
        self.store.save("run/1", {"w": np.zeros(3)}, if_exists="replace")
        self.assertEqual(self.store.load("run/1")["w"].sum(), 0)

    def test_pickles_only_where_both_sides_say_so(self):
        self.store.save("a", {"w": np.ones(3), "odd": {1, 2}}, allow_pickle=True)
        with self.assertRaisesRegex(cairn.UsageError, "allow_pickle"):
            self.store.load("a")
        self.assertEqual(self.store.load("a", allow_pickle=True)["odd"], {1, 2})

    def test_a_state_that_holds_itself(self):
        loop = {"w": np.ones(3)}
        loop["again"] = loop
        with self.assertRaisesRegex(cairn.UsageError, "holds itself"):
            self.store.save("a", loop)

    def test_what_the_program_does(self):
        self.store.save("run/1", {"w": np.zeros(1000)})
        self.store.save("run/2", {"w": np.ones(1000)})
        self.assertFalse(self.store.diff("run/1", "run/2")["identical"])
        self.assertEqual(self.store.show("run/1")["tensors"][0]["name"], "w")
        removed = self.store.forget(keep_last=1)["removed"]
        self.assertEqual([row["tag"] for row in removed], ["run/1"])
        self.assertIn("freed_bytes", self.store.gc())
        self.assertTrue(self.store.check(read_data=True)["ok"])

    def test_damage_is_named(self):
        noise = np.random.default_rng(1).integers(0, 255, 1 << 20, dtype=np.uint8)
        self.store.save("run/1", {"w": noise})
        pack, = [path for path in (self.folder / "store/packs").rglob("*") if path.is_file()]
        content = bytearray(pack.read_bytes())
        content[len(content) // 2] ^= 1
        pack.write_bytes(content)
        with self.assertRaisesRegex(cairn.CorruptError, "run/1.*'w'|'w'.*run/1"):
            self.store.load("run/1")
        self.assertFalse(self.store.check(read_data=True)["ok"])

    def test_threads_save_at_once(self):
        failed = []

        def work(number):
            try:
                self.store.save(f"run/{number}", {"w": np.full(1000, number)})
            except cairn.Error as error:
                failed.append(error)

        threads = [threading.Thread(target=work, args=[n]) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failed, [])
        for number in range(8):
            self.assertEqual(self.store.load(f"run/{number}")["w"][0], number)

    def test_many_make_one_store(self):
        for number in range(20):
            path = self.folder / f"made-{number}"
            barrier, raised = threading.Barrier(4), []

            def make():
                barrier.wait()
                try:
                    cairn.Store(path, create=True).save(f"by-{threading.get_ident()}", {})
                except Exception as error:
                    raised.append(error)

            makers = [threading.Thread(target=make) for _ in range(4)]
            for maker in makers:
                maker.start()
            for maker in makers:
                maker.join()
            self.assertEqual(raised, [])
            self.assertEqual(len(cairn.Store(path).tags()), 4)

    def test_stores_go_to_other_processes(self):
        self.store.save("run/1", {"w": np.ones(3)})
        code = ("import pickle, sys; store = pickle.load(sys.stdin.buffer);"
                "import numpy; print(store.load('run/1')['w'].sum())")
        done = subprocess.run([sys.executable, "-c", code], input=pickle.dumps(self.store),
                              capture_output=True, check=True,
                              env={"PYTHONPATH": str(package.ROOT / "python"),
                                   **{key: package.os.environ[key]
                                      for key in ("CAIRN_LIBRARY", "CAIRN_PROGRAM", "PATH")}})
        self.assertEqual(done.stdout, b"3.0\n")


if __name__ == "__main__":
    unittest.main()
