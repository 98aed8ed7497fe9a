"""Promotion, a pipeline of stages: request -> plan -> gates -> execute -> ledger.

``request``: what was asked for. ``plan``: reads both environments and says what would be done; writes nothing. It is
put together from ``copies``, ``specification`` and ``cost``, and from what the gates say: ``gather`` reads what they
look at, as ``evidence``, and ``gates`` are pure functions from evidence to verdicts. ``execute``: the only writer.
``ledger``: append-only events, the truth about releases. ``rollback`` plans from the ledger alone and executes through
the same ``serving`` functions.
"""
