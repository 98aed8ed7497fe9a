"""``environments/``: every file of it, read and checked together.

Read, merge the overrides, validate each file, then check what only shows between files (stage order, models that are
named but have no file, names too long for AWS). Every problem found on the way is collected and raised as one error.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from mlops_kit.config import between, pipeline
from mlops_kit.config import dataset as dataset_file
from mlops_kit.config import source as yaml_source
from mlops_kit.config.dataset import Dataset
from mlops_kit.config.environment import Environment
from mlops_kit.config.model import Model
from mlops_kit.config.source import Loc, Source
from mlops_kit.errors import ConfigError, NotFoundError, Problem, UsageError

DIRECTORY = "environments"
OVERRIDES = "environments"
"""The key of a model file under which its per-environment overrides stand."""

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Project:
    """Everything in ``environments/``, in stage order."""

    root: Path
    stages: tuple[Environment, ...]
    models: dict[tuple[str, str], Model]
    """(environment, model) -> the model as it is there."""
    datasets: dict[str, Dataset] = field(default_factory=dict)
    """Those that have a file; a data set needs none."""

    @property
    def first_stage(self) -> Environment:
        return self.stages[0]

    def environment(self, name: str) -> Environment:
        for stage in self.stages:
            if stage.name == name:
                return stage
        known = ", ".join(stage.name for stage in self.stages)
        raise NotFoundError(f"There is no environment {name!r}.", hint=f"Known environments: {known}.")

    def source_of(self, environment: Environment) -> Environment:
        """The stage that ``environment`` promotes from; the first stage releases its own versions."""
        return self.environment(environment.promotes_from) if environment.promotes_from else environment

    def targets_of(self, environment: Environment) -> tuple[Environment, ...]:
        """The stages that promote from ``environment``: who may read it."""
        return tuple(stage for stage in self.stages if stage.promotes_from == environment.name)

    def signers(self, environment: Environment) -> tuple[Environment, ...]:
        """Whose signatures count in ``environment``: its own and those of every earlier stage, as far as they sign."""
        found = [environment]
        while found[-1].promotes_from is not None:
            found.append(self.source_of(found[-1]))
        return tuple(stage for stage in found if stage.signing is not None)

    def model(self, name: str, environment: Environment) -> Model:
        try:
            return self.models[environment.name, name]
        except KeyError:
            known = ", ".join(environment.models) or "none"
            raise NotFoundError(
                f"There is no model {name!r} in {environment.name}.",
                hint=f"Models deployed there: {known}. Add it to {DIRECTORY}/{environment.name}.yaml under `models`.",
            ) from None

    def dataset(self, name: str) -> Dataset | None:
        """What is known about a data set; None if no file describes it: then it has no constraints."""
        return self.datasets.get(name)

    def constraints(self, name: str) -> Dataset:
        """What a data set is tested against.

        Raises:
            UsageError: no file describes it.
        """
        found = self.dataset(name)
        if found is None:
            raise UsageError(
                f"{name} has no constraints: there is no environments/datasets/{name}.yaml.",
                hint="docs/data-tests.md shows what can be written there.",
            )
        return found

    def models_in(self, environment: Environment) -> tuple[Model, ...]:
        return tuple(self.models[environment.name, name] for name in environment.models)

    def source_dir(self, model: Model) -> Path:
        """Where the team's training and inference code lies."""
        return (self.root / DIRECTORY / "models" / model.training.source_dir).resolve()

    def pipeline_file(self, model: Model) -> Path | None:
        """The model's pipeline definition; None without one."""
        name = model.training.pipeline
        return self.root / DIRECTORY / "models" / name if name else None


def find_root(start: Path) -> Path:
    """The nearest directory, upwards from ``start``, that has an ``environments`` directory."""
    for directory in (start, *start.parents):
        if (directory / DIRECTORY).is_dir():
            return directory
    raise NotFoundError(
        f"No {DIRECTORY}/ directory here or in any directory above {start}.",
        hint="Run the command inside a project, or name one with --project DIR.",
    )


def load_project(root: Path) -> Project:
    """Read and check ``root/environments``.

    Raises:
        ConfigError: with every problem of every file.
    """
    problems: list[Problem] = []
    directory = root / DIRECTORY
    environment_files = sorted([*directory.glob("*.yaml"), *directory.glob("*.yml")])
    if not environment_files:
        raise ConfigError([Problem(f"{DIRECTORY}/", 1, "has no environment file; expected for example dev.yaml")])

    sources: dict[str, Source] = {}
    environments: dict[str, Environment] = {}
    for path in environment_files:
        if (source := _read(path, root, problems)) is None:
            continue
        if (environment := _validate(Environment, source, problems)) is None:
            continue
        if environment.name != path.stem:
            problems.append(source.problem(("name",), f"name is {environment.name!r}, but the file is {path.name!r}"))
        sources[environment.name] = source
        environments[environment.name] = environment

    model_sources = {
        path.stem: source
        for path in sorted((directory / "models").glob("*.yaml"))
        if (source := _read(path, root, problems)) is not None
    }
    models = _models(directory, environments, sources, model_sources, problems)
    problems.extend(between.misplaced(environments, models, sources, model_sources))
    stages = between.stages(environments, sources, problems)
    problems.extend(between.shared_accounts(environments, sources))
    problems.extend(between.long_names(environments, sources))
    datasets = _datasets(directory, root, problems)
    if problems:
        raise ConfigError(problems)
    return Project(root, stages, models, datasets)


