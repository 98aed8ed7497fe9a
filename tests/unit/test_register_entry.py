"""The register step of a pipeline: the same version that ``mlops-kit train`` would register, made once."""

from __future__ import annotations

import ast
import hashlib
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError

from mlops_kit import registry
from mlops_kit.jobs import register_entry
from mlops_kit.naming import EnvironmentNames
from mlops_kit.registry import Lineage

NAMES = EnvironmentNames("acme", "dev", "111111111111", "us-east-1").model("diagnosis")
BODY = b"a model"
SHA256 = hashlib.sha256(BODY).hexdigest()
PREFIX = f"models/diagnosis/{SHA256}/"
SOURCE = b"the code it was made from"
SOURCE_SHA256 = hashlib.sha256(SOURCE).hexdigest()
SOURCE_KEY, UPLOADED = NAMES.training_source_key(SOURCE_SHA256), NAMES.pipeline_source_key(SOURCE_SHA256)
IMAGE = "1.dkr.ecr.us-east-1.amazonaws.com/train@sha256:" + "d" * 64


class S3:
    """A bucket that refuses to replace, with what the stack uploaded in it; ``written`` in order."""

    class exceptions:  # noqa: N801 - boto3's name
        ClientError = ClientError

    def __init__(self, code: str = "PreconditionFailed", taken: tuple[str, ...] = ()) -> None:
        self.code, self.taken = code, taken
        self.held = {UPLOADED: SOURCE}
        self.written: list[dict[str, Any]] = []

    def list_objects_v2(self, Bucket: str, Prefix: str, MaxKeys: int) -> dict[str, Any]:  # noqa: N803
        assert Bucket == NAMES.environment.bucket("artifacts")
        keys = sorted(key for key in (*self.held, *self.taken) if key.startswith(Prefix))
        return {"Contents": [{"Key": key} for key in keys[:MaxKeys]]} if keys else {}

    def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        return {"Body": io.BytesIO(self.held[Key])}

    def put_object(self, **given: Any) -> None:
        if given["Key"] in self.taken:
            raise ClientError({"Error": {"Code": self.code}}, "PutObject")
        body = given["Body"]
        self.written.append({**given, "Body": body if isinstance(body, bytes) else body.read()})


class SageMaker:
    """One training job, and packages with these digests in their metadata."""

    def __init__(self, *digests: str) -> None:
        self.packages = {NAMES.package_arn(i): digest for i, digest in enumerate(digests, start=1)}
        self.created: list[dict[str, Any]] = []

    def describe_training_job(self, TrainingJobName: str) -> dict[str, Any]:  # noqa: N803
        metrics = [{"MetricName": "recall", "Value": 0.9}, {"MetricName": "accuracy", "Value": 0.95}]
        return {"TrainingJobName": TrainingJobName, "FinalMetricDataList": metrics}

    def get_paginator(self, operation: str) -> SageMaker:
        assert operation == "list_model_packages"
        return self

    def paginate(self, **given: Any) -> Iterator[dict[str, Any]]:
        assert given["SortOrder"] == "Descending"
        for arn in reversed(self.packages):
            yield {"ModelPackageSummaryList": [{"ModelPackageArn": arn}]}

    def describe_model_package(self, ModelPackageName: str) -> dict[str, Any]:  # noqa: N803
        if ModelPackageName not in self.packages:  # the one that was just created, for `registry.register`
            created = self.created[-1]
            return {**created, "CreationTime": datetime.now(UTC)}
        digest = self.packages[ModelPackageName]
        return {"CustomerMetadataProperties": {"artifact_sha256": digest}} if digest else {}

    def create_model_package(self, **given: Any) -> dict[str, str]:
        self.created.append(given)
        return {"ModelPackageArn": NAMES.package_arn(len(self.packages) + 1)}


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, str]:
    artifact = tmp_path / "model.tar.gz"
    artifact.write_bytes(BODY)
    return {
        "ARTIFACT": str(artifact),
        "ARTIFACTS_BUCKET": NAMES.environment.bucket("artifacts"),
        "DATASET": "biopsies",
        "DATASET_COMMIT": "c" * 64,
        "MODEL": "diagnosis",
        "PACKAGE_GROUP": NAMES.package_group,
        "REGION": "us-east-1",
        "SERVING_ENTRY_POINT": "inference.py",
        "SERVING_IMAGE": IMAGE,
        "SOURCE_SHA256": SOURCE_SHA256,
        "SOURCE_URI": f"s3://{NAMES.environment.bucket('artifacts')}/{UPLOADED}",
        "TRAINING_JOB": "pipelines-abc-Train-xyz",
    }


