"""Progress: a bar on a terminal, a line every ten seconds elsewhere, nothing for what is quick."""

from __future__ import annotations

import io
import os
import pty
import re
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from rich.console import Console

from mlops_kit.cli import progress
from mlops_kit.cli.progress import Bars, Lines
from tests.kit import Kit
from tests.lakes import write_files


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def lines(clock: Clock, told: list[str]) -> Lines:
    return Lines(told.append, clock)


def test_what_is_quick_says_nothing(lines: Lines, clock: Clock, told: list[str]) -> None:
    lines.start("upload", 2, 2000)
    for _ in range(2):
        clock.now += 4.9
        lines.add(1, 1000)
    lines.done()
    lines.close()
    assert told == []


def test_a_line_every_ten_seconds_with_rate_and_time_left(lines: Lines, clock: Clock, told: list[str]) -> None:
    lines.start("upload", 4000, 40_000_000)
    for _ in range(4):
        clock.now += 5
        lines.add(500, 5_000_000)
    assert told == [
        "upload: 1,000 of 4,000 objects, 10.0 MB of 40.0 MB, 1.0 MB/s, 30 s left",
        "upload: 2,000 of 4,000 objects, 20.0 MB of 40.0 MB, 1.0 MB/s, 20 s left",
    ]
    clock.now += 5
    lines.add(2000, 20_000_000)
    lines.done()
    assert told[2:] == ["upload: 4,000 of 4,000 objects, 40.0 MB of 40.0 MB, 1.6 MB/s, done in 25 s"]


def test_the_slower_of_objects_and_bytes_tells_the_time_left(lines: Lines, clock: Clock, told: list[str]) -> None:
    lines.start("copy", 100, 1000)
    clock.now += 100
    lines.add(10, 900)
    clock.now += 1900
    lines.add(0, 0)
    assert told[0].endswith("900 B of 1.0 kB, 9 B/s, 15 min left")
    assert told[1].endswith(", 5.0 h left")


def test_without_bytes_the_rate_is_of_objects_and_without_totals_there_is_no_time_left(
    lines: Lines, clock: Clock, told: list[str]
) -> None:
    lines.start("verify", 100)
    clock.now += 10
    lines.add(50)
    lines.start("list")
    clock.now += 10
    lines.add(1)
    lines.start("check")
    clock.now += 12
    lines.done()
    assert told == ["verify: 50 of 100 objects, 5/s, 10 s left", "list: 1 object, 0/s", "check: done in 12 s"]


def test_what_is_given_up_says_how_far_it_came(lines: Lines, clock: Clock, told: list[str]) -> None:
    lines.start("upload", 10, 100)
    clock.now += 9
    lines.add(1, 10)
    lines.close()
    assert told == []
    lines.start("upload", 10, 100)
    clock.now += 9
    lines.add(1, 10)
    clock.now += 3
    lines.close()
    lines.add(1, 10)
    lines.done()
    assert told == ["upload: 1 of 10 objects, 10 B of 100 B, 0 B/s, stopped after 12 s"]


def test_nothing_is_counted_twice_or_lost_by_threads(lines: Lines, clock: Clock, told: list[str]) -> None:
    lines.start("upload", 8000, 8000)

    def work() -> None:
        for _ in range(1000):
            lines.add(1, 1)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    clock.now += 10
    lines.done()
    assert told == ["upload: 8,000 of 8,000 objects, 8.0 kB of 8.0 kB, 800 B/s, done in 10 s"]


def drawn(width: int) -> tuple[Bars, io.StringIO]:
    out = io.StringIO()
    return Bars(Console(file=out, force_terminal=True, width=width, color_system=None), delay=0), out


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_bar_is_one_line_that_is_gone_in_the_end(width: int) -> None:
    bars, out = drawn(width)
    bars.start("upload", 4000, 40_000_000)
    bars.add(1000, 10_000_000)
    bars._live.refresh()
    shown = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line) for line in re.split(r"[\r\n]", out.getvalue())]
    last = [line for line in shown if line.strip()][-1]
    assert "upload" in last
    assert "1,000 of 4,000 objects" in last
    assert len(last) <= width
    if width > 60:  # the numbers are what matters where there is no room for both
        assert "━" in last
        assert "10.0 MB of 40.0 MB" in last
    bars.done()
    bars.close()
    assert "\n" not in out.getvalue(), "one line, drawn over and over"
    assert out.getvalue().rindex("\x1b[2K") > out.getvalue().rindex("objects")


