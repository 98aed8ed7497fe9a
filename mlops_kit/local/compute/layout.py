"""The directories and variables that a SageMaker training container finds, made on this machine.

Written after the documentation rather than on top of the ``sagemaker-training`` package, which needs a C compiler and
Linux to install: "How Amazon SageMaker AI Provides Training Information" for the files below ``/opt/ml``, and
ENVIRONMENT_VARIABLES.md of the SageMaker Training Toolkit for the ``SM_*`` variables and the command line of script
mode. The one difference that a script can see: the base directory is not ``/opt/ml``, so a script has to use the
variables, as the framework images' own examples do.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops_kit.local.compute import archives, storage
from mlops_kit.local.compute.storage import Place, Uri

HOST = "algo-1"
PROGRAM = "sagemaker_program"
SUBMIT_DIRECTORY = "sagemaker_submit_directory"
FRAMEWORK_PREFIX = "sagemaker_"


@dataclass(frozen=True, slots=True)
class Layout:
    """What ``/opt/ml`` is in a real container."""

    base: Path

    @property
    def config(self) -> Path:
        return self.base / "input" / "config"

    @property
    def data(self) -> Path:
        return self.base / "input" / "data"

    @property
    def model(self) -> Path:
        return self.base / "model"

    @property
    def output(self) -> Path:
        return self.base / "output"

    @property
    def output_data(self) -> Path:
        return self.output / "data"

    @property
    def code(self) -> Path:
        return self.base / "code"

    @property
    def failure(self) -> Path:
        return self.output / "failure"

    @property
    def home(self) -> Path:
        return self.base / "home"

    def make(self) -> None:
        for path in (self.config, self.data, self.model, self.output_data, self.code, self.home):
            path.mkdir(parents=True, exist_ok=True)


def decode(hyperparameters: Mapping[str, str]) -> dict[str, Any]:
    """SageMaker's values are strings; the SDK writes JSON into them, and the toolkit reads them as JSON if it can."""
    decoded: dict[str, Any] = {}
    for name, value in hyperparameters.items():
        try:
            decoded[name] = json.loads(value)
        except ValueError:
            decoded[name] = value
    return decoded


def write_config(layout: Layout, job: Mapping[str, Any]) -> None:
    """``input/config/*.json`` as SageMaker writes them: all hyperparameter values as the strings that were given."""
    resources = job["ResourceConfig"]
    files: dict[str, Any] = {
        "hyperparameters.json": dict(job.get("HyperParameters") or {}),
        "inputdataconfig.json": {
            channel["ChannelName"]: {
                "ContentType": channel.get("ContentType", ""),
                "TrainingInputMode": channel.get("InputMode", "File"),
                "S3DistributionType": channel["DataSource"]["S3DataSource"].get(
                    "S3DataDistributionType", "FullyReplicated"
                ),
                "RecordWrapperType": channel.get("RecordWrapperType", "None"),
            }
            for channel in job.get("InputDataConfig") or []
        },
        "resourceconfig.json": {
            "current_host": HOST,
            "current_instance_type": resources.get("InstanceType", ""),
            "current_group_name": "homogeneousCluster",
            "hosts": [HOST],
            "instance_groups": [
                {
                    "instance_group_name": "homogeneousCluster",
                    "instance_type": resources.get("InstanceType", ""),
                    "hosts": [HOST],
                }
            ],
            "network_interface_name": "lo",
        },
    }
    for name, content in files.items():
        (layout.config / name).write_text(json.dumps(content, sort_keys=True))


def download_channel(layout: Layout, channel: Mapping[str, Any], place: Place) -> int:
    """Copy one channel's objects to ``input/data/<channel>``; how many there were.

    Raises:
        storage.MissingDataError: nothing under the prefix, or an object of the manifest is missing.
    """
    source = channel["DataSource"]["S3DataSource"]
    uri = Uri.parse(source["S3Uri"])
    target = layout.data / channel["ChannelName"]
    target.mkdir(parents=True, exist_ok=True)
    if source["S3DataType"] == "ManifestFile":
        files = _manifest_files(uri, place)
    else:
        files = {_relative(key, uri.key): Uri(uri.bucket, key) for key in storage.keys(uri, place)}
    files.pop("", None)
    if not files:
        raise storage.MissingDataError(
            f'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that the bucket '
            f"exists in the selected region ({place.region}), that objects exist under that S3 prefix, and that the "
            'role has "s3:ListBucket" permissions on the bucket.'
        )
    for relative, object_uri in files.items():
        path = (target / relative).resolve()
        if not path.is_relative_to(target.resolve()):
            raise storage.MissingDataError(f"{object_uri}: the key leads outside of the channel's directory")
        if relative.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(storage.read(object_uri, place))
    return len(files)


