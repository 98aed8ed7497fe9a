"""The last step of a pipeline: store what was trained under its digest, and register it as a version.

Does what ``mlops-kit train`` does after its job, in the same order and with the same names, so that a version has the
same lineage and is promoted in the same way whoever trained it:

1. write ``training/<model>/source/<sha256>/sourcedir.tar.gz``, create-only, from the copy that the stack uploaded for
   the pipeline: that one goes when other code is deployed, and a version's lineage has to stay readable;
2. hash ``model.tar.gz``, the artifact of the training step;
3. write ``models/<model>/<sha256>/metrics.json`` and then ``model.tar.gz``, create-only: the artifact proves both;
4. register the artifact in the package group, unless it is registered already.

Running it again changes nothing. The step runs in a framework image, with the pipeline's role. Standard library and
boto3 only, Python 3.8, boto3 from 1.21.5 on (it knows ``ChecksumSHA256``): the image brings both, and has nothing of
the kit but this file. Older ones than 1.35 do not know ``IfNoneMatch``, so the header is set by hand.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

SETTINGS = "MLOPS_KIT_"
REQUIRED = (
    "ARTIFACT",
    "ARTIFACTS_BUCKET",
    "DATASET",
    "DATASET_COMMIT",
    "MODEL",
    "PACKAGE_GROUP",
    "REGION",
    "SERVING_ENTRY_POINT",
    "SERVING_IMAGE",
    "SOURCE_SHA256",
    "SOURCE_URI",
    "TRAINING_JOB",
)
"""Environment variables of the step, without :data:`SETTINGS`."""
MESSAGE = Path("/opt/ml/output/message")
"""What a processing job writes here is its ``ExitMessage``."""
MAX_SINGLE_BYTES = 5 * 1024**3
"""What one PutObject takes at most."""
EXISTS = {"PreconditionFailed", "412"}
CHUNK = 1 << 20


class RegisterError(Exception):
    """What stands in the way, in one line."""


def main(environment: Mapping[str, str] = os.environ) -> int:
    """The exit code; a failure is one line on stderr, and the job's exit message."""
    try:
        settings = read_settings(environment)
        import boto3  # the image's own

        s3 = create_only(boto3.client("s3", region_name=settings["REGION"]))
        version = register(s3, boto3.client("sagemaker", region_name=settings["REGION"]), settings)
        sys.stdout.write(f"registered as {version}\n")
    except RegisterError as exc:
        sys.stderr.write(f"mlops-kit: {exc}\n")
        if MESSAGE.parent.is_dir():
            MESSAGE.write_text(str(exc))
        return 1
    return 0


def read_settings(environment: Mapping[str, str]) -> dict[str, str]:
    missing = [SETTINGS + name for name in REQUIRED if not environment.get(SETTINGS + name)]
    if missing:
        raise RegisterError(f"these environment variables of the step are missing: {', '.join(missing)}")
    return {name: environment[SETTINGS + name] for name in REQUIRED}


def create_only(s3: Any) -> Any:
    """``s3`` with ``If-None-Match: *`` on every PutObject."""

    def add_header(params: dict[str, Any], **_: Any) -> None:
        params["headers"]["If-None-Match"] = "*"

    s3.meta.events.register("before-call.s3.PutObject", add_header)
    return s3


def register(s3: Any, sagemaker: Any, settings: Mapping[str, str]) -> str:
    """ARN of the version of the artifact, found or made."""
    artifact = Path(settings["ARTIFACT"])
    if not artifact.is_file():
        raise RegisterError(f"there is no artifact at {artifact}")
    if artifact.stat().st_size > MAX_SINGLE_BYTES:
        raise RegisterError(f"{artifact} is over {MAX_SINGLE_BYTES} bytes: not supported yet")
    keep_source(s3, settings)
    sha256 = digest(artifact)
    bucket, prefix = settings["ARTIFACTS_BUCKET"], f"models/{settings['MODEL']}/{sha256}/"
    job = sagemaker.describe_training_job(TrainingJobName=settings["TRAINING_JOB"])
    metrics = canonical_json({item["MetricName"]: item["Value"] for item in job.get("FinalMetricDataList", [])})
    put_new(s3, bucket, prefix + "metrics.json", metrics, hashlib.sha256(metrics).hexdigest(), "application/json")
    with artifact.open("rb") as body:
        put_new(s3, bucket, prefix + "model.tar.gz", body, sha256, "application/octet-stream")
    found = find_artifact(sagemaker, settings["PACKAGE_GROUP"], sha256)
    if found is not None:
        return found
    answer = sagemaker.create_model_package(**package(settings, sha256, f"s3://{bucket}/{prefix}"))
    return str(answer["ModelPackageArn"])


