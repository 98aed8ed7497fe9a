"""Data tests: does a data set keep the constraints of its file in ``environments/datasets/``?

Told by :mod:`~mlops_kit.quality.check`::

    paths -> files.py (which file belongs to which constraint; numbers and sizes)
    tables -> tables.py (read, count what is wrong, one scan) over values.py (types) and rules.py (constraints as SQL)
    report -> results.py (what was found) -> record.py (stored beside the commit)

:mod:`~mlops_kit.quality.parent` finds out how many rows the parent commit has.
"""
