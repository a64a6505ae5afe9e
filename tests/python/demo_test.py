#!/usr/bin/env python3
"""The demo tells its story to the end, with PyTorch and without."""
import os
import subprocess
import sys
import unittest

import package

if __name__ == "__main__":
    package.enter("numpy")

from environment import lacks

LIMIT = 300  # seconds; a minute where nothing else runs


class Demo(package.StoreTest):
    def tell(self, *flags):
        command = [sys.executable, str(package.ROOT / "scripts/demo_run.py"), *flags,
                   str(self.folder / "demo")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False,
                              env=os.environ | {"PYTHONUNBUFFERED": "1"})
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("nothing wrong", done.stdout)
        self.assertIn("3 ranks by columns, bytes equal", done.stdout)
        return done.stdout

    def test_without_pytorch(self):
        told = self.tell("--no-torch")
        self.assertIn("without PyTorch: no ranks", told)
        self.assertIn("4 steps after 'run/step-12': the same losses, to the last bit", told)

    @unittest.skipIf(lacks("torch"), "no torch here")
    def test_with_ranks_that_are_killed(self):
        told = self.tell()
        self.assertIn("kill -9 of both ranks", told)
        self.assertIn("all 15 losses are those of the undisturbed run, to the last bit", told)


if __name__ == "__main__":
    unittest.main()