def _read(path: Path, root: Path, problems: list[Problem]) -> Source | None:
    try:
        return yaml_source.read(path, path.relative_to(root).as_posix())
    except ConfigError as exc:
        problems.extend(exc.problems)
        return None


def _validate(model: type[M], source: Source, problems: list[Problem]) -> M | None:
    try:
        return model.model_validate(source.data)
    except ValidationError as exc:
        for error in exc.errors(include_url=False, include_context=False):
            loc: Loc = tuple(error["loc"])
            where = ".".join(str(part) for part in loc if part != "[key]")
            message = error["msg"].removeprefix("Value error, ")
            if error["type"] == "extra_forbidden":
                message = f"unknown key; {_known_keys(model, loc)}"
            problems.append(source.problem(loc, f"{where}: {message}" if where else message))
        return None


def _known_keys(model: type[BaseModel], loc: Loc) -> str:
    current: type[BaseModel] = model
    for part in loc[:-1]:
        field = current.model_fields.get(str(part))
        annotation = field.annotation if field else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return "it is not one of the keys this place has"
        current = annotation
    return "known keys: " + ", ".join(sorted(current.model_fields))


def _models(
    directory: Path,
    environments: dict[str, Environment],
    sources: dict[str, Source],
    model_sources: dict[str, Source],
    problems: list[Problem],
) -> dict[tuple[str, str], Model]:
    models: dict[tuple[str, str], Model] = {}
    for name, source in model_sources.items():
        overrides = source.data.get(OVERRIDES, {})
        if not isinstance(overrides, dict):
            problems.append(source.problem((OVERRIDES,), f"{OVERRIDES}: must be a mapping of environment to overrides"))
            continue
        for unknown in sorted(set(overrides) - set(environments)):
            problems.append(source.problem((OVERRIDES, unknown), f"overrides for an unknown environment {unknown!r}"))
        for stage in environments:
            merged = yaml_source.merge(source, (OVERRIDES, stage))
            data = {key: value for key, value in merged.data.items() if key != OVERRIDES}
            merged = Source(merged.file, data, merged.lines)
            if (model := _validate(Model, merged, problems)) is None:
                continue
            models[stage, name] = model
            if model.name != name:
                problems.append(
                    source.problem(("name",), f"name is {model.name!r}, but the file is {name + '.yaml'!r}")
                )
            problems.extend([*_source_problems(directory, model, merged), *_gate_problems(model, merged)])
            problems.extend(_pipeline_problems(directory, model, merged))

    for environment in environments.values():
        for index, name in enumerate(environment.models):
            if name not in model_sources:
                known = ", ".join(sorted(model_sources)) or "none"
                text = f"models: there is no file {DIRECTORY}/models/{name}.yaml; models that exist: {known}"
                problems.append(sources[environment.name].problem(("models", index), text))
            if name in environment.models[:index]:
                text = f"models: {name!r} is listed twice"
                problems.append(sources[environment.name].problem(("models", index), text))
    return models


def _datasets(directory: Path, root: Path, problems: list[Problem]) -> dict[str, Dataset]:
    datasets: dict[str, Dataset] = {}
    for path in sorted([*(directory / "datasets").glob("*.yaml"), *(directory / "datasets").glob("*.yml")]):
        if (source := _read(path, root, problems)) is None:
            continue
        if (wrong := dataset_file.name_problem(path.stem)) is not None:
            problems.append(source.problem((), wrong))
        if path.stem in datasets:
            problems.append(source.problem((), f"there is another file for the data set {path.stem!r}"))
        if (dataset := _validate(Dataset, source, problems)) is not None:
            datasets[path.stem] = dataset
    return datasets


def _source_problems(directory: Path, model: Model, source: Source) -> list[Problem]:
    code = directory / "models" / model.training.source_dir
    if not code.is_dir():
        text = f"training.source_dir: there is no directory {model.training.source_dir!r} beside the model file"
        return [source.problem(("training", "source_dir"), text)]
    files = [
        ("training", "entry_point", model.training.entry_point),
        ("serving", "entry_point", model.serving.entry_point),
        *([("smoke", "request", model.smoke.request)] if model.smoke is not None else []),
    ]
    return [
        source.problem((section, field), f"{section}.{field}: there is no {name!r} in {code.name}/")
        for section, field, name in files
        if not (code / name).is_file()
    ]


def _pipeline_problems(directory: Path, model: Model, source: Source) -> list[Problem]:
    name = model.training.pipeline
    if name is None:
        return []
    path = directory / "models" / name
    if not path.is_file():
        text = f"training.pipeline: there is no file {name!r} beside the model file"
        return [source.problem(("training", "pipeline"), text)]
    return pipeline.check(path, f"{DIRECTORY}/models/{name}", model)


def _gate_problems(model: Model, source: Source) -> list[Problem]:
    known = ", ".join(sorted(model.training.metrics)) or "none"
    return [
        source.problem(
            ("gates", index),
            f"gates: training.metrics does not define the metric {gate.metric!r}; defined are: {known}",
        )
        for index, gate in enumerate(model.gates)
        if gate.metric not in model.training.metrics
    ]
