"""Who signs model versions and who verifies them; and that nobody has such a key who did not ask for one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mlops_kit.config import Project, load_project
from mlops_kit.naming import PERSON_ROLES
from stacks import boundary, release_permissions, signing_key
from tests.stacks.conftest import Synthesized
from tests.stacks.identity import identity, key_arn
from tests.stacks.stack import Stack

VERIFY = ["kms:GetPublicKey", "kms:Verify"]
OWN_KEY = "arn:aws:kms:us-east-1:999999999999:key/0a1b2c3d"


def signing_keys(stack: Stack) -> list[dict[str, Any]]:
    return [key for key in stack.all("aws_kms_key").values() if key.get("key_usage") == "SIGN_VERIFY"]


def test_the_key_signs_and_does_nothing_else(lab: Stack) -> None:
    (key,) = signing_keys(lab)
    assert key["customer_master_key_spec"] == "ECC_NIST_P256"
    assert key["deletion_window_in_days"] == 30
    assert not key.get("enable_key_rotation"), "KMS refuses that for asymmetric keys"
    assert lab.where("aws_kms_alias", name="alias/corner-lab-signing")["target_key_id"].startswith("${aws_kms_key.")
    policy = {statement["Sid"]: statement for statement in lab.parse(key["policy"])}
    assert set(policy) == {"Administer", "PromoterSigns", "PromoterOfEmptyVerifies"}
    assert policy["PromoterSigns"]["Action"] == ["kms:Sign", *VERIFY]
    assert policy["PromoterOfEmptyVerifies"]["Action"] == VERIFY
    assert "kms:Sign" not in policy["Administer"]["Action"]
    for name in ("lab", "empty"):
        role = lab.project.environment(name).names.role_arn("promoter")
        sid = "PromoterSigns" if name == "lab" else "PromoterOfEmptyVerifies"
        assert policy[sid]["Condition"] == {"ArnEquals": {"aws:PrincipalArn": role}}


def test_only_the_promoter_signs(lab: Stack, empty: Stack) -> None:
    for stack in (lab, empty):
        for kind in PERSON_ROLES:
            who = identity(stack, stack.environment.names.role(kind))
            assert who.may("kms:Sign", key_arn(lab)) is (kind == "promoter" and stack is lab), (stack, kind)
            assert who.may("kms:Verify", key_arn(lab)) is (kind == "promoter"), (stack, kind)
            assert who.may("kms:GetPublicKey", key_arn(lab)) is (kind == "promoter"), (stack, kind)


def test_without_signing_there_is_no_key_and_nobody_may_sign(synthesized: Synthesized) -> None:
    for stack in (*synthesized.local.values(), *synthesized.gallery.values()):
        assert stack.environment.signing is None
        assert signing_keys(stack) == []
        text = str(stack.content)
        assert "kms:Sign" not in text
        assert "kms:Verify" not in text


# --- more stages than the synthesized projects have


@pytest.fixture
def project(tmp_path: Path) -> Project:
    settings = {"dev": "signing: {}", "staging": "", "production": f"signing: {{key: '{OWN_KEY}'}}", "edge": ""}
    (tmp_path / "environments").mkdir()
    for number, (name, setting) in enumerate(settings.items(), 1):
        lines = [f"name: {name}", f'account: "{number * 111111111111}"', "region: us-east-1", "project: acme"]
        lines += ["owner: o@example.com", "budget: {monthly_usd: 1}", setting]
        lines += [f"promotes_from: {list(settings)[number - 2]}"] if number > 1 else []
        (tmp_path / "environments" / f"{name}.yaml").write_text("\n".join(lines))
    return load_project(tmp_path)


def test_every_later_stage_verifies(project: Project) -> None:
    dev, staging, production, edge = project.stages
    assert [signer.name for signer in project.signers(edge)] == ["production", "dev"]
    assert project.signers(staging) == (dev,)
    policy = signing_key.key_policy(dev, [staging, production, edge])
    assert [statement["Sid"] for statement in policy[2:]] == [
        "PromoterOfStagingVerifies",
        "PromoterOfProductionVerifies",
        "PromoterOfEdgeVerifies",
    ]
    (verify,) = release_permissions.signing(None, [production, dev])
    assert verify["Action"] == VERIFY
    assert verify["Resource"] == [OWN_KEY, "arn:aws:kms:us-east-1:111111111111:key/*"]


def test_the_boundary_lets_sign_where_signatures_count(project: Project) -> None:
    names = project.environment("staging").names
    for signing in (True, False):
        (keys,) = [s for s in boundary.statements(names, signing=signing) if s["Sid"] == "Keys"]
        assert set(boundary.SIGNING) <= set(keys["Action"]) or not signing
        assert signing or not set(boundary.SIGNING) & set(keys["Action"])
