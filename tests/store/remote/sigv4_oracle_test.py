#!/usr/bin/env python3
"""Signatures beside botocore's, request by request. usage: sigv4_oracle_test.py SIGN_REQUESTS"""
import datetime
import hashlib
import json
import random
import string
import subprocess
import sys
import unittest
import unittest.mock
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "support"))
import environment

environment.enter("botocore")
import botocore.auth
import botocore.awsrequest
import botocore.credentials
from botocore.utils import percent_encode

PROGRAM = ""
REQUESTS = 2000
ODD = string.ascii_letters + string.digits + "-._~ !\"#$%&'()*+,:;<=>?@[]^`{|}äß€語😀"


def text(random_, least, most, letters=ODD):
    return "".join(random_.choice(letters) for _ in range(random_.randint(least, most)))


def make(random_):
    key = "/".join(text(random_, 1, 12) for _ in range(random_.randint(1, 4)))
    body = random_.randbytes(random_.choice((0, 0, 1, 1000)))
    plain = string.ascii_letters + string.digits
    headers = {f"x-amz-{text(random_, 1, 8, string.ascii_lowercase)}":
               text(random_, 0, 20, plain + "  /+=;,") for _ in range(random_.randint(0, 3))}
    if random_.random() < 0.5:
        headers["Range"] = f"bytes={random_.randint(0, 9)}-{random_.randint(10, 10**12)}"
    if random_.random() < 0.2:
        headers["If-None-Match"] = "*"
    host = random_.choice(("bucket.s3.amazonaws.com", "127.0.0.1", "[::1]", "s3.example.org"))
    return {
        "method": random_.choice(("GET", "HEAD", "PUT", "POST", "DELETE")),
        "origin": random_.choice(("http://", "https://")) + host +
                  random_.choice(("", ":80", ":443", ":9000")),
        "key": key,
        "query": list({text(random_, 1, 8): text(random_, 0, 12)
                       for _ in range(random_.randint(0, 4))}.items()),
        "headers": headers,
        "payload": random_.choice(("UNSIGNED-PAYLOAD", hashlib.sha256(body).hexdigest())),
        "access": text(random_, 16, 20, plain), "secret": text(random_, 40, 40, plain + "/+"),
        "token": random_.choice(("", text(random_, 100, 400, plain + "/+="))),
        "region": random_.choice(("us-east-1", "eu-central-1", "cn-north-1")),
        "service": "s3",
        "wall_s": random_.randint(0, 2**32),
    }


def expected(asked):
    """What botocore makes of the same."""
    request = botocore.awsrequest.AWSRequest(
        method=asked["method"],
        url=f"{asked['origin']}/{percent_encode(asked['key'], safe='/~')}",
        headers=dict(asked["headers"]), params=dict(asked["query"]))
    request.context["client_config"] = None
    auth = botocore.auth.S3SigV4Auth(
        botocore.credentials.Credentials(asked["access"], asked["secret"], asked["token"] or None),
        asked["service"], asked["region"])
    moment = datetime.datetime.fromtimestamp(asked["wall_s"], datetime.timezone.utc)
    with unittest.mock.patch("botocore.auth.get_current_datetime",
                             lambda *_, **__: moment.replace(tzinfo=None)), \
            unittest.mock.patch.object(auth, "payload", lambda _: asked["payload"]):
        auth.add_auth(request)
    return request.headers["Authorization"]


class Oracle(unittest.TestCase):
    def test_signs_as_botocore_does(self):
        seed = random.randrange(2**32)
        random_ = random.Random(seed)
        asked = [make(random_) for _ in range(REQUESTS)]
        done = subprocess.run([PROGRAM], input="".join(json.dumps(each) + "\n" for each in asked),
                              capture_output=True, text=True, timeout=120, check=True)
        signed = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual(len(signed), REQUESTS)
        for request, ours in zip(asked, signed):
            self.assertEqual(ours["authorization"], expected(request), (seed, request))


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