def test_a_bar_does_not_flash_for_what_is_quick() -> None:
    out = io.StringIO()
    bars = Bars(Console(file=out, force_terminal=True, width=80), delay=3600)
    bars.start("upload", 10, 10)
    bars.add(10, 10)
    bars.done()
    bars.start("publish")
    bars.close()
    assert out.getvalue() == ""
    assert not [
        thread
        for thread in threading.enumerate()
        if isinstance(thread, threading.Timer) and thread.is_alive() and not thread.finished.is_set()
    ]


def test_a_bar_appears_by_itself_although_nothing_is_counted() -> None:
    out = io.StringIO()
    bars = Bars(Console(file=out, force_terminal=True, width=80), delay=0.001)
    bars.start("check")
    assert bars._timer is not None
    bars._timer.join()
    bars.close()
    assert "check" in out.getvalue()


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_the_terminal_as_it_was(error: type[BaseException], monkeypatch: pytest.MonkeyPatch) -> None:
    bars, out = drawn(80)
    monkeypatch.setattr(progress, "Bars", lambda: bars)
    monkeypatch.setattr(sys, "stderr", type("Terminal", (io.StringIO,), {"isatty": lambda self: True})())
    monkeypatch.setenv("TERM", "xterm")

    def fail() -> None:
        with progress.shown() as shown:
            shown.start("upload", 10, 10)
            raise error

    with pytest.raises(error):
        fail()
    assert "\x1b[?25l" in out.getvalue()
    assert out.getvalue().rindex("\x1b[?25h") > out.getvalue().rindex("\x1b[?25l"), "the cursor is back"
    assert not bars._live.is_started


def test_lines_where_there_is_no_terminal_or_a_dumb_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with progress.shown() as shown:
        assert isinstance(shown, Lines)
    monkeypatch.setattr(sys, "stderr", type("Terminal", (io.StringIO,), {"isatty": lambda self: True})())
    monkeypatch.setenv("TERM", "dumb")
    with progress.shown() as shown:
        assert isinstance(shown, Lines)
    monkeypatch.setenv("TERM", "xterm")
    with progress.shown() as shown:
        assert isinstance(shown, Bars)


def all_of(terminal: int) -> str:
    """What is written to a terminal until its other side is closed, which Linux tells by an error."""
    pieces: list[bytes] = []
    with suppress(OSError):
        while piece := os.read(terminal, 1 << 16):
            pieces.append(piece)
    return b"".join(pieces).decode()


def test_a_command_on_a_terminal_draws_on_stderr_alone(
    kit: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Bars.__init__, "__defaults__", (None, 0.0))
    monkeypatch.setenv("TERM", "xterm")
    source = write_files(tmp_path / "data", {f"{number}": "x" * 100 for number in range(20)})
    ours, theirs = pty.openpty()
    with ThreadPoolExecutor(1) as reader:  # a terminal holds little, and gives it in pieces
        screen_of = reader.submit(all_of, ours)
        with os.fdopen(theirs, "w") as terminal, monkeypatch.context() as patch:
            patch.setattr(sys, "stderr", terminal)
            done = kit("dataset", "commit", "pets", source, "-m", "m")
        screen = screen_of.result()
    os.close(ours)
    assert done.code == 0
    assert re.fullmatch(r"pets@[0-9a-f]{12}\n", done.out)
    assert "hash" in screen
    assert "of 20 objects" in screen
    assert "20 files, 2.0 kB; 20 stored anew, 2.0 kB" in screen
