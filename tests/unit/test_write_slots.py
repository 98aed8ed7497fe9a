"""How many write at a time: one where files are made quickly, all where each of them waits for a network."""

from __future__ import annotations

import threading

import pytest

from mlops_kit.datasets.write_slots import SAMPLES, SLOW_SECONDS, WriteSlots


class Clock:
    """Each write takes ``seconds``."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.calls = seconds, 0

    def __call__(self) -> float:
        self.calls += 1
        return self.calls * self.seconds


def admits(slots: WriteSlots, expected: int) -> bool:
    """Whether ``expected`` threads get in while none of them leaves, and no more."""
    entered, leave = threading.Semaphore(0), threading.Event()

    def write() -> None:
        with slots.slot():
            entered.release()
            leave.wait(30)

    running = [threading.Thread(target=write) for _ in range(expected)]
    for thread in running:
        thread.start()
    all_in = all(entered.acquire(timeout=30) for _ in running)
    full = not slots._free.acquire(blocking=False)
    leave.set()
    for thread in running:
        thread.join()
    return all_in and full


def sampled(slots: WriteSlots) -> WriteSlots:
    for _ in range(SAMPLES):
        with slots.slot():
            pass
    return slots


@pytest.mark.parametrize(
    ("seconds", "expected"), [(SLOW_SECONDS / 2, 1), (SLOW_SECONDS * 2, 6)], ids=["disk", "network"]
)
def test_it_shows_in_the_first_writes(seconds: float, expected: int) -> None:
    assert admits(sampled(WriteSlots(6, Clock(seconds))), expected)


def test_one_at_a_time_until_that_is_known() -> None:
    assert admits(WriteSlots(6, Clock(SLOW_SECONDS * 2)), 1)


def test_a_write_that_fails_gives_its_slot_back() -> None:
    slots = WriteSlots(1)
    with pytest.raises(OSError, match="full"), slots.slot():
        raise OSError("full")
    assert admits(slots, 1)