def test_the_source_is_stored_first_and_the_metrics_before_the_artifact(settings: dict[str, str]) -> None:
    s3 = S3()
    register_entry.register(s3, SageMaker(), settings)
    assert [(put["Key"], put["Body"]) for put in s3.written] == [
        (SOURCE_KEY, SOURCE),
        (NAMES.metrics_key(SHA256), b'{"accuracy":0.95,"recall":0.9}'),
        (NAMES.artifact_key(SHA256), BODY),
    ]
    assert {put["Bucket"] for put in s3.written} == {"acme-dev-111111111111-artifacts"}


def test_the_version_is_the_one_that_train_would_register(settings: dict[str, str]) -> None:
    by_pipeline: Any = SageMaker()
    by_train: Any = SageMaker()
    register_entry.register(S3(), by_pipeline, settings)
    uri = f"s3://{settings['ARTIFACTS_BUCKET']}/"
    version = registry.register(
        by_train,
        NAMES,
        lineage=Lineage(
            dataset="biopsies",
            dataset_commit="c" * 64,
            code_commit="",
            source_sha256=SOURCE_SHA256,
            training_job="pipelines-abc-Train-xyz",
            artifact_sha256=SHA256,
            image_digest="sha256:" + "d" * 64,
        ),
        image=IMAGE,
        artifact_uri=uri + NAMES.artifact_key(SHA256),
        metrics_uri=uri + NAMES.metrics_key(SHA256),
        environment={
            "SAGEMAKER_PROGRAM": "inference.py",
            "SAGEMAKER_REGION": "us-east-1",
            "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
        },
        description=f"Trained by pipelines-abc-Train-xyz on biopsies@{'c' * 12}",
    )
    assert by_pipeline.created == by_train.created
    assert version.lineage.artifact_sha256 == SHA256, "and the registry reads it back"


def test_an_image_without_a_digest_leaves_no_empty_metadata(settings: dict[str, str]) -> None:
    sagemaker = SageMaker()
    register_entry.register(S3(), sagemaker, {**settings, "SERVING_IMAGE": "registry.example.com/serve:1"})
    assert "image_digest" not in sagemaker.created[0]["CustomerMetadataProperties"], "SageMaker refuses empty values"


def test_a_registered_artifact_is_found_and_not_registered_again(settings: dict[str, str]) -> None:
    sagemaker = SageMaker(SHA256, "0" * 64, "")
    s3 = S3(taken=(SOURCE_KEY, PREFIX + "metrics.json", PREFIX + "model.tar.gz"))
    assert register_entry.register(s3, sagemaker, settings) == NAMES.package_arn(1)
    assert sagemaker.created == []
    assert s3.written == []


def test_any_other_refusal_of_s3_ends_it(settings: dict[str, str]) -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        register_entry.register(S3("AccessDenied", (PREFIX + "metrics.json",)), SageMaker(), settings)


def test_source_that_is_stored_already_does_not_need_the_stack_s_copy(settings: dict[str, str]) -> None:
    s3, sagemaker = S3(taken=(SOURCE_KEY,)), SageMaker()
    s3.held.clear()
    register_entry.register(s3, sagemaker, settings)
    assert [put["Key"] for put in s3.written] == [NAMES.metrics_key(SHA256), NAMES.artifact_key(SHA256)]
    assert sagemaker.created[0]["CustomerMetadataProperties"]["source_sha256"] == SOURCE_SHA256


