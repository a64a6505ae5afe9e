"""nginx with the files of a folder, on a port of the loopback, from a folder of its own."""
import http.client
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

CONFIGURATION = """
daemon off; master_process off; pid {run}/pid; error_log {run}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log off; client_body_temp_path {run}/t; proxy_temp_path {run}/t; fastcgi_temp_path {run}/t;
  uwsgi_temp_path {run}/t; scgi_temp_path {run}/t; default_type application/octet-stream;
  {more}
  server {{ listen 127.0.0.1:{port}; location / {{ root {folder}; {inside} }} }}
}}
"""


def has_nginx():
    return shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin") is not None


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


class NginxServer:
    """`more`, `inside`: what its configuration says besides, of all and of the folder."""

    def __init__(self, folder, more="", inside=""):
        self._run = tempfile.TemporaryDirectory(prefix="cairn-nginx-")
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        path = Path(self._run.name) / "nginx.conf"
        path.write_text(CONFIGURATION.format(run=self._run.name, port=port, folder=folder,
                                             more=more, inside=inside))
        program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
        self._process = subprocess.Popen([program, "-c", str(path), "-p", self._run.name],
                                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._wait(port)

    def _wait(self, port):
        """Until it listens; a connection that is refused is tried again while it lives."""
        while self._process.poll() is None:
            try:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
                connection.request("HEAD", "/")
                connection.getresponse().close()
                connection.close()
                return
            except ConnectionError:
                try:
                    self._process.wait(timeout=0.02)
                except subprocess.TimeoutExpired:
                    pass
        raise RuntimeError("nginx ended before it began")

    def stop(self):
        self._process.terminate()
        self._process.wait()
        self._run.cleanup()
