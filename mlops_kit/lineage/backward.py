"""From what serves, or from a version, back to where it came from.

endpoint -> release -> version here -> version in the stage before -> … -> training job -> code, source, image, data.

Everything is read as the role of the environment that was asked about. That role sees the stage before, and usually
none before that: such a version is in the lineage all the same, because its ARN is in the metadata of the one that was
promoted from it, and so is what it was made of. The node says that it could not be read.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from mlops_kit import batch, registry, serving
from mlops_kit.config import Environment, Model, Project
from mlops_kit.errors import IntegrityError, NotFoundError
from mlops_kit.lineage import data
from mlops_kit.lineage.graph import Drawing, Graph, Node, facts
from mlops_kit.lineage.nodes import code_node, image_node, release_node, version_node
from mlops_kit.lineage.refusals import refusal
from mlops_kit.naming import ModelNames
from mlops_kit.objects import Store, codes
from mlops_kit.promotion.events import Event, Release
from mlops_kit.promotion.ledger import Ledger
from mlops_kit.promotion.releases import current
from mlops_kit.registry import Lineage, ModelVersion

if TYPE_CHECKING:
    from types_boto3_sagemaker import SageMakerClient


@dataclass(frozen=True, slots=True)
class Reader:
    """Whom a lineage is asked from: an environment's own clients and stores. ``files``: how many to name; None: all."""

    project: Project
    environment: Environment
    sagemaker: SageMakerClient
    scheduler: Any
    lake: Store
    ledger: Store
    files: int | None = data.FIRST_FILES

    def names(self, model: str) -> ModelNames:
        return self.environment.names.model(model)


def of_serving(reader: Reader, model: Model) -> Graph:
    """What serves now.

    Raises:
        NotFoundError: nothing was released there yet.
        IntegrityError: the ledger was tampered with.
    """
    names, drawing = reader.names(model.name), Drawing()
    events = Ledger(reader.ledger, names).events()
    running = current(events)
    if running is None:
        raise NotFoundError(
            f"Nothing was released of {model.name} in {reader.environment.name} yet.",
            hint=f"Name a version: `mlops-kit lineage {model.name}@1 --in {reader.environment.name}`.",
        )
    root = _serving(drawing, reader, model, events, running)
    return drawing.graph(root)


def of_version(reader: Reader, model: Model, number: int) -> Graph:
    """One version; with the endpoint above it, if it is what serves.

    Raises:
        NotFoundError: there is no such version.
    """
    names, drawing = reader.names(model.name), Drawing()
    version = registry.read_version(reader.sagemaker, names, number)
    events = Ledger(reader.ledger, names).events()
    running = current(events)
    if running is not None and running.version == number:
        return drawing.graph(_serving(drawing, reader, model, events, running))
    return drawing.graph(_version(drawing, reader, names, version))


def _serving(drawing: Drawing, reader: Reader, model: Model, events: tuple[Event, ...], running: Release) -> Node:
    names = reader.names(model.name)
    what, status, config = _answering(reader, model, names)
    note = "" if config == running.config else f"runs {config or 'nothing'}, and the ledger says {running.config}"
    endpoint = drawing.add(Node(what, "endpoint", f"{names.endpoint} ({status})", facts(config=config), note))
    event = next(e for e in reversed(events) if e.outcome == "succeeded" and e.release.id == running.id)
    release = drawing.add(release_node(names, running, event), below=endpoint, relation="runs")
    try:
        version = registry.read_version(reader.sagemaker, names, running.version)
    except NotFoundError:
        gone = Node(
            names.package_arn(running.version),
            "version",
            f"{model.name}@{running.version} in {reader.environment.name}",
            facts(artifact_sha256=running.artifact_sha256),
            "not registered any more; what follows is what the ledger says",
        )
        drawing.add(gone, below=release, relation="of")
        _origin(drawing, reader, names, gone, _from_release(running), reader.environment)
        return endpoint
    node = _version(drawing, reader, names, version, below=release)
    if version.lineage.artifact_sha256 != running.artifact_sha256:
        raise IntegrityError(
            f"{node.id} names artifact {version.lineage.artifact_sha256}, and {running.id} released "
            f"{running.artifact_sha256}.",
            hint="Somebody changed the metadata of the package, or the release. See `mlops-kit history`.",
        )
    return endpoint


def _from_release(release: Release) -> Lineage:
    return Lineage(
        dataset=release.dataset,
        dataset_commit=release.dataset_commit,
        code_commit=release.code_commit,
        source_sha256="",
        training_job=release.training_job,
        artifact_sha256=release.artifact_sha256,
    )


def _answering(reader: Reader, model: Model, names: ModelNames) -> tuple[str, str, str]:
    """What answers: its id, status, and the config it runs."""
    if model.serving.kind == "batch":
        schedule = batch.read(reader.scheduler, names)
        arn = names.environment.arn(
            "scheduler", f"schedule/{names.environment.schedule_group}/{names.schedule('batch')}"
        )
        return (arn, f"schedule {schedule.status.lower()}", schedule.config) if schedule else (arn, "absent", "")
    state = serving.read_endpoint(reader.sagemaker, names)
    arn = names.environment.arn("sagemaker", f"endpoint/{names.endpoint}")
    return (arn, state.status, state.config) if state else (arn, "absent", "")