def _relative(key: str, prefix: str) -> str:
    """Where SageMaker puts an object: the key without the prefix up to the prefix's last complete directory."""
    if key == prefix:
        return key.rsplit("/", 1)[-1]
    if key.startswith(prefix) and (prefix.endswith("/") or not prefix or key[len(prefix)] == "/"):
        return key[len(prefix) :].lstrip("/")
    return key[prefix.rfind("/") + 1 :]


def _manifest_files(uri: Uri, place: Place) -> dict[str, Uri]:
    """``[{"prefix": "s3://bucket/some/prefix/"}, "relative/key", …]``, as the API reference of S3DataSource has it."""
    try:
        manifest = json.loads(storage.read(uri, place))
        prefix, *names = manifest
        base = Uri.parse(prefix["prefix"])
        return {name: Uri(base.bucket, base.key + name) for name in names}
    except (ValueError, TypeError, KeyError) as exc:
        raise storage.MissingDataError(f"{uri} is not a manifest: {exc!r}") from exc


def fetch_code(layout: Layout, hyperparameters: Mapping[str, Any], place: Place) -> str:
    """Unpack the submitted directory and name the script.

    Raises:
        storage.MissingDataError: not submitted, not there, or without the script.
        archives.BadArchiveError: cannot be unpacked.
    """
    for name in (PROGRAM, SUBMIT_DIRECTORY):
        if not hyperparameters.get(name):
            raise storage.MissingDataError(
                f"the hyperparameter {name} is missing: the local cloud runs script mode, not the code of an image"
            )
    archives.unpack(storage.read(Uri.parse(str(hyperparameters[SUBMIT_DIRECTORY])), place), layout.code)
    program = str(hyperparameters[PROGRAM])
    script = (layout.code / program).resolve()
    if not script.is_file() or not script.is_relative_to(layout.code.resolve()):
        raise storage.MissingDataError(f"there is no {program!r} in {hyperparameters[SUBMIT_DIRECTORY]}")
    return program


def arguments(hyperparameters: Mapping[str, Any]) -> list[str]:
    """``--name value`` for each of the team's own hyperparameters, sorted by name."""
    result: list[str] = []
    for name, value in sorted(_own(hyperparameters).items()):
        result.append(f"--{name}" if len(name) > 1 else f"-{name}")
        if isinstance(value, dict):
            result.append(",".join(f"{k}={v}" for k, v in sorted(value.items())))
        else:
            result.append(str(value))
    return result


def environment(layout: Layout, job: Mapping[str, Any], hyperparameters: Mapping[str, Any]) -> dict[str, str]:
    """The ``SM_*`` variables of script mode."""
    channels = sorted(channel["ChannelName"] for channel in job.get("InputDataConfig") or [])
    own = _own(hyperparameters)
    framework = {k: v for k, v in hyperparameters.items() if k not in own}
    script = str(hyperparameters.get(PROGRAM, ""))
    values: dict[str, Any] = {
        "SM_MODEL_DIR": layout.model,
        "SM_INPUT_DIR": layout.base / "input",
        "SM_INPUT_CONFIG_DIR": layout.config,
        "SM_OUTPUT_DIR": layout.output,
        "SM_OUTPUT_DATA_DIR": layout.output_data,
        "SM_CHANNELS": channels,
        "SM_HPS": own,
        "SM_FRAMEWORK_PARAMS": framework,
        "SM_USER_ARGS": arguments(hyperparameters),
        "SM_USER_ENTRY_POINT": script,
        "SM_MODULE_NAME": script.removesuffix(".py"),
        "SM_MODULE_DIR": hyperparameters.get(SUBMIT_DIRECTORY, ""),
        "SM_CURRENT_HOST": HOST,
        "SM_CURRENT_INSTANCE_TYPE": job["ResourceConfig"].get("InstanceType", ""),
        "SM_HOSTS": [HOST],
        "SM_NUM_CPUS": os.cpu_count() or 1,
        "SM_NUM_GPUS": 0,
        "SM_NUM_NEURONS": 0,
        "SM_NETWORK_INTERFACE_NAME": "lo",
        "SM_LOG_LEVEL": 20,
        "SM_RESOURCE_CONFIG": json.loads((layout.config / "resourceconfig.json").read_text()),
        "SM_INPUT_DATA_CONFIG": json.loads((layout.config / "inputdataconfig.json").read_text()),
        "TRAINING_JOB_NAME": job["TrainingJobName"],
        **{f"SM_CHANNEL_{name.upper()}": layout.data / name for name in channels},
        **{f"SM_HP_{name.upper()}": value for name, value in own.items()},
    }
    return {name: _text(value) for name, value in values.items()}


def _own(hyperparameters: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in hyperparameters.items() if not k.startswith(FRAMEWORK_PREFIX)}


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, (str, Path)):
        return str(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