def keep_source(s3: Any, settings: Mapping[str, str]) -> None:
    """Store the code that was trained where ``mlops-kit train`` stores it, unless it is there.

    What is there was written create-only under its own digest, so the stack's copy is not asked for then: most
    executions do not depend on it any more.
    """
    bucket, sha256, uri = settings["ARTIFACTS_BUCKET"], settings["SOURCE_SHA256"], settings["SOURCE_URI"]
    key = f"training/{settings['MODEL']}/source/{sha256}/sourcedir.tar.gz"
    if is_stored(s3, bucket, key):
        return
    origin, _, origin_key = uri.partition("://")[2].partition("/")
    if not is_stored(s3, origin, origin_key):
        raise RegisterError(f"{uri} is gone: other code was deployed since the pipeline started; start it again")
    body = s3.get_object(Bucket=origin, Key=origin_key)["Body"].read()
    if hashlib.sha256(body).hexdigest() != sha256:
        raise RegisterError(f"{uri} does not have SHA-256 {sha256}: it is not the code that was deployed")
    put_new(s3, bucket, key, body, sha256, "application/gzip")


def is_stored(s3: Any, bucket: str, key: str) -> bool:
    """By listing: to a role that may list a part of the bucket only, S3 answers 403 for what is not there."""
    found = s3.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1).get("Contents", [])
    return [item["Key"] for item in found] == [key]  # no other key that begins with it comes before it


def digest(path: Path) -> str:
    """SHA-256 in hex."""
    running = hashlib.sha256()
    with path.open("rb") as file:
        for chunk in iter(lambda: file.read(CHUNK), b""):
            running.update(chunk)
    return running.hexdigest()


def canonical_json(value: Any) -> bytes:
    """As ``mlops_kit.objects.canonical_json``."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def put_new(s3: Any, bucket: str, key: str, body: bytes | BinaryIO, sha256: str, content_type: str) -> None:
    """Write unless the key is taken; S3 itself refuses bytes that do not have this digest."""
    try:
        s3.put_object(
            Bucket=bucket,
            Key=key,
            Body=body,
            ContentType=content_type,
            ChecksumSHA256=base64.b64encode(bytes.fromhex(sha256)).decode(),
        )
    except s3.exceptions.ClientError as exc:
        if exc.response["Error"]["Code"] not in EXISTS:
            raise


def find_artifact(sagemaker: Any, group: str, sha256: str) -> str | None:
    """The version of this artifact, if it is registered."""
    pages = sagemaker.get_paginator("list_model_packages").paginate(
        ModelPackageGroupName=group, SortBy="CreationTime", SortOrder="Descending"
    )
    for page in pages:
        for item in page["ModelPackageSummaryList"]:
            arn = item["ModelPackageArn"]
            metadata = sagemaker.describe_model_package(ModelPackageName=arn).get("CustomerMetadataProperties", {})
            if metadata.get("artifact_sha256") == sha256:
                return str(arn)
    return None


def package(settings: Mapping[str, str], sha256: str, uri: str) -> dict[str, Any]:
    """CreateModelPackage's arguments, as ``mlops_kit.registry.register`` makes them; ``uri`` ends in ``/``."""
    lineage = {
        "dataset": settings["DATASET"],
        "dataset_commit": settings["DATASET_COMMIT"],
        "source_sha256": settings["SOURCE_SHA256"],
        "training_job": settings["TRAINING_JOB"],
        "artifact_sha256": sha256,
        "image_digest": settings["SERVING_IMAGE"].partition("@")[2],
    }
    container = {
        "Image": settings["SERVING_IMAGE"],
        "ModelDataUrl": uri + "model.tar.gz",
        "Environment": {
            "SAGEMAKER_PROGRAM": settings["SERVING_ENTRY_POINT"],
            "SAGEMAKER_REGION": settings["REGION"],
            "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
        },
    }
    metrics = {"ContentType": "application/json", "S3Uri": uri + "metrics.json"}
    where = f"{settings['DATASET']}@{settings['DATASET_COMMIT'][:12]}"
    return {
        "ModelPackageGroupName": settings["PACKAGE_GROUP"],
        "ModelPackageDescription": f"Trained by {settings['TRAINING_JOB']} on {where}",
        "ModelApprovalStatus": "PendingManualApproval",
        "InferenceSpecification": {
            "Containers": [container],
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": ["text/csv"],
        },
        "ModelMetrics": {"ModelQuality": {"Statistics": metrics}},
        "CustomerMetadataProperties": {name: value for name, value in lineage.items() if value},
        "ClientToken": sha256[:36],
    }


if __name__ == "__main__":
    sys.exit(main())
