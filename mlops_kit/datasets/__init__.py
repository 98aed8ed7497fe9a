"""Data versioned like source code: immutable commits of content-addressed files, and refs that move.

One verb a module: ``commit``, ``read`` (log), ``checkout``, ``copy`` (promotion), over ``records`` (the format),
``refs`` and ``manifest`` (how SageMaker reads a commit).
"""
