"""A folder as a .tar.gz of which every byte follows from the files: no times, owners or order."""

import gzip
import tarfile

# 1980-01-01, the first day that zip files know: the same in both.
TIME = 315532800


def file_mode(path):
    return 0o755 if path.stat().st_mode & 0o100 else 0o644


def write_archive(archive, folder):
    """Packs `folder` under its own name."""
    with open(archive, "wb") as raw, \
            gzip.GzipFile("", "wb", compresslevel=9, fileobj=raw, mtime=TIME) as zipped, \
            tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted([folder, *folder.rglob("*")]):
            entry = tar.gettarinfo(path, str(path.relative_to(folder.parent)))
            entry.uid = entry.gid = 0
            entry.uname = entry.gname = ""
            entry.mtime = TIME
            if entry.issym():
                entry.mode = 0o777
            else:
                entry.mode = 0o755 if entry.isdir() else file_mode(path)
            if entry.isreg():
                with open(path, "rb") as content:
                    tar.addfile(entry, content)
            else:
                tar.addfile(entry)
