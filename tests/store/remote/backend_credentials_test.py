#!/usr/bin/env python3
"""Credentials from the services that give them, as requests carry them in the end: containers, EC2
machines, web identities. usage: backend_credentials_test.py CALL_BACKEND"""
import datetime
import http.server
import json
import sys
import tempfile
import threading
import unittest
import urllib.parse
from pathlib import Path

import backend_faults_test as faults
from backend_faults_test import NO_BUCKETS, BucketServer


class Services(http.server.BaseHTTPRequestHandler):
    """All three, strict about how they are asked. `server.lives_s`: of what it gives."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def tell(self, text, status=200):
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def given(self):
        self.server.given += 1
        now = datetime.datetime.now(datetime.timezone.utc)
        end = now + datetime.timedelta(seconds=self.server.lives_s)
        return f"ASIA{self.server.given}", f"{end:%Y-%m-%dT%H:%M:%SZ}"

    def as_json(self):
        key, end = self.given()
        self.tell(json.dumps({"AccessKeyId": key, "SecretAccessKey": "hush", "Token": "passing",
                              "Expiration": end}))

    def do_PUT(self):
        good = (self.path == "/latest/api/token"
                and self.headers["X-aws-ec2-metadata-token-ttl-seconds"] == "21600")
        self.tell("machine-token" if good else "", 200 if good else 400)

    def do_GET(self):
        roles = "/latest/meta-data/iam/security-credentials/"
        if self.path == "/container" and self.headers["Authorization"] == "container-token":
            self.as_json()
        elif self.headers["X-aws-ec2-metadata-token"] != "machine-token":
            self.tell("", 401)
        elif self.path == roles:
            self.tell("trainer")
        elif self.path == roles + "trainer":
            self.as_json()
        else:
            self.tell("", 404)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        asked = dict(urllib.parse.parse_qsl(body))
        wanted = {"Action": "AssumeRoleWithWebIdentity", "Version": "2011-06-15",
                  "RoleArn": "arn:aws:iam::1:role/trainer", "WebIdentityToken": "jwt+/="}
        if {name: asked.get(name) for name in wanted} != wanted or not asked["RoleSessionName"]:
            self.tell("<ErrorResponse/>", 400)
            return
        key, end = self.given()
        self.tell("<AssumeRoleWithWebIdentityResponse xmlns='urn:sts'>"
                  "<AssumeRoleWithWebIdentityResult><Credentials>"
                  f"<AccessKeyId>{key}</AccessKeyId><SecretAccessKey>hush</SecretAccessKey>"
                  f"<SessionToken>passing</SessionToken><Expiration>{end}</Expiration></Credentials>"
                  "</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>")


@unittest.skipIf(NO_BUCKETS, NO_BUCKETS or "")
class Credentials(faults.Faults):
    @classmethod
    def setUpClass(cls):
        cls.server = BucketServer()
        cls.addClassCleanup(cls.server.stop)

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.services = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Services)
        self.services.lives_s, self.services.given = 3600, 0
        self.url = f"http://127.0.0.1:{self.services.server_port}"
        thread = threading.Thread(target=self.services.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(self.services.server_close)
        self.addCleanup(self.services.shutdown)
        self.network = self.proxy(self.server.endpoint)

    def asking(self, **variables):
        # The store is behind a proxy of the network, through which containers and machines must not
        # be asked: it leads to nothing but the store.
        return self.calls("s3://bucket/x", {
            "AWS_ENDPOINT_URL_S3": "http://localhost:9", "http_proxy": self.network.url, "AWS_EC2_METADATA_DISABLED": "true", "AWS_REGION": "eu-x-1", **variables})

    def expect_signed(self, calls):
        self.assertIn("version", calls("put", key="object", text="x"))
        headers = self.network.log[-1][2]
        self.assertIn(f"Credential=ASIA{self.services.given}/", headers["Authorization"])
        self.assertIn("/eu-x-1/s3/aws4_request", headers["Authorization"])
        self.assertIn("x-amz-security-token", headers["Authorization"])
        self.assertEqual(headers["x-amz-security-token"], "passing")

    def container(self):
        (self.folder / "token").write_text("container-token\n")
        return {"AWS_CONTAINER_CREDENTIALS_FULL_URI": self.url + "/container",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(self.folder / "token")}

    def test_of_a_container(self):
        calls = self.asking(**self.container())
        self.expect_signed(calls)
        self.expect_signed(calls)
        self.assertEqual(self.services.given, 1)

    def test_of_a_machine(self):
        self.expect_signed(self.asking(AWS_EC2_METADATA_DISABLED="",
                                       AWS_EC2_METADATA_SERVICE_ENDPOINT=self.url))

    def test_of_a_web_identity(self):
        (self.folder / "jwt").write_text("jwt+/=")
        # STS is a service of the network: its proxy is for it too.
        self.expect_signed(self.asking(
            AWS_ENDPOINT_URL_STS=self.url, AWS_ROLE_ARN="arn:aws:iam::1:role/trainer",
            AWS_WEB_IDENTITY_TOKEN_FILE=str(self.folder / "jwt"), no_proxy="127.0.0.1"))

    def test_are_renewed_when_the_server_says_so(self):
        calls = self.asking(**self.container())
        self.expect_signed(calls)
        calls("pass", seconds=60)
        self.network.set_rules("PUT * 1 error 400 ExpiredToken")
        self.expect_signed(calls)
        self.assertEqual(self.services.given, 2)

    def test_none_tells_all_that_was_looked_at(self):
        answer = self.asking(AWS_CONTAINER_CREDENTIALS_FULL_URI=self.url + "/container",
                             AWS_CONTAINER_AUTHORIZATION_TOKEN="wrong")("whole", key="root")
        self.assertFails(answer, "auth", "AWS_ACCESS_KEY_ID", "web identity", "profile 'default'",
                         "container: ", "401", "AWS_EC2_METADATA_DISABLED", "CAIRN_S3_ANONYMOUS")
        self.assertEqual(self.network.log, [])

    def test_plain_http_to_others_carries_no_secrets(self):
        answer = self.asking(AWS_CONTAINER_CREDENTIALS_FULL_URI="http://192.0.2.1/container",
                             AWS_CONTAINER_AUTHORIZATION_TOKEN="hush")("whole", key="root")
        self.assertFails(answer, "auth", "neither https nor near")
        self.assertNotIn("hush", json.dumps(answer))

    def test_nobody_signs_for_all(self):
        calls = self.asking(CAIRN_S3_ANONYMOUS="1")
        calls("whole", key="root")
        self.assertNotIn("Authorization", self.network.log[-1][2])


if __name__ == "__main__":
    faults.PROGRAM = sys.argv.pop(1)
    unittest.main()
