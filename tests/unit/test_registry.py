"""What is written into a package's metadata comes back as it was, and nothing empty is written."""

from __future__ import annotations

from mlops_kit.registry import Lineage

LINEAGE = Lineage("biopsies", "c" * 64, "", "s" * 64, "job", "a" * 64, image_digest="sha256:" + "d" * 64)


def test_lineage_survives_the_metadata() -> None:
    written = LINEAGE.to_metadata()
    assert Lineage.from_metadata(written) == LINEAGE
    assert "code_commit" not in written, "SageMaker refuses empty values"
    assert "source_package" not in written


def test_metadata_of_other_tools_is_left_out() -> None:
    assert Lineage.from_metadata({"dataset": "d", "colour": "blue"}).dataset == "d"
