"""S3 on loopback as a process of its own: prints its URL on one line and serves until it is told to end.

python -m tests.s3 --bucket acme-dev-lake:111111111111 --latency 0.03
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading

from tests.s3.server import LoopbackS3


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.s3", description="S3 on loopback, in memory.")
    parser.add_argument(
        "--bucket", action="append", required=True, metavar="NAME:ACCOUNT", help="a bucket and its owner"
    )
    parser.add_argument("--latency", type=float, default=0.0, help="seconds that each request takes at least")
    parser.add_argument("--port", type=int, default=0, help="0: any that is free")
    parser.add_argument("--etags", choices=["md5", "random"], default="md5", help="random: as with SSE-KMS")
    parser.add_argument("--min-part", type=int, default=5 * 1024**2, help="bytes of the smallest part but the last")
    parser.add_argument("--account", default="111111111111", help="of callers whose access key id is not an account's")
    options = parser.parse_args()
    buckets = dict(bucket.rsplit(":", 1) for bucket in options.bucket)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    with LoopbackS3(
        buckets,
        latency=options.latency,
        port=options.port,
        etags=options.etags,
        min_part=options.min_part,
        account=options.account,
        record=False,
    ) as s3:
        sys.stdout.write(f"{s3.url}\n")
        sys.stdout.flush()
        ended.wait()


if __name__ == "__main__":
    main()
