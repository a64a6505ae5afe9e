"""What Cairn is compared with, each as a function that returns seconds. Files are fresh for every
call and are made durable, because that is what a checkpoint is for."""
import json
import os
import shutil
import subprocess
import time


def sync(path):
    """fsync of a file, or of every file below a folder."""
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    for file in files:
        descriptor = os.open(file, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)


def forget_cached(path):
    """Drops a file's, or a folder's, clean pages from the page cache."""
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    for file in files:
        descriptor = os.open(file, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def cache(path):
    """Reads a file, or every file below a folder, so that the page cache holds it."""
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    for file in files:
        with open(file, "rb") as opened:
            while opened.read(1 << 22):
                pass


def timed(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def torch_state(tensors, rows, columns):
    """Random fp32 tensors, touched."""
    import numpy
    import torch
    random = numpy.random.default_rng(1)
    return {f"layer.{i}": torch.from_numpy(
        random.integers(0, 2**32, (rows, columns), dtype=numpy.uint32).view(numpy.float32))
        for i in range(tensors)}


def torch_save(state, path):
    import torch

    def work():
        torch.save(state, path)
        sync(path)
    return timed(work)


def safetensors_save(state, path):
    from safetensors.torch import save_file

    def work():
        save_file(state, path)
        sync(path)
    return timed(work)


def dcp_save(state, path):
    """PyTorch DCP in one process; it syncs its files itself."""
    import torch.distributed.checkpoint as dcp
    writer = dcp.FileSystemWriter(path)
    return timed(lambda: dcp.save(dict(state), storage_writer=writer, no_dist=True))


def torch_load(path):
    import torch
    return timed(lambda: torch.load(path))


def safetensors_load(path, targets):
    """safetensors maps the file; the copy brings the bytes into the job's own memory."""
    from safetensors import safe_open

    def work():
        with safe_open(path, "pt") as file:
            for name, target in targets.items():
                target.copy_(file.get_tensor(name))
    return timed(work)


FIO = ["fio", "--bs=4m", "--output-format=json"]
DIRECT = ["--direct=1", "--ioengine=libaio", "--iodepth=4"]


def fio_write(path, size):
    """Seconds to write a fresh file by direct requests of 4 MiB, four in flight, and fsync."""
    return run_fio(FIO + DIRECT + ["--end_fsync=1", "--fallocate=none", "--rw=write",
                                   "--name=floor", f"--filename={path}", f"--size={size}"])


def fio_read(paths, direct):
    """Seconds to read files, one after the other, in requests of 4 MiB."""
    command = FIO + (DIRECT if direct else []) + ["--allow_file_create=0", "--rw=read"]
    for number, path in enumerate(paths):
        if path.stat().st_size >= 1 << 22:
            command += [f"--name=file{number}", f"--filename={path}", "--stonewall"]
    return run_fio(command)


def run_fio(command):
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    jobs = json.loads(run.stdout[run.stdout.index("{"):])["jobs"]
    return sum(job["job_runtime"] for job in jobs) / 1000


def restic(repository, folder):
    env = dict(os.environ, RESTIC_PASSWORD="bench", RESTIC_REPOSITORY=str(repository))
    if not repository.exists():
        subprocess.run(["restic", "init", "-q"], env=env, check=True)
    return timed(lambda: subprocess.run(["restic", "backup", "-q", "--no-cache", str(folder)],
                                        env=env, check=True))


def borg(repository, folder, compression="none"):
    env = dict(os.environ, BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK="yes")
    if not repository.exists():
        subprocess.run(["borg", "init", "-e", "none", str(repository)], env=env, check=True,
                       capture_output=True)
    name = f"{repository}::tag-{time.time_ns()}"
    return timed(lambda: subprocess.run(["borg", "create", "-C", compression, name, str(folder)],
                                        env=env, check=True))


def zstd(source, path, level):
    def work():
        subprocess.run(["zstd", "-q", f"-{level}", str(source), "-o", str(path)], check=True)
        sync(path)
    return timed(work)


ZIPNN_DTYPES = {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}


def zipnn(tensors, path):
    """`tensors`: name -> (dtype, shape, bytes). Each is compressed by what it is; names and shapes
    are left out. What ZipNN has no dtype for is written as it is."""
    from zipnn import ZipNN

    def compress(dtype, data):
        if dtype not in ZIPNN_DTYPES:
            return bytes(data)
        # It works in place, so it gets a copy.
        return ZipNN(input_format="byte", bytearray_dtype=ZIPNN_DTYPES[dtype],
                     threads=os.cpu_count()).compress(bytearray(data))

    def work():
        with open(path, "wb") as file:
            for dtype, _, data in tensors.values():
                file.write(compress(dtype, data))
        sync(path)
    return timed(work)


def have(tool):
    return shutil.which(tool) is not None


def remove(path):
    if path.is_dir():
        shutil.rmtree(path)
    elif path.exists():
        path.unlink()
