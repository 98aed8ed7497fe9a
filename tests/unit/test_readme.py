"""The files that the README shows are files that the kit takes."""

from __future__ import annotations

import re

import yaml

from mlops_kit.config import Environment, Model
from tests.cloud import ROOT

BLOCKS = re.findall(r"```yaml\n# (environments/\S+)\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


def test_the_shown_files_are_valid() -> None:
    shown = {path: yaml.safe_load(text) for path, text in BLOCKS}
    assert set(shown) == {"environments/production.yaml", "environments/models/fraud.yaml"}
    assert Environment.model_validate(shown["environments/production.yaml"]).models == ("fraud",)

    model = shown["environments/models/fraud.yaml"]
    overrides = model.pop("environments")
    assert Model.model_validate(model).name == "fraud"
    for override in overrides.values():
        assert Model.model_validate(model | override).retraining.automatic


def test_what_the_shown_environment_leaves_out_is_valid_too() -> None:
    """Off-hours are shown as a comment, because a protected environment may not have them."""
    (text,) = [text for path, text in BLOCKS if path == "environments/production.yaml"]
    (line,) = re.findall(r"# (off_hours: .*)", text)
    shown = yaml.safe_load(text) | yaml.safe_load(line) | {"protect": False}
    assert Environment.model_validate(shown).off_hours is not None
