"""Running the built program and making its inputs, for tests in Python. Only the standard library."""
import json
import os
import struct
import subprocess
from pathlib import Path


def noise(length, seed=1):
    """Bytes that do not compress, the same each time."""
    state, out = seed * 2654435761 % 2**32 or 1, bytearray()
    while len(out) < length:
        state ^= state << 13 & 0xffffffff
        state ^= state >> 17
        state ^= state << 5 & 0xffffffff
        out += state.to_bytes(4, "little")
    return bytes(out[:length])


def write_safetensors(path, tensors, metadata=None):
    """`tensors`: name -> bytes, or (dtype, shape, bytes). Returns the path."""
    header, data = {}, b""
    if metadata is not None:
        header["__metadata__"] = metadata
    for name, value in tensors.items():
        dtype, shape, content = value if isinstance(value, tuple) else ("U8", [len(value)], value)
        header[name] = {"dtype": dtype, "shape": shape,
                        "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def read_safetensors(path):
    """name -> (dtype, shape, bytes), and the metadata."""
    content = path.read_bytes()
    length = struct.unpack_from("<Q", content)[0]
    header = json.loads(content[8:8 + length])
    metadata = header.pop("__metadata__", None)
    data = content[8 + length:]
    return {name: (entry["dtype"], entry["shape"], data[slice(*entry["data_offsets"])])
            for name, entry in header.items()}, metadata


def memory_folder():
    """Where tests that sync a lot put their stores."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


class Program:
    """The program with one store, in an environment without the machine's settings."""

    def __init__(self, path, store=None, **environment):
        self.path, self.store = str(Path(path).resolve()), store
        self.environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **environment}

    def start(self, *words, before=(), **options):
        named = [] if self.store is None else ["-s", str(self.store)]
        command = [*before, self.path, *named, *words]
        return subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, env=self.environment, **options)

    def run(self, *words, expect=0, before=(), text=True, **options):
        """Exit status `expect` (None: any) or AssertionError. `before`: a command that runs it."""
        process = self.start(*words, before=before, **options)
        out, error = process.communicate(timeout=300)
        if text:
            out, error = out.decode(), error.decode()
        done = subprocess.CompletedProcess(words, process.returncode, out, error)
        if expect is not None and done.returncode != expect:
            raise AssertionError(f"cairn {' '.join(map(str, words))}: exit {done.returncode}, not "
                                 f"{expect}\n{done.stdout}\n{done.stderr}")
        return done

    def json(self, *words, expect=0):
        return json.loads(self.run("--json", *words, expect=expect).stdout)

    def error(self, *words, expect):
        """The error object of a command that must fail."""
        return json.loads(self.run("--json", *words, expect=expect).stderr)["error"]
