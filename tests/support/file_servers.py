"""Servers that hold a store's files, each on a port of the loopback that the system chooses."""
import functools
import http.server
import subprocess
import sys
import threading
import urllib.request


BUCKET_SERVER = ("moto", "flask", "flask_cors")


class FileServer:
    """Python's own: a folder's files, no ranges and no listing that a program could read."""

    def __init__(self, folder):
        handler = functools.partial(_Quiet, directory=str(folder))
        self._server = _Server(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def use_tls(self, context):
        """From the next connection on."""
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    def stop(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_):
        """Clients go when they have what they want."""


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class BucketServer:
    """moto's S3 (packages BUCKET_SERVER), with one bucket that is called `bucket`. `environment`: how clients find it."""

    def __init__(self):
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
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
