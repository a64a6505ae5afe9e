#!/usr/bin/env python3
"""Backends behind a proxy that lies, call by call. usage: backend_faults_test.py CALL_BACKEND

Pauses between tries pass at once, on a clock that call_backend brings along."""
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "support"))
from environment import lacks
from file_servers import BUCKET_SERVER, BucketServer, FileServer
from lying_proxy import LyingProxy
from program import noise

PROGRAM = ""
NO_BUCKETS = lacks(*BUCKET_SERVER)
CONTENT = noise(50_000)


def trusted(certificate, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


class Calls:
    """One process of call_backend."""

    def __init__(self, url, environment=None, **opening):
        clean = {name: value for name, value in os.environ.items()
                 if not name.startswith(("AWS_", "CAIRN_", "CURL_", "SSL_"))
                 and not name.lower().endswith("_proxy")}
        self._process = subprocess.Popen(
            [PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**clean, "HOME": "/nonexistent", **(environment or {})})
        self.opened = self._ask({"url": url, **opening})

    def _ask(self, line):
        self._process.stdin.write(json.dumps(line) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def __call__(self, call, **words):
        return self._ask({"call": call, **words})

    def read(self, key="object", offset=0, count=len(CONTENT), **words):
        answer = self("read", key=key, offset=offset, bytes=count, **words)
        if "hex" in answer:
            answer["content"] = bytes.fromhex(answer.pop("hex"))
        return answer

    def end(self):
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()


class Faults(unittest.TestCase):
    def proxy(self, upstream, *rules, **options):
        proxy = LyingProxy(upstream, "\n".join(rules), **options)
        self.addCleanup(proxy.stop)
        return proxy

    def calls(self, url, environment=None, **opening):
        calls = Calls(url, environment, **opening)
        self.addCleanup(calls.end)
        return calls

    def assertFails(self, answer, code, *words):
        self.assertIn("error", answer)
        self.assertEqual(answer["error"]["code"], code, answer)
        for word in words:
            self.assertIn(word, answer["error"]["message"] + " " + answer["error"]["hint"])


class Served(Faults):
    """A folder with one object, behind a server with ranges."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        (self.folder / "object").write_bytes(CONTENT)
        (self.folder / "signed").mkdir()
        (self.folder / "signed/object").write_bytes(CONTENT)
        self.server = FileServer(folder.name, ranges=True)
        self.addCleanup(self.server.stop)

    def through(self, *rules, **opening):
        """A proxy by these rules, and who calls through it."""
        proxy = self.proxy(self.server.url, *rules)
        return proxy, self.calls(proxy.url, **opening)


class WebServer(Served):
    def test_goes_on_from_what_arrived(self):
        proxy, calls = self.through("GET * 1 truncate 1000", "GET * 2 truncate 30000")
        answer = calls.read()
        self.assertEqual(answer["content"], CONTENT)
        self.assertEqual(answer["retries"], 2)
        self.assertEqual([headers["Range"] for _, _, headers, _ in proxy.log],
                         ["bytes=0-49999", "bytes=1000-49999", "bytes=31000-49999"])

    def test_of_what_was_waited_for_in_vain_nobody_waits_at_once_again(self):
        proxy, calls = self.through("GET * * drop")
        first, second = calls.read(), calls.read()
        self.assertFails(first, "unreachable")
        self.assertGreater(first["requests"], 3)
        self.assertFails(second, "unreachable")
        self.assertEqual((second["requests"], second["waited_ms"]), (1, 0))
        calls("pass", seconds=61)
        self.assertGreater(calls.read()["requests"], 3)
        # An answer, whatever it says, shows that it is there.
        proxy.set_rules("GET * 1 say 404\nGET * 2-3 drop")
        self.assertFails(calls.read(), "not-found")
        self.assertEqual(calls.read().get("content"), CONTENT)

    def test_what_was_lost_is_asked_for_again(self):
        for action in ("drop", "lose", "say 500", "say 502", "say 504", "say 408",
                       "length 10", "length -10", "say 206 Content-Range=bytes%201-9/50 xxxxxxxxx",
                       "say 206 shorter"):
            with self.subTest(action):
                _, calls = self.through(f"GET * 1-2 {action}")
                answer = calls.read()
                self.assertEqual(answer.get("content"), CONTENT, answer)
                self.assertEqual(answer["retries"], 2)
                self.assertLess(answer["waited_ms"], 1000)

    def test_a_server_that_stays_away_is_given_up(self):
        for action, code in (("drop", "unreachable"), ("say 500", "unreachable"),
                             ("say 503", "unreachable")):
            with self.subTest(action):
                _, calls = self.through("GET * 1 delay 0", f"GET * * {action}", retry_ms=20_000)
                self.assertEqual(calls.read()["content"], CONTENT)
                answer = calls.read()
                self.assertFails(answer, code, f"tried {answer['requests']} times")
                self.assertGreater(answer["requests"], 4)

    def test_waits_as_long_as_the_server_asks_for(self):
        _, calls = self.through("GET * 1 say 503 Retry-After=7", "GET * 2 say 429 Retry-After=2")
        answer = calls.read()
        self.assertEqual(answer["content"], CONTENT)
        self.assertEqual(answer["waited_ms"], 9000)

    def test_does_not_wait_for_ever(self):
        _, calls = self.through("GET * * say 503 Retry-After=3600")
        answer = calls.read()
        self.assertFails(answer, "unreachable", "503 Service Unavailable")
        self.assertEqual(answer["waited_ms"], 0)

    def test_what_will_not_change_is_not_tried_again(self):
        for status, code in ((403, "auth"), (401, "auth"), (404, "not-found"), (410, "not-found"),
                             (400, "failed"), (507, "no-space")):
            with self.subTest(status):
                _, calls = self.through(f"* * * say {status} <html>no</html>")
                for answer in (calls.read(), calls("info", key="object"), calls("whole", key="object")):
                    self.assertFails(answer, code, str(status))
                    self.assertEqual(answer["requests"], 1)

    def test_no_ranges_is_whole_objects_cut(self):
        proxy, calls = self.through("GET * * whole")
        self.assertTrue(calls("abilities")["ranges"])
        answer = calls.read(offset=20_000, count=500)
        self.assertEqual(answer["content"], CONTENT[20_000:20_500])
        self.assertFalse(calls("abilities")["ranges"])
        self.assertEqual(calls.read(offset=49_990, count=500)["content"], CONTENT[-10:])
        self.assertEqual(calls.read(offset=50_000, count=500)["content"], b"")
        proxy.set_rules("GET * 1 truncate 10\nGET * 2 whole")
        self.assertEqual(calls.read(offset=49_000, count=1000)["content"], CONTENT[-1000:])

    def test_a_body_that_is_coded_is_decoded_or_refused(self):
        _, calls = self.through("GET * * gzip all")
        self.assertFails(calls.read(offset=5, count=10), "failed", "gzip")
        self.assertEqual(bytes.fromhex(calls("whole", key="object")["hex"]), CONTENT)

    def test_wrong_bytes_of_the_right_length_pass(self):
        # Digests above find them; here it is shown that the proxy tells them.
        _, calls = self.through("GET * * flip 100")
        content = calls.read()["content"]
        self.assertEqual(len(content), len(CONTENT))
        self.assertEqual([i for i, byte in enumerate(content) if byte != CONTENT[i]], [100])

    def test_a_stall_ends(self):
        _, calls = self.through("GET * 1 stall 0", stall_s=1)
        answer = calls.read()
        self.assertEqual(answer["content"], CONTENT)
        self.assertEqual(answer["retries"], 1)

    def test_a_stall_behind_a_begin_ends_as_soon(self):
        for opening in ({"stall_s": 1}, {"retry_ms": 2000}):
            _, calls = self.through("GET * 1 stall 1000", **opening)
            answer = calls.read()
            self.assertEqual((answer["content"], answer["retries"]), (CONTENT, 1))
            self.assertLess(answer["seconds"], 4, opening)

    def test_who_stops_need_not_wait(self):
        _, calls = self.through("GET * * stall 1000")
        answer = calls.read(stop_at=1)
        self.assertFails(answer, "cancelled")
        self.assertLess(answer["seconds"], 2)

    def test_a_stale_cache_is_passed_for_what_is_replaced(self):
        _, calls = self.through("GET /root * cache")
        (self.folder / "root").write_bytes(b"old")
        self.assertEqual(calls.read("root", 0, 10)["content"], b"old")
        (self.folder / "root").write_bytes(b"new")
        self.assertEqual(calls.read("root", 0, 10)["content"], b"old")
        self.assertEqual(calls("whole", key="root")["hex"], b"new".hex())

    def test_what_a_server_may_send_is_bounded(self):
        _, calls = self.through("GET * 1 headers 100000", "GET * 2- delay 0")
        self.assertFails(calls("whole", key="object"), "failed", "headers")
        self.assertFails(calls("whole", key="object", bytes=49_999), "corrupt", "49999")


class Redirects(Served):
    def secret(self, calls_url):
        return self.calls(calls_url, {"CAIRN_HTTP_AUTHORIZATION": "Bearer secret"})

    def test_secrets_stay_with_their_origin(self):
        other = self.proxy(self.server.url)
        proxy = self.proxy(self.server.url, f"GET /object * redirect {other.url}/signed")
        calls = self.secret(proxy.url)
        self.assertEqual(calls.read()["content"], CONTENT)
        self.assertEqual(proxy.log[0][2]["Authorization"], "Bearer secret")
        self.assertEqual([path for _, path, _, _ in other.log], ["/signed/object"])
        self.assertNotIn("Authorization", other.log[0][2])
        self.assertIn("Range", other.log[0][2])

    def test_passwords_stay_with_their_origin(self):
        other = self.proxy(self.server.url)
        proxy = self.proxy(self.server.url, f"GET /object * redirect {other.url}")
        calls = self.calls(proxy.url.replace("http://", "http://user:pass@"))
        self.assertEqual(calls.opened["name"], proxy.url)
        self.assertEqual(calls.read()["content"], CONTENT)
        self.assertEqual(proxy.log[0][2]["Authorization"], "Basic dXNlcjpwYXNz")
        self.assertNotIn("Authorization", other.log[0][2])

    def test_within_an_origin_they_go_along(self):
        (self.folder / "there").mkdir()
        (self.folder / "there/object").write_bytes(CONTENT)
        proxy = self.proxy(self.server.url, "GET ^/object * redirect /there")
        self.assertEqual(self.secret(proxy.url).read()["content"], CONTENT)
        self.assertEqual(proxy.log[1][2]["Authorization"], "Bearer secret")

    def test_only_so_many_and_only_to_servers(self):
        proxy, calls = self.through("GET * * redirect /x")
        self.assertFails(calls.read(), "failed", "more than 10 redirects")
        self.assertEqual(len(proxy.log), 11)
        for target in ("file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1/x"):
            proxy.set_rules(f"GET * * redirect {target}")
            answer = calls.read()
            self.assertFails(answer, "failed", target.split(":")[0])
            self.assertEqual(answer["requests"], 1)


class Networks(Served):
    def certificate(self):
        if not shutil.which("openssl"):
            self.skipTest("no openssl here")
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
             "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"],
            cwd=self.folder, check=True, capture_output=True)
        return str(self.folder / "cert.pem"), str(self.folder / "key.pem")

    def test_certificates_are_verified(self):
        certificate, key = self.certificate()
        proxy = self.proxy(self.server.url, tls=trusted(certificate, key))
        answer = self.calls(proxy.url).read()
        self.assertFails(answer, "unreachable", "certificate", "CURL_CA_BUNDLE")
        self.assertEqual(answer["requests"], 1)
        self.assertEqual(proxy.log, [])
        for variable in ("CURL_CA_BUNDLE", "SSL_CERT_FILE"):
            self.assertEqual(self.calls(proxy.url, {variable: certificate}).read()["content"], CONTENT)
        elsewhere = proxy.url.replace("127.0.0.1", "localhost")
        self.assertFails(self.calls(elsewhere, {"CURL_CA_BUNDLE": certificate}).read(), "unreachable")

    def test_no_way_from_https_to_http(self):
        certificate, key = self.certificate()
        proxy = self.proxy(self.server.url, f"GET * * redirect {self.server.url}",
                           tls=trusted(certificate, key))
        answer = self.calls(proxy.url, {"CURL_CA_BUNDLE": certificate}).read()
        self.assertFails(answer, "failed", "from https to http://")

    def test_nobody_there(self):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        for url in (f"http://127.0.0.1:{port}", "http://no-such-host.invalid"):
            answer = self.calls(url).read()
            self.assertFails(answer, "unreachable", "tried 3 times")

    def test_proxies_of_the_environment(self):
        proxy = self.proxy(self.server.url)
        calls = self.calls("http://store.invalid", {"http_proxy": proxy.url})
        self.assertEqual(calls.read()["content"], CONTENT)
        self.assertEqual(proxy.log[0][2]["Host"], "store.invalid")
        calls = self.calls(self.server.url, {"http_proxy": "http://127.0.0.1:9", "no_proxy": "127.0.0.1"})
        self.assertEqual(calls.read()["content"], CONTENT)

    def test_no_libcurl_is_told(self):
        opened = self.calls(self.server.url, {"CAIRN_CURL": "/no/libcurl.so"}).opened
        self.assertFails(opened, "failed", "/no/libcurl.so", "install libcurl")


@unittest.skipIf(NO_BUCKETS, NO_BUCKETS or "")
class Bucket(Faults):
    @classmethod
    def setUpClass(cls):
        cls.server = BucketServer()
        cls.addClassCleanup(cls.server.stop)

    def through(self, *rules, **opening):
        proxy = self.proxy(self.server.endpoint, *rules)
        environment = {**self.server.environment, "AWS_ENDPOINT_URL": proxy.url}
        return proxy, self.calls(f"s3://bucket/{self.id()}", environment, **opening)

    def content(self, calls, key="root"):
        answer = calls("whole", key=key)
        return bytes.fromhex(answer["hex"]).decode() if "hex" in answer else None

    def test_a_plain_write_is_repeated(self):
        for action in ("drop", "lose", "say 500", "say 503", "repeat"):
            with self.subTest(action):
                proxy, calls = self.through(f"PUT * 1 {action}")
                self.assertIn("version", calls("put", key="root", text=action))
                self.assertEqual(self.content(calls), action)
                written = [path for method, path, _, _ in proxy.log if method == "PUT"]
                self.assertEqual(len(written), 1 if action == "repeat" else 2)

    def test_a_lost_answer_leaves_a_conditional_write_open(self):
        _, calls = self.through("PUT * 1 lose")
        answer = calls("put", key="root", text="mine", condition="absent")
        self.assertFails(answer, "exists")
        self.assertTrue(answer["error"]["ambiguous"])
        self.assertEqual(self.content(calls), "mine")
        version = calls("whole", key="root")["version"]
        _, calls = self.through("PUT * 1 lose")
        answer = calls("put", key="root", text="next", condition=version)
        self.assertFails(answer, "exists")
        self.assertTrue(answer["error"]["ambiguous"])
        self.assertEqual(self.content(calls), "next")

    def test_what_never_arrived_is_no_conflict(self):
        _, calls = self.through("PUT * 1 drop")
        self.assertIn("version", calls("put", key="root", text="mine", condition="absent"))
        answer = calls("put", key="root", text="other", condition="absent")
        self.assertFails(answer, "exists")
        self.assertFalse(answer["error"]["ambiguous"])

    def test_a_connection_that_ends_while_it_rests(self):
        # libcurl sends the body again by itself when a kept connection turns out to be gone.
        proxy, calls = self.through()
        calls("put", key="other", text="x")
        proxy.set_rules("PUT * 1 lose")
        answer = calls("put", key="root", text="mine", condition="absent")
        self.assertFails(answer, "exists")
        self.assertTrue(answer["error"]["ambiguous"])

    def test_an_open_end_is_told_when_the_time_is_over(self):
        _, calls = self.through("PUT * * lose", retry_ms=3000)
        answer = calls("put", key="root", text="mine", condition="absent")
        self.assertTrue(answer["error"]["ambiguous"])

    def test_two_at_once_come_after_each_other(self):
        conflict = ("say 409 <Error><Code>ConditionalRequestConflict</Code>"
                    "<Message>At%20once</Message></Error>")
        _, calls = self.through(f"PUT * 1-2 {conflict}")
        answer = calls("put", key="root", text="mine", condition="absent")
        self.assertIn("version", answer)
        self.assertEqual(answer["retries"], 2)
        _, calls = self.through(f"PUT * * {conflict}")
        answer = calls("put", key="root", text="mine", condition="absent")
        self.assertFails(answer, "busy", "ConditionalRequestConflict: At once")
        self.assertFalse(answer["error"]["ambiguous"])

    def test_what_the_server_says(self):
        said = "<Error><Code>{}</Code><Message>Because%20&amp;%20so</Message></Error>"
        for status, code, expected in (
                (403, "AccessDenied", "auth"), (403, "SignatureDoesNotMatch", "auth"),
                (400, "ExpiredToken", "auth"), (404, "NoSuchKey", "not-found"),
                (400, "EntityTooLarge", "failed"), (507, "XMinioStorageFull", "no-space"),
                (412, "PreconditionFailed", "exists"), (501, "NotImplemented", "failed")):
            with self.subTest(code):
                _, calls = self.through(f"PUT * * say {status} {said.format(code)}")
                answer = calls("put", key="root", text="x")
                self.assertFails(answer, expected, f"{code}: Because & so")
                self.assertEqual(answer["requests"], 1)
                self.assertNotIn("secret", json.dumps(answer))

    def test_a_wrong_clock_is_told_with_the_right_one(self):
        _, calls = self.through("GET * * say 403 Date=Sun,%2006%20Nov%201994%2008:49:37%20GMT "
                                "<Error><Code>RequestTimeTooSkewed</Code></Error>")
        self.assertFails(calls.read("root"), "auth", "Sun, 06 Nov 1994 08:49:37 GMT")

    def test_no_bucket_is_told(self):
        environment = self.server.environment
        answer = self.calls("s3://no-such-bucket/x", environment)("whole", key="root")
        self.assertFails(answer, "not-found", "no such bucket")

    def test_no_xml_is_no_list(self):
        for body in ("<html><body>welcome</body></html>", "<ListBucketResult>", "", "x" * 100):
            with self.subTest(body):
                _, calls = self.through(f"GET * * say 200 {body}")
                self.assertFails(calls("list", key=""), "failed")

    def begun(self, calls):
        begun = calls("begin", key="large")
        self.assertIn("upload", begun)
        upload = begun["upload"]
        return upload, calls("part", key="large", upload=upload, number=1, text="part")

    def test_parts_are_sent_again(self):
        for action in ("drop", "lose", "say 503",
                       "say 400 <Error><Code>BadDigest</Code><Message>x</Message></Error>"):
            with self.subTest(action):
                _, calls = self.through(f"PUT partNumber 1 {action}")
                upload, part = self.begun(calls)
                answer = calls("complete", key="large", upload=upload, parts=[part])
                self.assertIn("version", answer)
                self.assertEqual(self.content(calls, "large"), "part")

    def test_a_lost_answer_leaves_a_completion_open(self):
        _, calls = self.through("POST uploadId 1 lose", "POST uploadId 2 error 404 NoSuchUpload")
        upload, part = self.begun(calls)
        answer = calls("complete", key="large", upload=upload, parts=[part], condition="absent")
        self.assertFails(answer, "not-found")
        self.assertTrue(answer["error"]["ambiguous"])
        self.assertEqual(self.content(calls, "large"), "part")

    def test_a_success_that_holds_an_error_is_none(self):
        failed = "say 200 <Error><Code>{}</Code><Message>x</Message></Error>"
        _, calls = self.through("POST uploadId 1 " + failed.format("InternalError"))
        upload, part = self.begun(calls)
        answer = calls("complete", key="large", upload=upload, parts=[part])
        self.assertIn("version", answer)
        self.assertEqual(answer["retries"], 1)
        _, calls = self.through("POST uploadId 1 " + failed.format("InvalidPart"))
        upload, part = self.begun(calls)
        answer = calls("complete", key="large", upload=upload, parts=[part])
        self.assertFails(answer, "failed", "InvalidPart")


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
