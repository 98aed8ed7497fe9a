"""How far two distributions are apart: pure functions of the counts in the same cells."""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum, log

EMPTY = 0.5
"""Rows that an empty cell counts as.

The logarithm of an empty cell is infinite, and what stands in for zero decides the result. A fixed share, like the
1e-4 that is often used, says that a value which 50 rows happened not to have is a one in ten thousand event; half a row
is what so few rows can tell. It is the adjustment that credit scoring makes to empty cells in the weight of evidence,
of which PSI is a weighted sum (SAS, PROC HPBIN, option WOEADJUST, default 0.5). A cell that is empty in both
distributions says nothing and is left out.
"""


def psi(expected: Sequence[int], actual: Sequence[int]) -> float:
    """Population stability index: ``sum((p - q) * ln(p / q))`` over cells, ``p`` and ``q`` being the shares of rows.

    Zero for equal shares, never negative, always finite, symmetric: it is the Jeffreys divergence. Commonly read as
    stable below 0.1 and as shifted above 0.25 (Siddiqi, Credit Risk Scorecards, 2006). Without any shift its mean is
    about ``(cells - 1) * (1 / rows of one + 1 / rows of the other)`` (Yurdakul and Naranjo, Statistical properties of
    the population stability index, Journal of Risk Model Validation, 2020): few rows alone can exceed a threshold.

    Raises:
        ValueError: different numbers of cells, or no row in one of the two.
    """
    rows_expected, rows_actual = sum(expected), sum(actual)
    if not rows_expected or not rows_actual:
        raise ValueError("PSI compares two distributions; one of them has no rows")
    shares = [
        (max(a, EMPTY) / rows_actual, max(e, EMPTY) / rows_expected)
        for e, a in zip(expected, actual, strict=True)
        if e or a
    ]
    return fsum((p - q) * log(p / q) for p, q in shares)
