#!/usr/bin/env python3
"""moto's server, whose conditional writes hold. As installed it looks whether the condition holds and
then writes, with other threads between the two. usage: atomic_moto.py [what moto.server takes]"""
import functools
import threading

import moto.server
from moto.s3.responses import S3Response

_WRITES = threading.RLock()


def _one_at_a_time(method):
    @functools.wraps(method)
    def alone(*words, **options):
        with _WRITES:
            return method(*words, **options)
    return alone


if __name__ == "__main__":
    for name in ("put_object", "delete_object", "_key_response_post"):
        setattr(S3Response, name, _one_at_a_time(getattr(S3Response, name)))
    moto.server.main()
