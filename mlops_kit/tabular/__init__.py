"""Tables in files, read by DuckDB: what profiles, data tests and row differences have in common.

:mod:`~mlops_kit.tabular.engine` starts DuckDB, :mod:`~mlops_kit.tabular.formats` knows a table's format by its file's
name, :mod:`~mlops_kit.tabular.reader` opens named files, and only them, whatever their names are.
"""
