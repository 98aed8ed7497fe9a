"""Lineage: what a release was made of, back to files and code, and what was made of a data commit.

:mod:`graph` is the model, plain data. :mod:`backward` and :mod:`forward` read it; :mod:`tree`, :mod:`mermaid` and
:mod:`openlineage` show it, and are pure. Nothing is recorded for lineage alone: it is read from what is there anyway
(endpoints, the ledger, package metadata, data commits), so it cannot say anything else than they do.
"""
