"""What tests/bench/torch_gpu_bench.py saves, and how: states on a device, of which little changes or
all of a training's step, and savers that make a training wait."""
import time

import torch
from torch.distributed import checkpoint as dcp
from torch.distributed.checkpoint import staging

import cairn
import peers
from cairn.torch import AsyncSaver
from torch_states import Training, bytes_of, tensors_of

PERIOD = 10  # one parameter in so many changes


def wait_for(device):
    """Until the device has done what was enqueued."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def timed(device, work):
    """Seconds that the caller waits; nothing else is under way when it begins."""
    wait_for(device)
    begun = time.perf_counter()
    made = work()
    return time.perf_counter() - begun, made


class FrozenState:
    """Weights in BF16 with two moments in F32, of which a tenth changes at a time, as of layers that
    are not frozen."""

    def __init__(self, bytes_, device):
        width = 4096
        while width > 64 and bytes_ < 4 * PERIOD * width * width * 10:
            width //= 2
        self.count = max(1, bytes_ // (width * width * 10) // PERIOD) * PERIOD
        self.device, self.shape, self.round = device, (width, width), 0
        self.weights, self.averages, self.squares = ({}, {}, {})
        for number in range(self.count):
            self._renew(f"layers.{number:03}.weight")

    def _renew(self, name):
        for tensors, dtype in ((self.weights, torch.bfloat16), (self.averages, torch.float32),
                               (self.squares, torch.float32)):
            if name not in tensors:
                tensors[name] = torch.empty(self.shape, dtype=dtype, device=self.device)
            tensors[name].normal_()

    def change(self):
        self.round += 1
        for number in range(self.round % PERIOD, self.count, PERIOD):
            self._renew(f"layers.{number:03}.weight")

    def state(self):
        return {"model": self.weights, "exp_avg": self.averages, "exp_avg_sq": self.squares}


class DeviceTraining(Training):
    """A GPT that AdamW trains on a device. `state()` has bf16 weights beside the masters."""

    def __init__(self, size, device):
        super().__init__(size, narrow=True)
        self.device = device
        self.model.to(device)  # in place: the optimizer has the same parameters
        self.weights = {name: weight.to(device) for name, weight in self.weights.items()}

    def step(self):
        if self.text is None:
            self._read_text()
        super().step()
        with torch.no_grad():
            for weight, master in zip(self.weights.values(), self.model.parameters()):
                weight.copy_(master)

    def _read_text(self):
        from series_models import Text
        self.text = Text(self.size, seed=1)
        batch = self.text.batch
        self.text.batch = lambda: batch().to(self.device)


class CairnSaver:
    """AsyncSaver. `overlap`: beside what the training does until it changes tensors."""

    def __init__(self, folder, device, overlap=False, **options):
        self.saver = AsyncSaver(cairn.Store(folder, create=True), **options)
        self.store = cairn.Store(folder)
        # Of the host's tensors the saver has a copy when it returns.
        self.flags = {"overlap": True} if overlap and device.type == "cuda" else {}
        self.tag = None

    def begin(self, state, number):
        self.tag = f"run/{number:04}"
        return self.saver.save(self.tag, state, step=number, **self.flags)

    def save(self, state, number):
        """Returns what waits for the end."""
        return self.begin(state, number).result

    def check(self, state):
        """Errors: AssertionError for a tensor that is loaded as another."""
        self.saver.wait()
        assert_equal(self.store.load(self.tag, map_location=tensors_of(state)[0].device), state)

    def close(self):
        self.saver.close()


class DcpSaver:
    """dcp.async_save with pinned memory that it keeps. One at a time, as DCP wants it."""

    def __init__(self, folder, device):
        self.folder = folder
        has_device = device.type == "cuda"
        self.stager = staging.DefaultStager(staging.StagingOptions(
            use_pinned_memory=has_device, use_shared_memory=False, use_async_staging=False,
            use_non_blocking_copy=has_device))

    def save(self, state, number):
        peers.remove(self.folder)
        writer = dcp.FileSystemWriter(self.folder)
        saving = dcp.async_save(state, storage_writer=writer, async_stager=self.stager)
        return getattr(saving, "upload_completion", saving).result

    def check(self, state):
        pass

    def close(self):
        self.stager.close()


class TorchSaver:
    """torch.save, which the training waits for to the end. The file is not synced."""

    def __init__(self, folder, device):
        folder.mkdir(parents=True)
        self.file = folder / "state.pt"

    def save(self, state, number):
        torch.save(state, self.file)
        return lambda: None

    def check(self, state):
        pass

    def close(self):
        self.file.unlink()


def assert_equal(loaded, state):
    """Errors: AssertionError naming a tensor. Of values that are no tensors nothing is asked."""
    for name, value in state.items():
        if isinstance(value, dict):
            assert_equal(loaded[name], value)
        elif isinstance(value, torch.Tensor):
            same = torch.equal(loaded[name].reshape(-1).view(torch.uint8),
                               value.detach().reshape(-1).view(torch.uint8))
            assert same, f"{name} is another tensor when it is loaded"


def copy_rates(device, bytes_=1 << 30):
    """GB/s to pinned memory and from there; none without a device."""
    if device.type != "cuda":
        return {}
    there = torch.empty(bytes_, dtype=torch.uint8, device=device)
    here = torch.empty(bytes_, dtype=torch.uint8, pin_memory=True)

    def rate(to, source):
        seconds = []
        for _ in range(4):
            seconds.append(timed(device, lambda: (to.copy_(source, non_blocking=True),
                                                  wait_for(device)))[0])
        return bytes_ / sorted(seconds[1:])[1] / 1e9
    return {"copies down, GB/s": rate(here, there), "copies up, GB/s": rate(there, here)}


__all__ = ["CairnSaver", "DcpSaver", "DeviceTraining", "FrozenState", "TorchSaver", "bytes_of",
           "copy_rates", "timed", "wait_for"]
