"""Hashed, verified, conditional transfer: the one place that moves bytes to, from and between buckets.

``store`` is what others use; what it does is in a module for each verb: ``upload``, ``multipart``, ``download``,
``copying``, ``checking``, ``listing``, ``removal``. ``parallel`` does many at once.
"""

from __future__ import annotations

from mlops_kit.objects.digests import canonical_json, composite_sha256, sha256_bytes, sha256_file
from mlops_kit.objects.info import Limits, Listed, ObjectInfo, Version
from mlops_kit.objects.parallel import each
from mlops_kit.objects.store import Store

__all__ = [
    "Limits",
    "Listed",
    "ObjectInfo",
    "Store",
    "Version",
    "canonical_json",
    "composite_sha256",
    "each",
    "sha256_bytes",
    "sha256_file",
]
