"""Many at once: in order, no more than allowed, nothing begun after the first error, and Ctrl-C is heard."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from mlops_kit.objects import each


def test_results_are_in_the_order_of_the_items() -> None:
    release = threading.Event()

    def work(number: int) -> int:
        if number == 0:
            release.wait(30)
        if number == 50:
            release.set()
        return number * number

    assert each(work, range(100), at_once=4) == [number * number for number in range(100)]
    assert each(work, []) == []


def test_no_more_than_allowed_run_at_once_and_items_are_taken_when_needed() -> None:
    running, most, taken, lock = 0, 0, 0, threading.Lock()
    full = threading.Barrier(5)

    def items() -> Iterator[int]:
        nonlocal taken
        for number in range(50):
            taken += 1
            yield number

    def work(number: int) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            assert taken <= number + 6
        if number < 5:
            full.wait(30)  # all five are here at the same time
        with lock:
            running -= 1

    each(work, items(), at_once=5)
    assert most == 5


def test_the_first_error_ends_it() -> None:
    done: list[int] = []

    def work(number: int) -> None:
        if number == 10:
            raise ValueError("ten")
        done.append(number)

    with pytest.raises(ValueError, match="ten"):
        each(work, iter(range(10**9)), at_once=3)
    assert set(range(10)) >= set(done[:9])


def test_an_error_of_the_items_is_raised_as_well() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        each(lambda number: number, items())


def test_few_items_take_few_threads() -> None:
    names = each(lambda _: threading.current_thread().name, range(2), at_once=64)
    assert set(names) <= {"each-0", "each-1", "each-2"}


def test_ctrl_c_is_heard_while_all_threads_wait() -> None:
    program = (
        "import os, signal, threading\n"
        "from mlops_kit.objects.parallel import each\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it\n"
        "def work(number):\n"
        "    if number == 3: os.kill(os.getpid(), signal.SIGINT)\n"
        "    threading.Event().wait()\n"
        "try:\n"
        "    each(work, range(100), at_once=4)\n"
        "except KeyboardInterrupt:\n"
        "    print('heard')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "heard\n"
