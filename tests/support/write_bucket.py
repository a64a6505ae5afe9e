"""A bucket that takes what is written as fast as Python reads sockets: objects lie in memory, as the files that came.
For benchmarks: it keeps conditions, uploads and listings, and looks at no signature or checksum."""
import http.server
import os
import re
import shutil
import tempfile
import threading
import urllib.parse
import uuid
from pathlib import Path
from xml.sax.saxutils import escape

from program import memory_folder

_PIECE = 1 << 20
_XML = '<?xml version="1.0"?><{0} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{1}</{0}>'


class WriteBucket:
    """s3://bucket/. environment: how clients find it."""

    def __init__(self):
        self._folder = Path(tempfile.mkdtemp(dir=memory_folder(), prefix="cairn-bucket-"))

        class Handler(_Handler):
            objects, uploads, lock, folder = {}, {}, threading.Lock(), self._folder

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._handler = Handler
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        self.environment = {"AWS_ENDPOINT_URL": self.endpoint, "AWS_ACCESS_KEY_ID": "key",
                            "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}

    def empty(self):
        with self._handler.lock:
            self._handler.objects.clear()
            self._handler.uploads.clear()
        for path in self._folder.iterdir():
            path.unlink()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()
        shutil.rmtree(self._folder)


class _Handler(http.server.BaseHTTPRequestHandler):
    """objects: key -> (ETag, files); uploads: id -> {part: (ETag, file)}."""

    protocol_version = "HTTP/1.1"
    rbufsize = 1 << 16
    # An answer's body goes after its head: held back, it waits 40 ms for who delays what it acknowledges.
    disable_nagle_algorithm = True

    def do_PUT(self):
        key, query = self._asked()
        etag, path = f'"{uuid.uuid4().hex}"', self._take()
        if "uploadId" in query:
            self.uploads[query["uploadId"]][int(query["partNumber"])] = etag, path
            self._answer(200, headers={"ETag": etag})
        else:
            self._publish(key, etag, [path])

    def do_POST(self):
        key, query = self._asked()
        told = Path(self._take()).read_text()
        if "uploads" in query:
            upload = uuid.uuid4().hex
            self.uploads[upload] = {}
            self._answer(200, _XML.format("InitiateMultipartUploadResult",
                                          f"<UploadId>{upload}</UploadId>"))
            return
        parts = self.uploads.pop(query["uploadId"])
        numbers = map(int, re.findall(r"<PartNumber>(\d+)<", told))
        self._publish(key, f'"{uuid.uuid4().hex}"', [parts[number][1] for number in numbers],
                      "CompleteMultipartUploadResult")

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        key, query = self._asked()
        if "list-type" in query:
            self._list(query.get("prefix", ""))
        elif "uploads" in query:
            self._answer(200, _XML.format("ListMultipartUploadsResult",
                                          "<IsTruncated>false</IsTruncated>"))
        elif key not in self.objects:
            self._answer(404, _XML.format("Error", "<Code>NoSuchKey</Code>"))
        else:
            etag, paths = self.objects[key]
            self._send(etag, b"".join(Path(path).read_bytes() for path in paths))

    def do_DELETE(self):
        key, query = self._asked()
        if "uploadId" in query:
            self.uploads.pop(query["uploadId"], None)
        else:
            self.objects.pop(key, None)
        self._answer(204)

    def _publish(self, key, etag, paths, root=None):
        with self.lock:
            there = self.objects.get(key, (None,))[0]
            absent, version = self.headers.get("If-None-Match"), self.headers.get("If-Match")
            holds = not (absent and there) and (version is None or version == there)
            if holds:
                self.objects[key] = etag, paths
        if not holds:
            self._answer(412, _XML.format("Error", "<Code>PreconditionFailed</Code>"))
            return
        self._answer(200, _XML.format(root, f"<ETag>{escape(etag)}</ETag>") if root else "",
                     {"ETag": etag})

    def _send(self, etag, body):
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        headers, code = {"ETag": etag}, 200
        if asked:
            begin, end = int(asked[1]), min(int(asked[2]) + 1, len(body))
            if begin >= len(body):
                self._answer(416, _XML.format("Error", "<Code>InvalidRange</Code>"))
                return
            headers["Content-Range"], code = f"bytes {begin}-{end - 1}/{len(body)}", 206
            body = body[begin:end]
        self._answer(code, body, headers)

    def _list(self, prefix):
        with self.lock:
            found = sorted((key, each) for key, each in self.objects.items()
                           if key.startswith(prefix))
        items = "".join(
            f"<Contents><Key>{escape(key)}</Key><ETag>{escape(etag)}</ETag>"
            f"<Size>{sum(os.path.getsize(path) for path in paths)}</Size>"
            f"<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
            for key, (etag, paths) in found)
        self._answer(200, _XML.format("ListBucketResult", f"<IsTruncated>false</IsTruncated>{items}"))

    def _asked(self):
        url = urllib.parse.urlsplit(self.path)
        key = urllib.parse.unquote(url.path).removeprefix("/bucket").removeprefix("/")
        return key, dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))

    def _take(self):
        """The body, as a new file."""
        path = self.folder / uuid.uuid4().hex
        with open(path, "wb", buffering=0) as file:
            if "aws-chunked" in self.headers.get("Content-Encoding", ""):
                while length := int(self.rfile.readline().split(b";")[0], 16):
                    self._copy(file, length)
                    self.rfile.readline()
                while self.rfile.readline().strip():
                    pass  # checksums that trail
            else:
                self._copy(file, int(self.headers.get("Content-Length", 0)))
        return path

    def _copy(self, file, length):
        room = memoryview(bytearray(min(length, _PIECE)))
        while length > 0:
            count = self.rfile.readinto(room[:length])
            if not count:
                raise ConnectionError("the body ends early")
            file.write(room[:count])
            length -= count

    def _answer(self, code, body=b"", headers=None):
        body = body.encode() if isinstance(body, str) else body
        self.send_response(code)
        for name, value in {"Last-Modified": self.date_time_string(), **(headers or {}),
                            "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_):
        pass
