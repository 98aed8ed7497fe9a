"""The local cloud's process: moto's server with the overlay, on the loopback interface, until it is told to stop.

Usage: ``python -m mlops_kit.local.server --port N --directory DIR [--speedup 60] [--enforce-iam] [--record FILE]``

Runs in the foreground and logs to standard error; ``mlops-kit local up`` runs it in the background. It ends with
SIGTERM or SIGINT and takes every child process with it; if it is killed, they end by themselves. State is in memory
only. ``GET /_mlops-kit/health`` answers once it is ready; ``POST /_mlops-kit/schedules/<group>/<name>/fire`` invokes
the target of a schedule now. Exit status: 0 stopped, 1 cannot start, 2 wrong arguments.
"""

from __future__ import annotations

import argparse
import errno
import json
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import mlops_kit
from mlops_kit.local.state import HEALTH_PATH

HOST = "127.0.0.1"
DEFAULT_SPEEDUP = 60.0
BACKLOG = 128
"""Connections that may wait: three times Terraform with twenty requests at a time, and then some."""

log = logging.getLogger("mlops_kit.local")


class PortInUseError(Exception):
    """Somebody else listens on the port."""


def main(arguments: list[str] | None = None) -> int:
    options = _parse(arguments)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("werkzeug").setLevel(logging.INFO if options.verbose else logging.ERROR)
    for name in ("botocore", "boto3", "urllib3"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        serve(
            options.port,
            options.directory.resolve(),
            options.speedup,
            enforce_iam=options.enforce_iam,
            record=options.record,
        )
    except PortInUseError:
        log.error("port %d is in use; choose another one with --port", options.port)  # noqa: TRY400  # one line
        return 1
    except OSError as exc:
        log.error("cannot start: %s", exc)  # noqa: TRY400
        return 1
    return 0


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m mlops_kit.local.server", description="Run the local cloud.")
    parser.add_argument("--port", type=int, required=True, help="port on 127.0.0.1; 0 chooses a free one")
    parser.add_argument("--directory", type=Path, required=True, help="where job and model files and logs are kept")
    parser.add_argument(
        "--speedup", type=float, default=DEFAULT_SPEEDUP, help="divides the waits of deployments (default: 60)"
    )
    parser.add_argument("--enforce-iam", action="store_true", help="refuse what no policy allows")
    parser.add_argument("--record", type=Path, metavar="FILE", help="append every API call to FILE, one JSON line each")
    parser.add_argument("--verbose", action="store_true", help="log every request")
    options = parser.parse_args(arguments)
    if options.speedup <= 0:
        parser.error("--speedup must be positive")
    return options


def serve(port: int, directory: Path, speedup: float, *, enforce_iam: bool = False, record: Path | None = None) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        PortInUseError: see there.
    """
    bound = _bind(port)  # first of all: importing moto takes seconds
    # moto reads these when it is imported.
    os.environ.pop("MOTO_ACCOUNT_ID", None)
    os.environ["MOTO_S3_ALLOW_CROSSACCOUNT_ACCESS"] = "true"
    os.environ["S3_IGNORE_SUBDOMAIN_BUCKETNAME"] = "true"
    os.environ.pop("AWS_PROFILE", None)
    os.environ.pop("AWS_ENDPOINT_URL", None)

    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    from mlops_kit.local import overlay
    from mlops_kit.local.compute import runtime
    from mlops_kit.local.compute.processes import Supervisor
    from mlops_kit.local.overlay import accounts, alarms, iam, schedule_firing, unsupported
    from mlops_kit.local.request_handler import RequestHandler

    directory.mkdir(parents=True, exist_ok=True)
    overlay.install()
    iam.watch(enforce=enforce_iam, record=record)
    supervisor = Supervisor()
    moto_app = DomainDispatcherApplication(create_backend_app)
    mended_app = schedule_firing.with_fire(accounts.refuse_unknown_keys(unsupported.explain(moto_app)))
    app = _with_health(mended_app, supervisor)
    bound.listen(BACKLOG)
    server = make_server(HOST, port, app, threaded=True, request_handler=RequestHandler, fd=bound.fileno())
    server.daemon_threads = True
    url = f"http://{HOST}:{bound.getsockname()[1]}"
    current = runtime.Runtime(directory, url, speedup, supervisor)
    runtime.configure(current)
    alarms.start_evaluating(current)
    schedule_firing.start_firing()

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    thread = threading.Thread(target=server.serve_forever, name="http", daemon=True)
    thread.start()
    log.info("the local cloud listens on %s (process %d, files in %s)", url, os.getpid(), directory)
    try:
        stop.wait()
    finally:
        log.info("stopping")
        supervisor.close()
        server.shutdown()
        server.server_close()


def _bind(port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((HOST, port))
    except OSError as exc:
        bound.close()
        if exc.errno == errno.EADDRINUSE:
            raise PortInUseError from exc
        raise
    return bound


def _with_health(app: Any, supervisor: Any) -> Any:
    """Answers the health request itself and hands every other one on."""

    def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ.get("PATH_INFO") != HEALTH_PATH:
            found: Iterable[bytes] = app(environ, start_response)
            return found
        body = json.dumps(
            {
                "status": "ok",
                "version": mlops_kit.__version__,
                "pid": os.getpid(),
                "containers": [{"name": child.label, "pid": child.pid} for child in supervisor.running()],
            }
        ).encode()
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    return answer


if __name__ == "__main__":
    sys.exit(main())