def _version(
    drawing: Drawing, reader: Reader, names: ModelNames, version: ModelVersion, below: Node | None = None
) -> Node:
    """A version here, those it was promoted from, and what the first one was made of."""
    stage: Environment | None = reader.environment
    first = node = drawing.add(version_node(reader.environment.name, version), below=below, relation="of")
    lineage, seen = version.lineage, {version.arn}
    while lineage.source_package and lineage.source_package not in seen:  # metadata may name itself
        seen.add(lineage.source_package)
        stage, number = _stage_of(reader.project, names.model, lineage.source_package)
        found = _read_source(reader, names.model, stage, number, lineage)
        if isinstance(found, ModelVersion):
            note = _contradiction(found.lineage, version.lineage)
            node = drawing.add(version_node(_name(stage), found, note), below=node, relation="promoted from")
            lineage = found.lineage
            continue
        label = f"{names.model}@{number} in {_name(stage)}"
        known = facts(environment=_name(stage), artifact_sha256=lineage.artifact_sha256)
        unread = Node(lineage.source_package, "version", label, known, found)
        # Whether it was promoted itself is not known. What it was made of is: that part of the metadata travels.
        node = drawing.add(unread, below=node, relation="promoted from")
        break
    _origin(drawing, reader, names, node, lineage, stage or reader.environment, version.image)
    return first


def _name(stage: Environment | None) -> str:
    return stage.name if stage else "an environment that this project does not have"


def _stage_of(project: Project, model: str, arn: str) -> tuple[Environment | None, int]:
    """Whose package an ARN is; 0 where it is nobody's."""
    group, _, number = arn.rpartition("/")
    if number.isascii() and number.isdecimal() and len(number) < 10:
        for stage in project.stages:
            if stage.names.model(model).package_arn(number) == f"{group}/{number}":
                return stage, int(number)
    return None, 0


def _read_source(
    reader: Reader, model: str, stage: Environment | None, number: int, lineage: Lineage
) -> ModelVersion | str:
    """The version, or why it could not be read."""
    if stage is None:
        return f"{lineage.source_package} belongs to no environment of this project"
    try:
        return registry.read_version(reader.sagemaker, stage.names.model(model), number)
    except NotFoundError:
        return f"not registered in {stage.name} any more"
    except ClientError as exc:
        return f"the role in {reader.environment.name} may not read {stage.name} ({refusal(exc)})"
    except IntegrityError as exc:
        return exc.message


def _contradiction(before: Lineage, after: Lineage) -> str:
    """What two versions of one artifact must agree on, and do not."""
    told, tells = replace(after, source_package=""), replace(before, source_package="")
    different = [name for name in told.__slots__ if getattr(told, name) != getattr(tells, name)]
    return f"says otherwise than the version that was promoted from it: {', '.join(different)}" if different else ""


def _origin(
    drawing: Drawing,
    reader: Reader,
    names: ModelNames,
    node: Node,
    lineage: Lineage,
    oldest: Environment,
    image: str = "",
) -> None:
    """What a version was made of. ``oldest``: the stage of the earliest version that is known."""
    trainer, made = oldest, node
    if lineage.training_job:
        trainer = _trainer(reader.project, names.model, lineage.training_job, oldest)
        made = drawing.add(_job(reader, lineage.training_job, trainer), below=node, relation="trained by")
    if lineage.code_commit:
        drawing.add(code_node(lineage.code_commit), below=made, relation="ran")
    if lineage.source_sha256:
        uri = f"s3://{trainer.names.bucket('artifacts')}/{names.training_source_key(lineage.source_sha256)}"
        known = facts(sha256=lineage.source_sha256, uri=uri)
        short = lineage.source_sha256[:12]
        drawing.add(
            Node(f"sha256:{lineage.source_sha256}", "source", f"archive {short}", known), below=made, relation="ran"
        )
    if image or lineage.image_digest:
        drawing.add(image_node(image, lineage.image_digest), below=node, relation="served by")
    if lineage.dataset_commit:
        data.draw(drawing, reader.lake, lineage.dataset, lineage.dataset_commit, below=made, files=reader.files)


def _trainer(project: Project, model: str, job: str, otherwise: Environment) -> Environment:
    """The environment whose job it was: jobs carry its name, but for those of pipelines."""
    for stage in project.stages:
        if job.startswith(f"{stage.names.model(model).prefix}-"):
            return stage
    return otherwise


def _job(reader: Reader, job: str, trainer: Environment) -> Node:
    arn = trainer.names.arn("sagemaker", f"training-job/{job}")
    where = facts(environment=trainer.name)
    if trainer.name != reader.environment.name:
        return Node(arn, "job", job, where, f"its details are only to be seen in {trainer.name}")
    found = _described(reader, job)
    if found is None:
        return Node(arn, "job", job, where, "SageMaker does not know it any more")
    known = facts(
        started=_time(found.get("TrainingStartTime")),
        ended=_time(found.get("TrainingEndTime")),
        image=found.get("AlgorithmSpecification", {}).get("TrainingImage"),
        instance=found.get("ResourceConfig", {}).get("InstanceType"),
        role=found.get("RoleArn"),
    )
    return Node(arn, "job", f"{job} ({found['TrainingJobStatus']})", where | known)


def _described(reader: Reader, job: str) -> dict[str, Any] | None:
    try:
        return dict(reader.sagemaker.describe_training_job(TrainingJobName=job))
    except ClientError as exc:
        if codes.of(exc) in {"ValidationException", "ResourceNotFound"}:
            return None
        raise


def _time(moment: Any) -> str:
    return "" if moment is None else str(moment.isoformat(timespec="seconds"))
