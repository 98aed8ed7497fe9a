"""The serving container: a model behind ``GET /ping`` and ``POST /invocations``, in a process of its own.

The model is loaded and called by SageMaker's own inference toolkit (``sagemaker_inference.transformer.Transformer``:
``model_fn``, ``input_fn``, ``predict_fn``, ``output_fn``, ``transform_fn``), so team code runs under the contract it
will meet in the framework images. The HTTP side follows "Use Your Own Inference Code with Hosting Services".

The model is loaded by the first ping. A container whose model does not load prints the traceback and exits, so that
the server knows at once, before any traffic is sent to it.

Usage: ``python container.py SOCKET_FD MODEL_DIR``: the listening socket is inherited, so there is no race for a port.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
import threading
import traceback
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PID_HEADER = "X-Local-Container-Pid"


class _Properties:
    """The request's headers, as the multi-model server's request processor hands them to the toolkit."""

    def __init__(self, headers: dict[str, str]) -> None:
        self._headers = headers

    def get_request_properties(self) -> dict[str, str]:
        return self._headers


@dataclass
class _Context:
    """As much of the model server's context as the toolkit and user functions use."""

    model_dir: str
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 200
    content_type: str | None = None

    @property
    def system_properties(self) -> dict[str, Any]:
        return {"model_dir": self.model_dir, "gpu_id": None}

    @property
    def request_processor(self) -> list[_Properties]:
        return [_Properties(self.headers)]

    def get_request_header(self, _: int, key: str) -> str | None:
        return self.headers.get(key)

    def set_response_status(self, code: int = 200, phrase: str = "", idx: int = 0) -> None:
        self.status = int(code)

    def set_response_content_type(self, _: int, value: str) -> None:
        self.content_type = value


class Model:
    """The user's model, loaded once. Requests are served one after the other, as by one model server worker."""

    def __init__(self, model_dir: Path) -> None:
        from sagemaker_inference.transformer import Transformer

        self._dir = str(model_dir)
        self._transformer = Transformer()
        self._lock = threading.Lock()

    def load(self) -> None:
        with self._lock:
            self._transformer.validate_and_initialize(model_dir=self._dir, context=_Context(self._dir))

    def invoke(self, body: bytes, headers: dict[str, str]) -> tuple[int, str, bytes]:
        """(status, content type, body) of one request."""
        context = _Context(self._dir, headers)
        with self._lock:
            result = self._transformer.transform([{"body": bytearray(body)}], context)[0]
        if context.status != 200:
            # The toolkit answers with message and traceback. The traceback belongs into the log, for the team.
            print(result, file=sys.stderr)  # noqa: T201  # a container's log is its standard error
            return context.status, "application/json", str(result).splitlines()[0].encode()
        if isinstance(result, (bytes, bytearray)):
            raw = bytes(result)
        else:
            raw = (result if isinstance(result, str) else json.dumps(result)).encode()
        return 200, context.content_type or "application/json", raw


def make_handler(model: Model) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path != "/ping":
                return self._reply(404, "text/plain", b"")
            try:
                model.load()
            except BaseException as exc:
                # Also SystemExit and KeyboardInterrupt: whatever the user's module raises, it did not load.
                traceback.print_exc()
                # The last line of the log becomes part of the endpoint's FailureReason, so it says it all.
                said = " ".join(str(exc).split())
                print(f"The model does not load: {type(exc).__name__}: {said}", file=sys.stderr, flush=True)  # noqa: T201
                os._exit(1)
            return self._reply(200, "application/json", b"{}")

        def do_POST(self) -> None:
            if self.path != "/invocations":
                return self._reply(404, "text/plain", b"")
            length = int(self.headers.get("Content-Length") or 0)
            status, content_type, body = model.invoke(self.rfile.read(length), dict(self.headers.items()))
            return self._reply(status, content_type, body)

        def _reply(self, status: int, content_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.send_header(PID_HEADER, str(os.getpid()))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """The server's own log has every request already."""

    return Handler


def main(arguments: list[str]) -> None:
    descriptor, model_dir = int(arguments[0]), Path(arguments[1])
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    os.chdir(model_dir)
    sys.path.insert(0, str(model_dir / "code"))
    listening = socket.socket(fileno=descriptor)
    server = ThreadingHTTPServer(listening.getsockname()[:2], make_handler(Model(model_dir)), bind_and_activate=False)
    server.socket.close()
    server.socket = listening
    server.daemon_threads = True
    server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1:])
