"""PSI: values worked out by hand, and what holds for all counts."""

from __future__ import annotations

import random
from math import isfinite, log

import pytest

from mlops_kit.drift.compare import psi


def test_a_value_worked_out_by_hand() -> None:
    # Shares 0.5/0.5 against 0.75/0.25: 0.25 ln 1.5 - 0.25 ln 0.5 = 0.25 ln 3.
    assert psi([50, 50], [75, 25]) == pytest.approx(0.25 * log(3), abs=1e-15)


def test_another_one() -> None:
    # 0.2/0.3/0.5 against 0.5/0.3/0.2: the middle cell says nothing, the outer two 0.3 ln 2.5 each.
    assert psi([20, 30, 50], [500, 300, 200]) == pytest.approx(0.6 * log(2.5), abs=1e-15)


def test_an_empty_cell_counts_as_half_a_row() -> None:
    # 10/10 of 20 against 20/0 of 20: (1 - 0.5) ln 2 + (0.025 - 0.5) ln 0.05.
    assert psi([10, 10], [20, 0]) == pytest.approx(0.5 * log(2) - 0.475 * log(0.05), abs=1e-15)


def test_a_cell_that_is_empty_on_both_sides_says_nothing() -> None:
    assert psi([30, 0, 70], [3, 0, 7]) == pytest.approx(0, abs=1e-15)


def test_the_same_shares_give_zero_whatever_the_number_of_rows() -> None:
    assert psi([1, 2, 3, 4], [100, 200, 300, 400]) == pytest.approx(0, abs=1e-15)


def test_never_negative_always_finite_and_symmetric() -> None:
    rng = random.Random(11)  # noqa: S311  # the same cases every time
    for _ in range(500):
        cells = rng.randint(1, 12)
        one = [rng.choice([0, rng.randint(0, 1000)]) for _ in range(cells)]
        other = [rng.choice([0, rng.randint(0, 1000)]) for _ in range(cells)]
        one[0] += 1
        other[-1] += 1
        value = psi(one, other)
        assert isfinite(value)
        assert value >= 0
        assert value == pytest.approx(psi(other, one), abs=1e-12)


@pytest.mark.parametrize(("expected", "actual"), [([0, 0], [1, 2]), ([1, 2], [0, 0]), ([], [])])
def test_nothing_cannot_be_compared(expected: list[int], actual: list[int]) -> None:
    with pytest.raises(ValueError, match="no rows"):
        psi(expected, actual)


def test_different_cells_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="shorter"):
        psi([1, 2, 3], [1, 2])
