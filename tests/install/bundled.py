"""The archive and the wheel of this tree, made by scripts/bundle, and what runs without the machine."""
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests/support")]

# Nothing of the machine's settings, and nothing on PATH.
BARE = {"PATH": "", "HOME": "/nonexistent"}


def run(*words, **options):
    """What a command prints; AssertionError with all it said when it fails."""
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, **options)
    if done.returncode != 0:
        raise AssertionError(f"{words}: {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


class Bundle:
    """Made once for a test class, in a folder that goes when the class is done."""

    def __init__(self, test_class):
        temporary = tempfile.TemporaryDirectory(prefix="cairn-bundle-")
        test_class.addClassCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        self.archive, self.wheel = self.make("made")

    def make(self, name):
        """The paths of archive and wheel in a folder of that name."""
        run(ROOT / "scripts/bundle", "--out", self.folder / name)
        return sorted((self.folder / name).iterdir(), key=lambda path: path.suffix)

    def unpack(self, name):
        """The top folder of the archive, unpacked in a folder of that name."""
        with tarfile.open(self.archive) as tar:
            tar.extractall(self.folder / name)
        top, = (self.folder / name).iterdir()
        return top