def test_source_that_two_executions_store_at_once_is_stored_once(settings: dict[str, str]) -> None:
    class Overtaken(S3):
        def list_objects_v2(self, Bucket: str, Prefix: str, MaxKeys: int) -> dict[str, Any]:  # noqa: N803
            return {} if Prefix == SOURCE_KEY else super().list_objects_v2(Bucket, Prefix, MaxKeys)

    s3, sagemaker = Overtaken(taken=(SOURCE_KEY,)), SageMaker()
    register_entry.register(s3, sagemaker, settings)
    assert SOURCE_KEY not in {put["Key"] for put in s3.written}
    assert len(sagemaker.created) == 1


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        ({}, r"sourcedir\.tar\.gz is gone: other code was deployed since"),
        ({UPLOADED + ".old": SOURCE}, "is gone"),
        ({UPLOADED: b"other code"}, f"does not have SHA-256 {SOURCE_SHA256}"),
    ],
    ids=["gone", "only one of a longer name", "changed"],
)
def test_nothing_is_registered_whose_source_nobody_can_read(
    held: dict[str, bytes], expected: str, settings: dict[str, str]
) -> None:
    s3, sagemaker = S3(), SageMaker()
    s3.held = held
    with pytest.raises(register_entry.RegisterError, match=expected):
        register_entry.register(s3, sagemaker, settings)
    assert (s3.written, sagemaker.created) == ([], [])


def test_no_artifact(settings: dict[str, str]) -> None:
    Path(settings["ARTIFACT"]).unlink()
    with pytest.raises(register_entry.RegisterError, match="there is no artifact at"):
        register_entry.register(S3(), SageMaker(), settings)


def test_missing_settings_end_it_with_their_names(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(register_entry, "MESSAGE", tmp_path / "message")
    given = {f"MLOPS_KIT_{name}": "x" for name in register_entry.REQUIRED if name not in ("MODEL", "REGION")}
    assert register_entry.main({**given, "MLOPS_KIT_REGION": ""}) == 1
    said = "these environment variables of the step are missing: MLOPS_KIT_MODEL, MLOPS_KIT_REGION"
    assert capsys.readouterr().err == f"mlops-kit: {said}\n"
    assert (tmp_path / "message").read_text() == said


class Empty:
    """A body without bytes, as urllib3 has it."""

    def stream(self) -> Iterator[bytes]:
        return iter(())


def test_every_put_is_create_only_whatever_boto3_knows() -> None:
    s3: Any = register_entry.create_only(
        boto3.client("s3", region_name="us-east-1", aws_access_key_id="k", aws_secret_access_key="s")
    )
    sent: list[Any] = []

    def answer(request: Any, **_: Any) -> AWSResponse:
        sent.append(request)
        return AWSResponse(request.url, 200, {}, Empty())

    s3.meta.events.register("before-send.s3.PutObject", answer)
    register_entry.put_new(s3, "bucket", "key", BODY, SHA256, "text/plain")
    (request,) = sent
    assert request.headers["If-None-Match"] in (b"*", "*")
    assert "if-none-match" in str(request.headers["Authorization"]), "and it is signed"
    assert request.headers["x-amz-checksum-sha256"]


def test_it_runs_in_an_old_framework_image() -> None:
    source = Path(register_entry.__file__).read_text()
    tree = ast.parse(source, feature_version=(3, 8))
    imported = {
        (node.names[0].name if isinstance(node, ast.Import) else node.module or "").split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
    }
    standard = {"__future__", "base64", "hashlib", "json", "os", "sys", "pathlib", "typing", "collections"}
    assert imported == standard | {"boto3"}


def test_the_shipped_pipeline_gives_it_every_setting() -> None:
    root = Path(__file__).resolve().parents[2]
    for file in ("environments/models/diagnosis", "tests/gallery/environments/models/fraud"):
        definition = json.loads((root / f"{file}.pipeline.json").read_text())
        text = json.dumps(definition)
        for name in register_entry.REQUIRED:
            assert f'"MLOPS_KIT_{name}":' in text, (file, name)
