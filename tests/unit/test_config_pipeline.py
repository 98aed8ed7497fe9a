"""Pipeline definitions: what SageMaker would find an hour later is found in the file, with its line."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlops_kit.config import load_project, pipeline, pipeline_arguments
from mlops_kit.config.pipeline_parameters import AT_START, FILLED, Uploads, values
from mlops_kit.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
FILE = "environments/models/diagnosis.pipeline.json"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "environments", tmp_path / "environments")
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    return tmp_path


def problems(root: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_project(root)
    return [str(problem) for problem in caught.value.problems]


def edit(root: Path, old: str, new: str) -> int:
    """Replace the first ``old`` in the definition; the line where it stood."""
    path = root / FILE
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    return text[: text.index(old)].count("\n") + 1


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('"Version": "2020-12-01"', '"Version": "2021"', "Version is '2021'; there is only '2020-12-01'"),
        (
            '"Version": "2020-12-01",',
            '"Version": "2020-12-01", "Stages": [],',
            "unknown key 'Stages'; known keys: Meta",
        ),
        ('"Name": "Region", "Type": "String"', '"Name": "Region", "Type": "Text"', "Region: Type 'Text' is not one of"),
        ('"Name": "Region", "Type": "String"', '"Name": "Region"', "Region: Type None is not one of String, Integer"),
        ('"Name": "Region",', '"Name": "Region", "Defalt": "x",', "unknown key 'Defalt'; known keys: DefaultValue"),
        ('"Name": "Region",', '"Name": "a region",', "Name 'a region' is not 1 to 64 letters"),
        ('"Name": "Region",', '"Name": "Region", "DefaultValue": 1,', "Region: DefaultValue 1 is not of type String"),
        (
            '"Name": "InstanceCount", "Type": "Integer"',
            '"Name": "InstanceCount", "Type": "String"',
            "InstanceCount is known by its name and has Type Integer, not String",
        ),
        (
            '"Name": "Region", "Type": "String"',
            '"Name": "Region", "Type": "String", "DefaultValue": "a", "EnumValues": ["b"]',
            "Region: DefaultValue 'a' is not among EnumValues",
        ),
        (
            '"Name": "Region", "Type": "String"',
            '"Name": "Region", "Type": "String", "EnumValues": ["b", 2]',
            "Region: 2 is not of type String",
        ),
        (
            '{"Name": "Region", "Type": "String"}',
            '{"Name": "Region", "Type": "String"}, {"Name": "Secret", "Type": "String"}',
            "Secret has no DefaultValue, and its name is none that the stack fills in",
        ),
        (
            '{"Name": "Region", "Type": "String"}',
            '{"Name": "Region", "Type": "String"}, {"Name": "Hyperparameter_depth", "Type": "String"}',
            "Hyperparameter_depth: training.hyperparameters of diagnosis has no 'depth'; it has: regularization",
        ),
        ('"Name": "Train"', '"Name": "Train it"', "Name 'Train it' is not 1 to 64 letters"),
        ('"Name": "Register",', '"Name": "Train",', "step Train: there is a step of this name already"),
        ('"Type": "Training"', '"Type": "Trainig"', "step Train: Type 'Trainig' is not one of Condition, Fail, Model"),
        (
            '"Type": "Training",',
            '"Type": "Training", "DependOn": [],',
            "unknown key 'DependOn'; a step of type Training",
        ),
        (
            '"Type": "Training",',
            '"Type": "Training", "DependsOn": ["Prepare"],',
            "DependsOn: there is no step 'Prepare'",
        ),
        (
            '"Get": "Steps.Train.Train',
            '"Get": "Steps.Trian.Train',
            "Steps.Trian.TrainingJobName: there is no step 'Trian'",
        ),
        ("ModelArtifacts.S3Model", "ModelArtefacts.S3Model", "a step of type Training has no such property"),
        ('"Get": "Parameters.Role"', '"Get": "Parameter.Role"', "Parameter.Role: there is no such parameter, step"),
        ('"ChannelName": "train"', '"Channel": "train"', "InputDataConfig[0] has no 'Channel'; it has: ChannelName"),
        ('"ChannelName": "train"', '"ChannelName": 7', "InputDataConfig[0].ChannelName is 7, and has to be text"),
        ('"ManifestFile"', '"Manifest"', "S3DataType is 'Manifest', and has to be one of: ManifestFile, S3Prefix"),
        ('"InstanceCount": 1', '"InstanceCount": 0', "ClusterConfig.InstanceCount is 0; the least is 1"),
        ('"InstanceCount": 1', '"InstanceCount": "one"', "InstanceCount is 'one', and has to be a whole number"),
        ('"InstanceCount": 1', '"InstanceCount": true', "InstanceCount is True, and has to be a whole number"),
        ('"Name": "Register",', '"Name": "Register",,', "is not valid JSON: Expecting property name"),
        ('"Name": "Register",', '"Name": "Register", "Name": "Again",', "the key 'Name' is given twice"),
    ],
)
def test_each_mistake_is_found_on_its_line(project: Path, old: str, new: str, expected: str) -> None:
    line = edit(project, old, new)
    assert any(problem.startswith(f"{FILE}:{line}: ") and expected in problem for problem in problems(project))


@pytest.mark.parametrize(
    ("old", "new", "at", "expected"),
    [
        (
            '"Name": "Region", "Type": "String"',
            '"Name": "Label", "Type": "String", "DefaultValue": "x"',
            '{"Name": "Label", "Type": "String"},',
            "Parameters: 'Label' is declared twice",
        ),
        (
            '"Name": "Metric_recall"',
            '"Name": "Metric_auc"',
            '"Regex": {"Get": "Parameters.Metric_recall"}',
            "step Train: Parameters.Metric_recall: there is no such parameter",
        ),
        (
            '"Arguments": {\n        "RoleArn": {"Get": "Parameters.PipelineRole"},',
            '"Arguments":  {',
            '"Arguments":  {',
            "step Register: Arguments needs RoleArn",
        ),
    ],
)
def test_a_mistake_that_shows_elsewhere(project: Path, old: str, new: str, at: str, expected: str) -> None:
    edit(project, old, new)
    lines = (project / FILE).read_text().splitlines()
    (line,) = [number for number, text in enumerate(lines, start=1) if at in text]
    assert f"{FILE}:{line}: {expected}" in "\n".join(problems(project))


def test_every_mistake_is_found_at_once(project: Path) -> None:
    edit(project, '"ManifestFile"', '"Manifest"')
    edit(project, '"InstanceCount": 1', '"InstanceCount": 0')
    edit(project, '"Name": "Region",', '"Name": "Regio",')
    (project / "environments/dev.yaml").write_text(
        (project / "environments/dev.yaml").read_text().replace("region: us-east-1", "region: moon-1")
    )
    found = problems(project)
    for expected in ("Manifest", "InstanceCount", "Parameters.Region", "moon-1"):
        assert any(expected in problem for problem in found), (expected, found)
    assert len(found) == len(set(found)), "three environments use the file, and it is told once"


def test_json_may_be_indented_with_tabs(project: Path) -> None:
    path = project / FILE
    path.write_text(json.dumps(json.loads(path.read_text()), indent="\t"))
    load_project(project)
    line = edit(project, '"ManifestFile"', '"Manifest"')
    assert problems(project)[0].startswith(f"{FILE}:{line}: ")


def test_a_file_that_is_not_there(project: Path) -> None:
    (project / FILE).unlink()
    (found,) = problems(project)
    assert "training.pipeline: there is no file 'diagnosis.pipeline.json' beside the model file" in found
    assert found.startswith("environments/models/diagnosis.yaml:")


def rewrite(root: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = root / FILE
    definition = json.loads(path.read_text())
    change(definition)
    path.write_text(json.dumps(definition, indent=1))


def test_steps_that_wait_for_each_other(project: Path) -> None:
    rewrite(project, lambda definition: definition["Steps"][0].update(DependsOn=["Register"]))
    found = problems(project)
    assert [problem.split(": ", 1)[1].split(",")[0] for problem in found] == [
        "step Train: it waits for itself",
        "step Register: it waits for itself",
    ]


def test_retraining_needs_the_parameters_that_it_gives(project: Path) -> None:
    def fix_the_data(definition: dict[str, Any]) -> None:
        for parameter in definition["Parameters"]:
            if parameter["Name"] == "DatasetCommit":
                parameter["Name"] = "Commit"
                parameter["DefaultValue"] = "c"
        definition["Steps"][1]["Arguments"]["Environment"]["MLOPS_KIT_DATASET_COMMIT"] = "c"

    rewrite(project, fix_the_data)
    (found,) = problems(project)
    assert "retraining of diagnosis starts the pipeline with DatasetCommit, which is not declared" in found


CONDITION = {
    "Name": "Decide",
    "Type": "Condition",
    "Arguments": {
        "Conditions": [
            {"Type": "Equals", "LeftValue": {"Get": "Steps.Train.TrainingJobStatus"}, "RightValue": "Completed"}
        ],
        "IfSteps": [],
        "ElseSteps": [{"Name": "Stop", "Type": "Fail", "Arguments": {"ErrorMessage": "no"}}],
    },
}


def test_branches_are_steps_too(project: Path) -> None:
    def branch(definition: dict[str, Any], **arguments: Any) -> None:
        condition = json.loads(json.dumps(CONDITION))
        condition["Arguments"]["IfSteps"] = [definition["Steps"].pop()]
        condition["Arguments"] |= arguments
        definition["Steps"].append(condition)

    rewrite(project, branch)
    load_project(project)
    definition = pipeline.load(project / FILE)
    assert pipeline.step_types(definition) == {"Training", "Condition", "Processing", "Fail"}
    assert [step["Name"] for step in pipeline.all_steps(definition)] == ["Train", "Decide", "Register", "Stop"]

    rewrite(project, lambda d: d["Steps"][1]["Arguments"]["IfSteps"][0]["Arguments"].pop("RoleArn"))
    assert any("step Register: Arguments needs RoleArn" in problem for problem in problems(project))


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"Type": "Same"}, "a condition has a Type, one of Equals"),
        ("x", "a condition has a Type, one of Equals"),
        ({"Type": "Equals", "LeftValue": 1}, "a condition of type Equals has exactly: LeftValue, RightValue, Type"),
        ({"Type": "Not", "Expression": {"Type": "In"}}, "a condition of type In has exactly: QueryValue, Type, Values"),
        ({"Type": "Or", "Conditions": []}, "Conditions must be a list with at least one condition"),
    ],
)
def test_conditions(project: Path, condition: Any, expected: str) -> None:
    decide = {**CONDITION, "Arguments": {"Conditions": [condition]}}
    rewrite(project, lambda definition: definition["Steps"].append(decide))
    assert any(f"step Decide: {expected}" in problem for problem in problems(project))


def test_property_files(project: Path) -> None:
    report = {"Std:JsonGet": {"PropertyFile": {"Get": "Steps.Register.PropertyFiles.report"}, "Path": "accuracy"}}
    decide = {
        **CONDITION,
        "Arguments": {"Conditions": [{"Type": "GreaterThan", "LeftValue": report, "RightValue": 0.9}]},
    }
    rewrite(project, lambda definition: definition["Steps"].append(decide))
    assert any("step Register has no property file 'report'" in problem for problem in problems(project))
    file = {"PropertyFileName": "report", "OutputName": "report", "FilePath": "report.json"}
    rewrite(project, lambda definition: definition["Steps"][1].update(PropertyFiles=[file]))
    load_project(project)


@pytest.mark.parametrize(
    ("kind", "path", "known"),
    [
        ("Training", "ModelArtifacts.S3ModelArtifacts", True),
        ("Training", "FinalMetricDataList[0].Value", True),
        ("Training", "HyperParameters.depth", True),
        ("Training", "ModelName", False),
        ("Training", "ModelArtifacts[0]", False),
        ("Processing", "ProcessingOutputConfig.Outputs['report'].S3Output.S3Uri", True),
        ("Model", "ModelName", True),
        ("Condition", "Outcome", True),
    ],
)
def test_properties_are_those_of_the_describe_call(kind: str, path: str, known: bool) -> None:
    assert pipeline_arguments.has_property(kind, path) is known


def test_an_instance_type_that_botocore_does_not_know_yet(project: Path) -> None:
    edit(project, '"InstanceType": {"Get": "Parameters.StepInstanceType"}', '"InstanceType": "ml.m99.large"')
    model = project / "environments/models/diagnosis.yaml"
    limits = "limits: {instance_types: [ml.m5.large, ml.m99.large], max_runtime_minutes: 30}"
    model.write_text(model.read_text().replace("  hyperparameters:", f"  {limits}\n  hyperparameters:", 1))
    load_project(project)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            '"InstanceType": {"Get": "Parameters.InstanceType"}',
            '"InstanceType": "ml.p3.2xlarge"',
            "step Train: InstanceType is 'ml.p3.2xlarge'; training.limits of diagnosis allow: ml.m5.large",
        ),
        (
            '"InstanceType": {"Get": "Parameters.StepInstanceType"}',
            '"InstanceType": "ml.p3.2xlarge"',
            "step Register: InstanceType is 'ml.p3.2xlarge'; training.limits of diagnosis allow: ml.m5.large, ml.t3.me",
        ),
        (
            '"InstanceCount": {"Get": "Parameters.InstanceCount"}',
            '"InstanceCount": 2',
            "step Train: InstanceCount is 2; training.limits of diagnosis allow 1",
        ),
        (
            '{"MaxRuntimeInSeconds": {"Get": "Parameters.MaxRuntimeInSeconds"}}',
            '{"MaxRuntimeInSeconds": 1801}',
            "step Train: MaxRuntimeInSeconds is 1801; training.limits of diagnosis allow 1800",
        ),
        (
            '{"MaxRuntimeInSeconds": {"Get": "Parameters.StepMaxRuntimeInSeconds"}}',
            '{"MaxRuntimeInSeconds": 1801}',
            "step Register: MaxRuntimeInSeconds is 1801; training.limits of diagnosis allow 1800",
        ),
    ],
)
def test_a_step_beyond_the_limits(project: Path, old: str, new: str, expected: str) -> None:
    line = edit(project, old, new)
    assert problems(project)[0].startswith(f"{FILE}:{line}: {expected}")


def test_a_default_of_the_file_beyond_the_limits_and_no_run_time_at_all(project: Path) -> None:
    def change(definition: dict[str, Any]) -> None:
        for parameter in definition["Parameters"]:
            if parameter["Name"] == "InstanceType":
                parameter["DefaultValue"] = "ml.p3.2xlarge"
        del definition["Steps"][0]["Arguments"]["StoppingCondition"]

    rewrite(project, change)
    found = "\n".join(problems(project))
    assert "step Train: InstanceType is 'ml.p3.2xlarge'" in found
    assert "step Train: StoppingCondition needs MaxRuntimeInSeconds" in found


def test_everything_that_is_filled_in_has_a_value_of_its_type() -> None:
    project = load_project(ROOT)
    for stage in project.stages:
        model = project.model("diagnosis", stage)
        found = values(stage, model, Uploads("s3://b/source", "0" * 64, "s3://b/entry"))
        assert set(FILLED) <= set(found)
        for name, kind in FILLED.items():
            assert isinstance(found[name], int if kind == "Integer" else str)
        assert found["Hyperparameter_regularization"] == "1.0", "hyperparameters are JSON texts"
        assert found["Metric_recall"] == model.training.metrics["recall"]
        assert not set(AT_START) & set(found)


def test_no_cloud_library_is_loaded(project: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from mlops_kit.config import load_project\n"
        f"load_project(Path({str(project)!r})); print({{'boto3', 'botocore'}} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
