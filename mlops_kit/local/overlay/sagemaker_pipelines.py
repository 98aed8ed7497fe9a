"""Mends: SageMaker pipelines.

==========================================  ===========================================================================
moto                                        here
==========================================  ===========================================================================
any text is a definition                    it is checked: version, parameters, steps, references, cycles
                                            (:mod:`mlops_kit.local.compute.pipeline_definition`)
an execution is Succeeded at once           its steps run (:mod:`mlops_kit.local.compute.pipelines`), as requests to
                                            this server by the pipeline's role
parameters and ClientRequestToken are       unknown ones are refused; a repeated request returns the first execution
ignored
ListPipelineExecutions neither sorts nor    by time, newest first unless told; CreatedAfter, CreatedBefore
filters
no Stop, no ListPipelineExecutionSteps      implemented
a missing pipeline is a ValidationException ResourceNotFound
a pipeline can be deleted while it runs     ConflictException
absent attributes are described as null     left out
no metrics, no events                       AWS/Sagemaker/ModelBuildingPipeline: Execution… and Step… with Started,
                                            Succeeded, Failed, Stopped; "SageMaker Model Building Pipeline Execution
                                            Status Change" and "… Execution Step Status Change"
==========================================  ===========================================================================

Caching, retry policies and selective execution do nothing, or are refused. Definitions in S3 are read by moto.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from moto.core.responses import ActionResult
from moto.sagemaker.exceptions import ConflictException, ResourceNotFound
from moto.sagemaker.models import sagemaker_backends
from moto.sagemaker.responses import SageMakerResponse

from mlops_kit.local.compute import pipeline_definition, pipelines
from mlops_kit.local.compute.pipelines import PipelineRun
from mlops_kit.local.compute.storage import Place
from mlops_kit.local.overlay import guard, sagemaker_pipeline_events, sdk_calls
from mlops_kit.local.overlay import sagemaker as sm

RUN = "mlops_kit_run"
TOKENS = "mlops_kit_client_tokens"
MAX_RESULTS = 100


def install() -> None:
    _install_pipelines()
    _install_executions()
    _install_reads()


def _install_pipelines() -> None:
    create = guard.original(SageMakerResponse, "create_pipeline", "self")
    update = guard.original(SageMakerResponse, "update_pipeline", "self")
    describe = guard.original(SageMakerResponse, "describe_pipeline", "self")
    delete = guard.original(SageMakerResponse, "delete_pipeline", "self")

    def create_pipeline(self: Any) -> Any:
        name = str(self._get_param("PipelineName"))
        _check(self, sm.arn("pipeline", name, sm.place_of(self)))
        with sm.lock:
            tokens: dict[str, str] = self.sagemaker_backend.__dict__.setdefault(TOKENS, {})
            token = str(self._get_param("ClientRequestToken"))
            known = self.sagemaker_backend.pipelines.get(name)
            if known is not None and tokens.get(token) == known.arn:
                return ActionResult({"PipelineArn": known.arn})
            if known is not None:
                raise sm.invalid(
                    "Pipeline names must be unique within an AWS account and region. Pipeline with name "
                    f"({name}) already exists."
                )
            result = create(self)
            tokens[token] = result.result["PipelineArn"]
        return result

    def update_pipeline(self: Any) -> Any:
        pipeline = _pipeline(self)
        _check(self, pipeline.arn)
        result = update(self)
        pipeline.last_modified_time = datetime.now(UTC).replace(tzinfo=None)
        return result

    def describe_pipeline(self: Any) -> Any:
        _pipeline(self)
        return ActionResult(sagemaker_pipeline_events.present(describe(self).result))

    def delete_pipeline(self: Any) -> Any:
        running = [r.execution_id for r in _runs(_pipeline(self)) if not r.final]
        if running:
            raise ConflictException(f"Pipeline has running executions ({', '.join(running)}). Stop them first.")
        return delete(self)

    guard.replace(SageMakerResponse, "create_pipeline", create_pipeline)
    guard.replace(SageMakerResponse, "update_pipeline", update_pipeline)
    guard.replace(SageMakerResponse, "describe_pipeline", describe_pipeline)
    guard.replace(SageMakerResponse, "delete_pipeline", delete_pipeline)


def _check(response: Any, arn: str) -> None:
    """What AWS checks when a pipeline is made or changed: its definition and its role."""
    definition, role = response._get_param("PipelineDefinition"), response._get_param("RoleArn")
    if definition is not None:
        _parse(str(definition))
    if role is not None:
        sm.check_role(str(role), sm.place_of(response), arn)


def _parse(text: Any) -> pipeline_definition.Definition:
    try:
        # What moto read from S3, it has parsed already.
        return pipeline_definition.parse(text if isinstance(text, str) else json.dumps(text))
    except pipeline_definition.DefinitionError as exc:
        raise sm.invalid(str(exc)) from exc


def _install_executions() -> None:
    start = guard.original(SageMakerResponse, "start_pipeline_execution", "self")

    def start_pipeline_execution(self: Any) -> Any:
        pipeline, place = _pipeline(self), sm.place_of(self)
        for member in ("SelectiveExecutionConfig", "PipelineVersionId", "PipelineVersionAlias", "RoleArn"):
            if self._get_param(member):
                raise sm.invalid(f"The local cloud does not have {member} of StartPipelineExecution.")
        definition = _parse(pipeline.pipeline_definition)
        given = {p["Name"]: p["Value"] for p in self._get_param("PipelineParameters") or []}
        try:
            parameters = pipeline_definition.arguments_of(definition, given)
        except pipeline_definition.DefinitionError as exc:
            raise sm.invalid(str(exc)) from exc
        with sm.lock:
            tokens: dict[str, tuple[str, Any]] = pipeline.__dict__.setdefault(TOKENS, {})
            token = str(self._get_param("ClientRequestToken"))
            if token in tokens:
                arn, before = tokens[token]
                if before != given:
                    raise ConflictException(f"The ClientRequestToken was used for {arn} with other parameters.")
                return ActionResult({"PipelineExecutionArn": arn})
            result = start(self)
            arn = str(result.result["PipelineExecutionArn"])
            tokens[token] = (arn, given)
            execution = pipeline.pipeline_executions[arn]
            guard.require_attributes(execution, "start_time", "parallelism_configuration", "pipeline_parameters")
            limits = execution.parallelism_configuration or {}
            run = PipelineRun(
                definition,
                parameters,
                pipeline.pipeline_name,
                pipeline.arn,
                arn,
                _Caller(str(pipeline.role_arn), place, pipeline.arn),
                lambda changed, step: sagemaker_pipeline_events.announce(changed, step, place, execution),
                int(limits.get("MaxParallelExecutionSteps") or pipelines.MAX_PARALLEL_STEPS),
            )
            execution.pipeline_parameters = [{"Name": n, "Value": _text(v)} for n, v in parameters.items()]
            setattr(execution, RUN, run)
        run.start()
        return result

    def stop_pipeline_execution(self: Any) -> Any:
        execution = _execution(self)
        run: PipelineRun = getattr(execution, RUN)
        if run.final:
            raise sm.invalid(f"The pipeline execution {run.arn} is {run.status} and cannot be stopped.")
        run.stop()
        return ActionResult({"PipelineExecutionArn": run.arn})

    guard.replace(SageMakerResponse, "start_pipeline_execution", start_pipeline_execution)
    guard.add(SageMakerResponse, "stop_pipeline_execution", stop_pipeline_execution)


class _Caller:
    """Sends a step's requests as the pipeline's role. A client per service, made when it is needed."""

    def __init__(self, role: str, place: Place, source_arn: str) -> None:
        self.role, self.place, self.source_arn = role, place, source_arn
        self._clients: dict[str, Any] = {}

    def __call__(self, service: str, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        if service not in self._clients:
            self._clients[service] = sdk_calls.client_as(
                self.role,
                self.place,
                service,
                principal="sagemaker.amazonaws.com",
                source_arn=self.source_arn,
                session_name="SageMaker",
            )
        return sdk_calls.call(self._clients[service], operation, parameters)


def _install_reads() -> None:
    describe = guard.original(SageMakerResponse, "describe_pipeline_execution", "self")
    guard.original(SageMakerResponse, "list_pipeline_executions", "self")
    of_execution = {
        name: guard.original(SageMakerResponse, name, "self")
        for name in ("describe_pipeline_definition_for_execution", "list_pipeline_parameters_for_execution")
    }

    def describe_pipeline_execution(self: Any) -> Any:
        run: PipelineRun = getattr(_execution(self), RUN)
        found = {**describe(self).result, "PipelineExecutionStatus": run.status, "FailureReason": run.reason}
        found |= {"CreationTime": run.created, "LastModifiedTime": run.modified}
        return ActionResult(sagemaker_pipeline_events.present(found))

    def list_pipeline_executions(self: Any) -> Any:
        pipeline = _pipeline(self)
        after, before = (_aware(self._get_param(f"Created{side}")) for side in ("After", "Before"))
        runs = [r for r in _runs(pipeline) if (not after or r.created > after) and (not before or r.created < before)]
        by_arn = self._get_param("SortBy") == "PipelineExecutionArn"
        runs.sort(key=lambda r: r.arn if by_arn else r.created.isoformat())
        if self._get_param("SortOrder") != "Ascending":
            runs.reverse()
        page, rest = _page(self, [_summary(run, pipeline.pipeline_executions[run.arn]) for run in runs])
        return ActionResult({"PipelineExecutionSummaries": page, **rest})

    def list_pipeline_execution_steps(self: Any) -> Any:
        run: PipelineRun = getattr(_execution(self), RUN)
        steps = sorted(run.steps.values(), key=lambda step: step.started)
        if self._get_param("SortOrder") == "Descending":
            steps.reverse()
        page, rest = _page(self, [step.describe() for step in steps])
        return ActionResult({"PipelineExecutionSteps": page, **rest})

    def after_looking(original: Any) -> Any:
        def answer(self: Any) -> Any:
            _execution(self)
            return original(self)

        return answer

    guard.replace(SageMakerResponse, "describe_pipeline_execution", describe_pipeline_execution)
    guard.replace(SageMakerResponse, "list_pipeline_executions", list_pipeline_executions)
    guard.add(SageMakerResponse, "list_pipeline_execution_steps", list_pipeline_execution_steps)
    for name, original in of_execution.items():
        guard.replace(SageMakerResponse, name, after_looking(original))


def _pipeline(response: Any) -> Any:
    """The pipeline that a request names, by name or ARN."""
    name = str(response._get_param("PipelineName")).rsplit("/", 1)[-1]
    response.params["PipelineName"] = name
    pipeline = response.sagemaker_backend.pipelines.get(name)
    if pipeline is None:
        raise ResourceNotFound(f"Pipeline '{sm.arn('pipeline', name, sm.place_of(response))}' does not exist.")
    return pipeline


def _execution(response: Any) -> Any:
    arn = str(response._get_param("PipelineExecutionArn"))
    for pipeline in sagemaker_backends[response.current_account][response.region].pipelines.values():
        if arn in pipeline.pipeline_executions:
            return pipeline.pipeline_executions[arn]
    raise ResourceNotFound(f"PipelineExecution '{arn}' does not exist.")


def _runs(pipeline: Any) -> list[PipelineRun]:
    return [getattr(execution, RUN) for execution in list(pipeline.pipeline_executions.values())]


def _summary(run: PipelineRun, execution: Any) -> dict[str, Any]:
    return sagemaker_pipeline_events.present(
        {
            "PipelineExecutionArn": run.arn,
            "StartTime": run.created,
            "PipelineExecutionStatus": run.status,
            "PipelineExecutionDescription": execution.pipeline_execution_description,
            "PipelineExecutionDisplayName": execution.pipeline_execution_display_name,
            "PipelineExecutionFailureReason": run.reason,
        }
    )


def _page(response: Any, items: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], dict[str, str]]:
    size, first = response._get_int_param("MaxResults") or MAX_RESULTS, int(response._get_param("NextToken") or 0)
    rest = {"NextToken": str(first + size)} if first + size < len(items) else {}
    return items[first : first + size], rest


def _aware(moment: Any) -> datetime | None:
    if moment is None:
        return None
    if not isinstance(moment, datetime):
        return datetime.fromtimestamp(float(moment), UTC)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
