"""Drift: has the captured traffic moved away from the data that the model was trained on?

Two flows, each told by one module::

    baseline.py  training table  -> tables -> profile -> statistics.json, constraints.json
    run.py       captured requests -> capture -> count -> compare -> report -> publish -> CloudWatch

:mod:`~mlops_kit.drift.statistics` and :mod:`~mlops_kit.drift.constraints` are the file formats,
:mod:`~mlops_kit.drift.cells` is how values fall into buckets (the same SQL for baseline and traffic), and
:mod:`mlops_kit.tabular.engine` starts DuckDB. What is measured is a pure function of counts, in
:mod:`~mlops_kit.drift.compare`: another measure is another function there.
"""
