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
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops_kit.local.compute import archives, paths, sources, storage
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


def download_channel(layout: Layout, channel: Mapping[str, Any], place: Place) -> None:
    """Copy one channel's objects to ``input/data/<channel>``.

    Raises:
        storage.MissingDataError: nothing under the prefix, or an object of the manifest is missing.
    """
    source = channel["DataSource"]["S3DataSource"]
    found = sources.objects(source["S3DataType"], Uri.parse(source["S3Uri"]), place)
    sources.download(found, layout.data / channel["ChannelName"], place)


def fetch_code(layout: Layout, hyperparameters: Mapping[str, Any], place: Place) -> str:
    """Unpack the submitted directory and name the script.

    As in the training toolkit, it may be an archive in S3, or an archive or a directory in the container. The latter is
    how code reaches a job with network isolation: ``/opt/ml/input/data/code/sourcedir.tar.gz`` of a channel ``code``.

    Raises:
        storage.MissingDataError: not submitted, not there, or without the script.
        archives.BadArchiveError: cannot be unpacked.
    """
    for name in (PROGRAM, SUBMIT_DIRECTORY):
        if not hyperparameters.get(name):
            raise storage.MissingDataError(
                f"the hyperparameter {name} is missing: the local cloud runs script mode, not the code of an image"
            )
    submitted = str(hyperparameters[SUBMIT_DIRECTORY])
    if submitted.startswith("/"):
        _fetch_local(layout, submitted)
    else:
        archives.unpack(storage.read(Uri.parse(submitted), place), layout.code)
    program = str(hyperparameters[PROGRAM])
    script = (layout.code / program).resolve()
    if not script.is_file() or not script.is_relative_to(layout.code.resolve()):
        raise storage.MissingDataError(f"there is no {program!r} in {submitted}")
    return program


def _fetch_local(layout: Layout, submitted: str) -> None:
    try:
        source = paths.locate(submitted, layout.base)
        if source.is_dir():
            shutil.copytree(source, layout.code, dirs_exist_ok=True)
        else:
            archives.unpack(source.read_bytes(), layout.code)
    except (paths.OutsideError, FileNotFoundError) as exc:
        raise storage.MissingDataError(f"{submitted}, the submitted directory, is not in the container: {exc}") from exc


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
        "SM_MODULE_DIR": paths.rewrite(str(hyperparameters.get(SUBMIT_DIRECTORY, "")), layout.base),
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
