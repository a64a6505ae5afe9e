"""A proxy before a server that does what networks and servers do on bad days, by rules.

A rule is `METHOD PATH WHICH ACTION ...`, one a line:
  METHOD  GET, PUT, ...; `*`: any
  PATH    a regular expression that is found in path and query; `*`: any
  WHICH   of the requests that METHOD and PATH fit, from 1: `3`, `2-4`, `2-`, `%5` (each fifth), `*`
  ACTION  drop                 the connection ends before the request goes anywhere
          lose                 the request is carried out, its answer is lost
          truncate BYTES       the connection ends after so much of the body
          stall BYTES          nothing more comes after so much of it, until the proxy stops
          hang                 the request goes nowhere and is not answered, until the proxy stops
          delay MS             what the server says comes later
          status CODE [AFTER]  an answer of the proxy's own, with Retry-After
          error CODE NAME      the same with an error of S3's in the body
          say CODE WORD ...    the same; NAME=VALUE is a header, other words are the body (%20: a blank)
          repeat               the request is carried out twice; the second answer counts
          unconditional        If-Match and If-None-Match are dropped on the way
          flip OFFSET          a byte of the body is another
          length DIFFERENCE    Content-Length says more or less than there is
          gzip [all]           the body is coded; `all`: that of a range too
          whole                a range is answered with all of the object
          endless              a page of a bucket's listing without names, after which there is another
          stale                the first answer of this path again
          cache                the same, but to those that say `no-cache`
          headers BYTES        so many bytes more of headers
          redirect URL         to that URL and the path
The first rule that fits decides, and the others count the request too; what none fits goes through.
"""
import gzip
import http.client
import http.server
import re
import socket
import struct
import threading
import time
import urllib.parse
from dataclasses import dataclass, field

HOP_HEADERS = {"connection", "keep-alive", "transfer-encoding", "content-length", "proxy-connection"}


@dataclass
class Rule:
    method: str
    path: str
    which: str
    action: str
    words: list
    count: int = field(default=0)

    def fits(self, method, path):
        """Counts what it fits but for WHICH."""
        if self.method not in ("*", method) or (self.path != "*" and not re.search(self.path, path)):
            return False
        self.count += 1
        if self.which == "*":
            return True
        if self.which.startswith("%"):
            return self.count % int(self.which[1:]) == 0
        first, dash, last = self.which.partition("-")
        return int(first) <= self.count <= (int(last) if last else 2**62 if dash else int(first))


def parse_rules(text):
    rules = []
    for line in text.splitlines():
        words = line.split()
        if words:
            rules.append(Rule(*words[:4], words[4:]))
    return rules


@dataclass
class Answer:
    status: int
    headers: list
    body: bytes

    def header(self, name):
        return next((value for key, value in self.headers if key.lower() == name), None)


class LyingProxy:
    """`log`: (method, path with query, headers, bytes of the answer's body) of each request. `tls`:
    an ssl.SSLContext with which it is spoken to."""

    def __init__(self, upstream, rules="", tls=None):
        parts = urllib.parse.urlsplit(upstream)
        self._upstream = (parts.hostname, parts.port)
        self._lock = threading.Lock()
        self._rules, self._first, self.log = parse_rules(rules), {}, []
        proxy = self

        class Handler(_Handler):
            owner = proxy

        self.ending = threading.Event()
        self._server = _Server(("127.0.0.1", 0), Handler)
        self._server.tls = tls
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def set_rules(self, rules):
        with self._lock:
            self._rules, self.log = parse_rules(rules), []

    def stop(self):
        self.ending.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def rule_for(self, method, path):
        with self._lock:
            fitting = [rule for rule in self._rules if rule.fits(method, path)]
        return fitting[0] if fitting else None

    def record(self, method, path, headers, body_bytes):
        with self._lock:
            self.log.append((method, path, headers, body_bytes))

    def carry_out(self, method, path, headers, body):
        connection = http.client.HTTPConnection(*self._upstream, timeout=60)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in headers:
                if name.lower() not in HOP_HEADERS:
                    connection.putheader(name, value)
            if body or method in ("PUT", "POST"):
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            response = connection.getresponse()
            answer = Answer(response.status, response.getheaders(), response.read())
        finally:
            connection.close()
        with self._lock:
            self._first.setdefault((method, path), answer)
        return answer

    def first(self, method, path):
        with self._lock:
            return self._first.get((method, path))


