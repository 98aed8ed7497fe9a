"""S3 on loopback: in a thread, for tests that tamper with it, or as a process, for benchmarks with cores to themselves.

The event loop, its connections and the buckets live in one thread. Whoever works on the buckets from another takes
their lock, which the methods of ``Bucket`` do.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from tests.s3 import faults
from tests.s3.content import Content
from tests.s3.errors import S3Error
from tests.s3.faults import ERRORS, Fault, strike
from tests.s3.http import Connection
from tests.s3.messages import Answer, Call, Request, http_date, refusal
from tests.s3.model import Bucket, Etags, Limits, Storage
from tests.s3.operations import OF_STS, execute, name
from tests.s3.services import OtherService


class LoopbackS3:
    """An S3 with these buckets (name to the account that owns it), all of them versioned, in memory.

    Latency is in seconds a request, sizes are in bytes. ``account`` is whom callers belong to whose access key id is
    not an account's. Without ``record``, ``calls`` stays empty.
    """

    def __init__(
        self,
        buckets: Mapping[str, str],
        *,
        latency: float = 0.0,
        port: int = 0,
        max_single: int = Limits.max_single,
        min_part: int = Limits.min_part,
        etags: Etags = "md5",
        account: str = "111111111111",
        region: str = "us-east-1",
        record: bool = True,
        services: Sequence[OtherService] = (),
    ) -> None:
        self.latency, self.port, self.record = latency, port, record
        self.services = tuple(services)
        self.lock = threading.RLock()
        limits = Limits(max_single, min_part, etags)
        self.buckets = {bucket: Bucket(bucket, owner, limits, self.lock) for bucket, owner in buckets.items()}
        self.storage = Storage(self.buckets, limits, self.lock, region, account)
        self.faults: list[Fault] = []
        self.calls: list[Call] = []
        self.broken: list[BaseException] = []  # mistakes of this server, the first of which leaving it raises
        self.connections: set[Connection] = set()
        self._count = 0
        self._dated, self._common = 0, ""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def max_body(self) -> int:
        """The longest body that is received; what is longer, with room for chunks' signatures, cannot be stored."""
        return self.storage.limits.max_single + self.storage.limits.max_single // 64 + 65536

    def __enter__(self) -> LoopbackS3:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if self.broken and error is None:
            raise self.broken[0]

    def start(self) -> None:
        """Serve in a thread; returns when the port is open."""
        if self._thread is not None:
            raise RuntimeError("the server runs already")
        opened = threading.Event()
        failed: list[OSError] = []

        def run() -> None:
            try:
                asyncio.run(self.serve_until_stopped(opened))
            except OSError as error:  # the port is taken
                failed.append(error)
                opened.set()

        self._thread = threading.Thread(target=run, name="loopback-s3", daemon=True)
        self._thread.start()
        opened.wait()
        if failed:
            self._thread.join()
            self._thread = None
            raise failed[0]

    def stop(self) -> None:
        """Cut all connections, close the port, end the thread; nothing happens if it does not run."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        thread.join()

    async def serve_until_stopped(self, opened: threading.Event) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._loop.set_exception_handler(self._broke)
        server = await self._loop.create_server(lambda: Connection(self), "127.0.0.1", self.port, backlog=1024)
        async with server:
            self.port = server.sockets[0].getsockname()[1]
            opened.set()
            await self._stop.wait()
            server.close()
            while self.connections:
                for connection in tuple(self.connections):
                    connection.close()
                await asyncio.sleep(0)

    def forget(self) -> None:
        """Empty ``calls``."""
        self.calls.clear()

    def snapshot(self, bucket: str) -> dict[str, str]:
        """SHA-256 of what is visible, by key."""
        return self.buckets[bucket].snapshot()

    def snapshot_versions(self, bucket: str) -> dict[str, list[tuple[str, str | None]]]:
        """Version id and SHA-256 (None of a delete marker) of every version, newest first, by key."""
        return self.buckets[bucket].snapshot_versions()

    def arrived(self, request: Request) -> tuple[Call, Fault | None]:
        other = next((service for service in self.services if service.claims(request)), None)
        if other is not None:
            request.service, request.operation = other.name, other.operation(request)
            request.about = other.about(request)
            call = Call(self._count, request.operation, "", request.about)
        else:
            request.operation = name(request)
            request.service = "sts" if request.operation in OF_STS else "s3"
            call = Call(self._count, request.operation, request.bucket, request.key)
        call.service, call.account = request.service, request.account
        self._count += 1
        if self.record:
            self.calls.append(call)
        return call, strike(self.faults, request) if self.faults else None

    def serve(self, call: Call, request: Request, fault: Fault | None) -> Answer:
        """Do it, or fail to; the status of the call is what the client gets to see."""
        kind = fault.kind if fault else ""
        if fault is not None and kind in faults.CALLED_BEFORE:
            fault.call()
        answer = self._failed(kind, request) if kind in faults.NEVER_DONE else self._done(request)
        if fault is not None and kind in faults.CALLED_AFTER:
            fault.call()
        if kind == "corrupt" and answer.body.size:
            answer.body = _corrupted(answer.body)
        if kind not in faults.SILENT | faults.RESET:
            call.status = answer.status
        return answer

    def common_headers(self) -> str:
        now = int(time.time())
        if now != self._dated:
            self._dated = now
            self._common = f"date: {http_date(now)}\r\nserver: AmazonS3\r\nx-amz-id-2: loopback\r\n"
        return f"{self._common}x-amz-request-id: {self._count:016X}\r\n"

    def _broke(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Remember a mistake; that a client has gone away is none."""
        error = context.get("exception")
        if isinstance(error, BaseException) and not isinstance(error, OSError):
            self.broken.append(error)
            loop.default_exception_handler(context)

    def _done(self, request: Request) -> Answer:
        try:
            with self.lock:
                other = self._other(request)
                return execute(self.storage, request) if other is None else other.execute(request)
        except S3Error as error:
            return refusal(error, request, f"{self._count:016X}")

    def _other(self, request: Request) -> OtherService | None:
        return next((service for service in self.services if service.name == request.service), None)

    def _failed(self, kind: str, request: Request) -> Answer:
        if kind not in ERRORS:
            return Answer(500)
        if (other := self._other(request)) is not None:
            return other.failure(kind, request)
        answer = refusal(S3Error(ERRORS[kind]), request, f"{self._count:016X}")
        if kind == "200-error":
            answer.status = 200
        return answer


def _corrupted(body: Content) -> Content:
    data = bytearray(bytes(body))
    data[len(data) // 2] ^= 1
    return Content([data])
