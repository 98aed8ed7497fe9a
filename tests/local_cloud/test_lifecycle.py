"""``local up`` and ``local down`` leave exactly what they say."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

from mlops_kit.local import state
from mlops_kit.local.state import Layout
from tests.cloud import Cli, copy_project, free_port, processes_in


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def test_up_survives_its_command_and_down_leaves_no_process_and_no_port(tmp_path: Path) -> None:
    cli = Cli(copy_project(tmp_path))
    layout = Layout(cli.project)
    port = free_port()
    assert cli.ok("local", "up", "--no-deploy", "--port", str(port)).out.strip() == f"http://127.0.0.1:{port}"
    try:
        assert str(port) in cli.ok("local", "status").out
        assert "already running" in cli.ok("local", "up", "--no-deploy").err, "up twice is fine"
        other = cli("local", "up", "--no-deploy", "--port", str(free_port()))
        assert (other.code, "already runs on port" in other.err) == (2, True)
        assert processes_in(layout.root)
    finally:
        assert "is down" in cli.ok("local", "down").err
    assert not processes_in(layout.root)
    assert is_free(port)
    assert not layout.state_file.exists()
    assert "not running" in cli.ok("local", "down").err, "down twice is fine"
    assert cli("local", "status").code == 2


def test_a_killed_cloud_is_noticed_and_can_be_started_again(tmp_path: Path) -> None:
    cli = Cli(copy_project(tmp_path))
    layout = Layout(cli.project)
    port = free_port()
    cli.ok("local", "up", "--no-deploy", "--port", str(port))
    running = state.read(layout)
    assert running is not None
    os.kill(running.pid, signal.SIGKILL)
    done = cli("status", "--local")
    assert (done.code, "local cloud is not running" in done.err) == (2, True)
    cli.ok("local", "up", "--no-deploy", "--port", str(port))
    cli.ok("local", "down")
    assert not processes_in(layout.root)


def test_an_unreadable_state_file_does_not_keep_the_cloud_from_being_reset(tmp_path: Path) -> None:
    cli = Cli(copy_project(tmp_path))
    layout = Layout(cli.project)
    layout.root.mkdir(parents=True)
    layout.state_file.write_text("{")
    assert cli("local", "status").code == 2
    cli.ok("local", "down")
    assert not layout.state_file.exists()