def said(words):
    """Of `say`."""
    plain = [urllib.parse.unquote(word) for word in words[1:]]
    is_header = re.compile(r"[\w-]+=").match
    return Answer(int(words[0]), [word.split("=", 1) for word in plain if is_header(word)],
                  " ".join(word for word in plain if not is_header(word)).encode())


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    tls = None

    def finish_request(self, request, client_address):
        if self.tls is not None:
            with self.tls.wrap_socket(request, server_side=True) as secured:
                super().finish_request(secured, client_address)
        else:
            super().finish_request(request, client_address)

    def handle_error(self, *_):
        """Clients go as they like."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner = None

    def log_message(self, *_):
        pass

    def do_any(self):
        # Who takes it for a proxy of its network names the whole URL.
        self.path = re.sub("^http://[^/]*", "", self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        rule = self.owner.rule_for(self.command, self.path)
        action, words = (rule.action, rule.words) if rule else ("pass", [])
        headers = list(self.headers.items())
        if action == "whole":
            headers = [(name, value) for name, value in headers if name.lower() != "range"]
        if action == "unconditional":
            headers = [(name, value) for name, value in headers if not name.lower().startswith("if-")]
        if action in ("drop", "hang"):
            self.owner.record(self.command, self.path, dict(headers), 0)
            if action == "hang":
                self.owner.ending.wait()
            return self.cut()
        answer = self.own_answer(action, words)
        if answer is None:
            answer = self.upstream_answer(action, headers, body)
        if action == "lose":
            self.owner.record(self.command, self.path, dict(headers), 0)
            return self.cut()
        if action == "delay":
            threading.Event().wait(int(words[0]) / 1000)
        return self.send(action, words, answer, headers)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_any

    def own_answer(self, action, words):
        if action == "redirect":
            return Answer(302, [("Location", words[0] + self.path)], b"")
        if action == "endless":
            return Answer(200, [], b"<ListBucketResult><IsTruncated>true</IsTruncated>"
                          b"<NextContinuationToken>%d</NextContinuationToken></ListBucketResult>"
                          % time.monotonic_ns())
        if action not in ("status", "error", "say"):
            return None
        if action == "say":
            return said(words)
        if action == "status":
            return Answer(int(words[0]), [("Retry-After", after) for after in words[1:]], b"")
        text = f"<Error><Code>{words[1]}</Code><Message>so be it</Message></Error>"
        return Answer(int(words[0]), [], text.encode())

    def upstream_answer(self, action, headers, body):
        fresh = "no-cache" in self.headers.get("Cache-Control", "")
        if (action == "stale" or action == "cache" and not fresh) and (first := self.owner.first(self.command, self.path)):
            return first
        answer = self.owner.carry_out(self.command, self.path, headers, body)
        if action == "repeat":
            answer = self.owner.carry_out(self.command, self.path, headers, body)
        return answer

    def send(self, action, words, answer, asked):
        content, headers = answer.body, list(answer.headers)
        if action == "flip" and content:
            at = int(words[0]) % len(content)
            content = content[:at] + bytes([content[at] ^ 1]) + content[at + 1:]
        if action == "gzip" and (answer.status == 200 or words):
            content = gzip.compress(content)
            headers.append(("Content-Encoding", "gzip"))
        if action == "headers":
            headers += [(f"X-More-{i}", "x" * 1000) for i in range(int(words[0]) // 1000 + 1)]
        length = len(content)
        if self.command == "HEAD":
            length = int(answer.header("content-length") or 0)
        if action == "length":
            length = max(0, length + int(words[0]))
        if action in ("truncate", "stall"):
            content = content[:int(words[0])]
        # Before the client can have seen the end of it.
        self.owner.record(self.command, self.path, dict(asked), len(content))
        self.send_response_only(answer.status)
        for name, value in headers:
            if name.lower() not in HOP_HEADERS:
                self.send_header(name, value)
        if answer.status not in (204, 304):
            self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
        if action == "stall":
            self.wfile.flush()
            self.owner.ending.wait()
        if action in ("truncate", "length", "stall"):
            self.cut()

    def cut(self):
        """Ends the connection; at once, so that nobody takes it for the end of a body."""
        self.wfile.flush()
        self.close_connection = True
        if self.command == "PUT" or self.command == "POST":
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
