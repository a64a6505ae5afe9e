"""Servers that hold a store's files, each on a port of the loopback that the system chooses."""
import functools
import http.server
import os
import re
import subprocess
import sys
import tempfile
import threading
import unittest
import urllib.request
from pathlib import Path

from environment import lacks
from program import memory_folder

BUCKET_SERVER = ("moto", "flask", "flask_cors")
_COUNTING = threading.Lock()


class FileServer:
    """Python's own: a folder's files, no listing that a program could read, and ranges if asked
    for. sent_bytes: of bodies."""

    def __init__(self, folder, ranges=False, port=0):
        kind = _Ranges if ranges else _Quiet
        handler = functools.partial(kind, directory=str(folder))
        self._server = _Server(("127.0.0.1", port), handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def use_tls(self, context):
        """From the next connection on."""
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    def stop(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def sent_bytes(self):
        return getattr(self._server, "sent_bytes", 0)


class _Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_):
        """Clients go when they have what they want."""


class _Quiet(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def copyfile(self, source, outputfile):
        while part := source.read(1 << 16):
            outputfile.write(part)
            self.count(len(part))

    def count(self, sent):
        with _COUNTING:
            self.server.sent_bytes = getattr(self.server, "sent_bytes", 0) + sent


class _Ranges(_Quiet):
    """`bytes=a-b` of a file, as programs ask for it."""

    def do_GET(self):
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        path = self.translate_path(self.path)
        if asked is None or not os.path.isfile(path):
            super().do_GET()
            return
        size = os.path.getsize(path)
        begin, end = int(asked[1]), min(int(asked[2]) + 1, size)
        self.send_response(206 if begin < size else 416)
        self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{size}" if begin < size
                         else f"bytes */{size}")
        self.send_header("Content-Length", str(max(0, end - begin)))
        self.end_headers()
        with open(path, "rb") as file:
            file.seek(begin)
            left = end - begin
            while left > 0:
                part = file.read(min(left, 1 << 16))
                self.wfile.write(part)
                left -= len(part)
                self.count(len(part))

    def handle(self):
        try:
            super().handle()
        except ConnectionError:  # a client that was killed
            pass


class BucketServer:
    """moto's S3 (packages BUCKET_SERVER), with one bucket that is called `bucket`. `environment`: how
    clients find it. as_installed: without atomic_moto.py, for what measures it."""

    def __init__(self, as_installed=False):
        atomic = Path(__file__).resolve().with_name("atomic_moto.py")
        server = ["-m", "moto.server"] if as_installed else [str(atomic)]
        command = [sys.executable, *server, "-H", "127.0.0.1", "-p", "0"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL,
                                         stderr=subprocess.PIPE, text=True)
        for line in self._process.stderr:
            if "Running on http://" in line:
                self.endpoint = line.split("Running on ")[1].split()[0]
                break
        else:
            raise RuntimeError("the S3 server ended before it began")
        # Its log is read to the end, so that it never waits for that.
        threading.Thread(target=self._process.stderr.read, daemon=True).start()
        self.environment = {"AWS_ENDPOINT_URL": self.endpoint, "AWS_ACCESS_KEY_ID": "key",
                            "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}
        request = urllib.request.Request(f"{self.endpoint}/bucket", method="PUT")
        urllib.request.urlopen(request, timeout=30).close()

    def stop(self):
        self._process.terminate()
        self._process.wait()
        self._process.stderr.close()


class BucketCase(unittest.TestCase):
    """Tests that share a BucketServer, `server`, each with a `folder` of its own."""

    @classmethod
    def setUpClass(cls):
        missing = lacks(*BUCKET_SERVER)
        if missing:
            raise unittest.SkipTest(missing)
        cls.server = BucketServer()
        cls.addClassCleanup(cls.server.stop)

    def setUp(self):
        temporary = tempfile.TemporaryDirectory(dir=memory_folder(), prefix="cairn-bucket-")
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
