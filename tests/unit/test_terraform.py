"""Terraform and its provider are found, or it is said clearly that they are not."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path

import pytest

from mlops_kit.errors import IntegrityError, UsageError
from mlops_kit.local import terraform, terraform_download
from mlops_kit.local.terraform import PROVIDER, PROVIDER_VERSION, Terraform, find_mirror, platform_name


def mirror(root: Path, *below: str) -> Path:
    directory = root.joinpath(*below)
    (directory / PROVIDER / PROVIDER_VERSION / platform_name()).mkdir(parents=True)
    return directory


@pytest.mark.parametrize("below", [(), ("plugins",), ("terraform", "plugins")])
def test_a_mirror_is_found_at_a_prefix_and_two_levels_below(tmp_path: Path, below: tuple[str, ...]) -> None:
    expected = mirror(tmp_path, *below)
    assert find_mirror([tmp_path / "absent", tmp_path]) == expected


def test_a_mirror_without_the_pinned_version_is_none(tmp_path: Path) -> None:
    (tmp_path / PROVIDER / "5.99.0" / platform_name()).mkdir(parents=True)
    mirror(tmp_path, "too", "deep", "below")
    assert find_mirror([tmp_path]) is None


def fake_terraform(directory: Path, script: str = "exit 0") -> str:
    directory.mkdir(parents=True, exist_ok=True)
    binary = directory / "terraform"
    binary.write_text(f"#!/bin/sh\n{script}\n")
    binary.chmod(0o755)
    return str(directory)


def test_a_found_mirror_is_written_into_a_cli_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = mirror(tmp_path, "mirror")
    monkeypatch.setattr(terraform, "find_mirror", lambda: found)
    # A variable that names a file which does not exist is no configuration of the user's.
    env = {"PATH": fake_terraform(tmp_path / "bin"), "TF_CLI_CONFIG_FILE": str(tmp_path / "absent")}
    config = Path(Terraform.find(tmp_path / "work", env).environment["TF_CLI_CONFIG_FILE"])
    assert config == tmp_path / "work" / "terraform.rc"
    assert f'path    = "{found}"' in config.read_text()


def test_the_user_s_own_configuration_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terraform, "find_mirror", lambda: pytest.fail("looked for a mirror"))
    (tmp_path / "own.rc").write_text("")
    env = {"PATH": fake_terraform(tmp_path / "bin"), "TF_CLI_CONFIG_FILE": str(tmp_path / "own.rc")}
    assert Terraform.find(tmp_path, env).environment["TF_CLI_CONFIG_FILE"] == str(tmp_path / "own.rc")


def test_missing_terraform_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    with pytest.raises(UsageError, match="Terraform is not on PATH") as caught:
        Terraform.find(tmp_path, {"PATH": str(tmp_path)})
    assert "terraform_download" in str(caught.value.hint)


def test_a_missing_provider_says_where_one_is_looked_for(tmp_path: Path) -> None:
    env = {"PATH": fake_terraform(tmp_path / "bin", "echo 'could not query provider registry'; exit 1") + ":/bin"}
    (tmp_path / "stack").mkdir()
    with pytest.raises(UsageError, match="could not query provider registry") as caught:
        Terraform.find(tmp_path, env).init(tmp_path / "stack")
    assert "filesystem mirror" in str(caught.value.hint)


def test_events_and_errors_of_an_apply_are_told_apart(tmp_path: Path) -> None:
    script = (
        'echo \'{"@level":"info","@message":"m","type":"apply_complete"}\'\n'
        'echo \'{"@level":"error","@message":"Error: no","diagnostic":{"address":"aws_x.y","detail":"because"}}\'\n'
        "exit 1"
    )
    env = {"PATH": fake_terraform(tmp_path / "bin", script) + ":/bin"}
    (tmp_path / "dev").mkdir()
    seen: list[str] = []
    with pytest.raises(Exception, match=r"terraform apply failed in dev:\nError: no\naws_x.y\nbecause"):
        Terraform.find(tmp_path, env).apply(tmp_path / "dev", lambda event: seen.append(event["type"]))
    assert seen == ["apply_complete"]


def archive(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        made.writestr("terraform", content)
    return buffer.getvalue()


def test_a_download_is_unpacked_only_if_its_digest_is_the_pinned_one(tmp_path: Path) -> None:
    body = archive(b"#!/bin/sh\n")
    digest = hashlib.sha256(body).hexdigest()
    binary = terraform_download.download(tmp_path, "linux_amd64", digests={"linux_amd64": digest}, get=lambda url: body)
    assert binary.read_bytes() == b"#!/bin/sh\n"
    assert binary.stat().st_mode & 0o111

    empty = tmp_path / "other"
    with pytest.raises(IntegrityError, match="not unpacked"):
        terraform_download.download(empty, "linux_amd64", get=lambda url: body)
    assert not empty.exists()


def test_a_failed_download_or_an_unknown_machine_is_a_clear_error(tmp_path: Path) -> None:
    def offline(url: str) -> bytes:
        raise OSError("no route to host")

    with pytest.raises(UsageError, match="no route to host"):
        terraform_download.download(tmp_path, "linux_amd64", get=offline)
    with pytest.raises(UsageError, match="No pinned Terraform for plan9_mips"):
        terraform_download.download(tmp_path, "plan9_mips")
