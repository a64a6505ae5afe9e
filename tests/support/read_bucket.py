"""A bucket that is only read, as fast as nginx reads files: it serves the objects, and a small server the
listings. For benchmarks: signatures are not looked at."""
import http.server
import os
import tempfile
import threading
import urllib.parse
from pathlib import Path
from xml.sax.saxutils import escape

from nginx_server import NginxServer


class ReadBucket:
    """The files below `folder` as objects of s3://bucket/<name>/. environment: how clients find it."""

    def __init__(self, folder, name):
        self._top = tempfile.TemporaryDirectory(prefix="cairn-bucket-")
        bucket = Path(self._top.name) / "bucket"
        bucket.mkdir()
        (bucket / name).symlink_to(Path(folder).resolve(), target_is_directory=True)

        class Handler(_Lister):
            top = bucket

        self._lister = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._lister.serve_forever, args=(0.02,), daemon=True).start()
        port = self._lister.server_port
        self._nginx = NginxServer(self._top.name, inside=(
            f'if ($args ~ "list-type=2") {{ proxy_pass http://127.0.0.1:{port}; }}'))
        self.endpoint = self._nginx.url
        self.environment = {"AWS_ENDPOINT_URL": self.endpoint, "AWS_ACCESS_KEY_ID": "key",
                            "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}

    def stop(self):
        self._nginx.stop()
        self._lister.shutdown()
        self._lister.server_close()
        self._top.cleanup()


class _Lister(http.server.BaseHTTPRequestHandler):
    """ListObjectsV2, all in one answer."""

    def do_GET(self):
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
        prefix = query.get("prefix", "")
        keys = (str((Path(at) / name).relative_to(self.top))
                for at, _, names in os.walk(self.top, followlinks=True) for name in names)
        items = "".join(self._item(key) for key in sorted(keys) if key.startswith(prefix))
        body = (f'<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
                f"<Name>bucket</Name><Prefix>{escape(prefix)}</Prefix><IsTruncated>false</IsTruncated>"
                f"{items}</ListBucketResult>").encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _item(self, key):
        info = (self.top / key).stat()
        version = f"{int(info.st_mtime):x}-{info.st_size:x}"  # nginx's
        return (f"<Contents><Key>{escape(key)}</Key><Size>{info.st_size}</Size>"
                f"<ETag>&quot;{version}&quot;</ETag>"
                f"<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>")

    def log_message(self, *_):
        pass
