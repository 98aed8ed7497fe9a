"""Data versioned like source code: immutable commits of content-addressed files, and refs that move.

The format is in ``records``, its keys in ``mlops_kit.naming``, and what writes it, in which order, in ``publish``.
Above that there is one verb a module; ``api`` has them all for notebooks. ``docs/datasets.md`` specifies the format.

=============  =====================================================================================================
write          ``commit`` of a ``source`` (``local_source``, ``import_prefix``), ``revert``, ``copy`` (promotion);
               ``transfer`` brings files, ``tree`` puts a parent and new files together, ``manifest`` is SageMaker's
name           ``pointers`` (what is stored), ``refs`` (what revisions mean), ``branch``, ``tag``
look           ``read``, ``ancestry``, ``history``, ``show``, ``listing``, ``cat``; ``diff``, ``table_diff``
check out      ``checkout``, ``fetch``, ``compare_local``, ``local_paths``, ``file_cache``, ``cached_checkout``
take care      ``verify``, ``versions``, ``recovery``, ``reach``, ``gc``
=============  =====================================================================================================
"""
