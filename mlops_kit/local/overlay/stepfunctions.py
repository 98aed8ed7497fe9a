"""Mends: Step Functions.

==========================================  ===========================================================================
moto                                        here
==========================================  ===========================================================================
an execution is RUNNING for ever; its       state machines of type STANDARD written in JSONata run
history is the same for all                 (:mod:`sfn_interpreter`); any other execution is FAILED and says why
a task does nothing                         ``aws-sdk:<service>:<action>``, ``sqs:sendMessage``, ``sns:publish`` and
                                            ``states:startExecution`` are requests to this server, as the machine's role
any definition and any role are accepted    InvalidDefinition; AccessDeniedException if the role does not trust
                                            states.amazonaws.com
no ValidateStateMachineDefinition,          the same checks (:mod:`sfn_definition`); what was published
ListStateMachineVersions
creating a name again ignores what changed  StateMachineAlreadyExists
tracing cannot be switched off              it can
no metrics, no events                       AWS/States: ExecutionsStarted, …Succeeded, …Failed, …Aborted, …TimedOut;
                                            "Step Functions Execution Status Change"
==========================================  ===========================================================================

Wait states wait in real time. Logging, tracing and encryption configurations are only accepted.
"""

from __future__ import annotations

from typing import Any

from moto.core.exceptions import AWSError
from moto.core.responses import ActionResult
from moto.stepfunctions.models import Execution, StepFunctionBackend
from moto.stepfunctions.responses import StepFunctionResponse

from mlops_kit.local.compute.storage import Place
from mlops_kit.local.overlay import guard, sfn_definition, sfn_execution, sts

RUN = "mlops_kit_run"


class _InvalidDefinitionError(AWSError):  # type: ignore[misc]
    TYPE = "InvalidDefinition"


class _AlreadyExistsError(AWSError):  # type: ignore[misc]
    TYPE = "StateMachineAlreadyExists"


class _AccessDeniedError(AWSError):  # type: ignore[misc]
    TYPE = "AccessDeniedException"


def install() -> None:
    _install_machines()
    _install_executions()


def _install_machines() -> None:
    create = guard.original(StepFunctionResponse, "create_state_machine", "self")
    update = guard.original(StepFunctionResponse, "update_state_machine", "self")

    def create_state_machine(self: Any) -> Any:
        _check_definition(self._get_param("definition"))
        _check_role(self, str(self._get_param("roleArn")))
        for known in self.stepfunction_backend.state_machines:
            same = known.definition == self._get_param("definition") and known.roleArn == self._get_param("roleArn")
            if known.name == self._get_param("name") and not same:
                raise _AlreadyExistsError(f"State Machine Already Exists: '{known.arn}'")
        return create(self)

    def update_state_machine(self: Any) -> Any:
        if self._get_param("definition"):
            _check_definition(self._get_param("definition"))
        if self._get_param("roleArn"):
            _check_role(self, str(self._get_param("roleArn")))
        answer = update(self)
        if self._get_param("tracingConfiguration") == {}:  # what Terraform's provider sends to switch it off
            machine = self.stepfunction_backend.describe_state_machine(self._get_param("stateMachineArn"))
            machine.tracingConfiguration = {"enabled": False}
        return answer

    def validate_state_machine_definition(self: Any) -> Any:
        found = sfn_definition.check(str(self._get_param("definition")), sfn_execution.unknown_resource)
        limit = self._get_int_param("maxResults") or 100
        return ActionResult(
            {
                "result": "FAIL" if found else "OK",
                "diagnostics": [diagnostic.describe() for diagnostic in found[:limit]],
                "truncated": len(found) > limit,
            }
        )

    def list_state_machine_versions(self: Any) -> Any:
        machine = self.stepfunction_backend.describe_state_machine(self._get_param("stateMachineArn"))
        versions = sorted(machine.versions.values(), key=lambda version: version.version, reverse=True)
        found = [{"stateMachineVersionArn": v.arn, "creationDate": v.creation_date} for v in versions]
        return ActionResult({"stateMachineVersions": found})

    guard.add(StepFunctionResponse, "list_state_machine_versions", list_state_machine_versions)
    guard.replace(StepFunctionResponse, "create_state_machine", create_state_machine)
    guard.replace(StepFunctionResponse, "update_state_machine", update_state_machine)
    guard.add(StepFunctionResponse, "validate_state_machine_definition", validate_state_machine_definition)


def _install_executions() -> None:
    start = guard.original(
        StepFunctionBackend, "start_execution", "self", "state_machine_arn", "name", "execution_input"
    )
    describe = guard.original(StepFunctionResponse, "describe_execution", "self")
    guard.original(StepFunctionResponse, "stop_execution", "self")
    guard.original(StepFunctionResponse, "get_execution_history", "self")
    guard.original(Execution, "get_execution_history", "self", "roleArn")

    def start_execution(self: Any, state_machine_arn: str, name: str, execution_input: str) -> Any:
        execution = start(self, state_machine_arn, name, execution_input)
        if not hasattr(execution, RUN):  # a repeated request returns the execution that the first one started
            machine = self.describe_state_machine(state_machine_arn)
            run = sfn_execution.Run(execution, machine, Place(self.account_id, self.region_name))
            setattr(execution, RUN, run)
            run.start()
        return execution

    def describe_execution(self: Any) -> Any:
        answer = describe(self)
        answer.result["inputDetails"] = {"included": True}
        if "output" in answer.result:
            answer.result["outputDetails"] = {"included": True}
        execution = self.stepfunction_backend.describe_execution(self._get_param("executionArn"))
        if execution.stop_date is not None:
            answer.result["stopDate"] = execution.stop_date
        return answer

    def stop_execution(self: Any) -> Any:
        execution = self.stepfunction_backend.describe_execution(self._get_param("executionArn"))
        run: sfn_execution.Run = getattr(execution, RUN)
        run.stop(str(self._get_param("error") or ""), str(self._get_param("cause") or ""))
        return ActionResult({"stopDate": execution.stop_date})

    def get_execution_history(self: Any) -> Any:
        execution = self.stepfunction_backend.describe_execution(self._get_param("executionArn"))
        run: sfn_execution.Run = getattr(execution, RUN)
        found = list(run.history)
        if self._get_param("reverseOrder"):
            found.reverse()
        first = int(self._get_param("nextToken") or 0)
        last = first + (self._get_int_param("maxResults") or 1000)
        answer: dict[str, Any] = {"events": found[first:last]}
        if last < len(found):
            answer["nextToken"] = str(last)
        return ActionResult(answer)

    guard.replace(StepFunctionBackend, "start_execution", start_execution)
    guard.replace(StepFunctionResponse, "describe_execution", describe_execution)
    guard.replace(StepFunctionResponse, "stop_execution", stop_execution)
    guard.replace(StepFunctionResponse, "get_execution_history", get_execution_history)


def _check_definition(text: Any) -> None:
    if found := sfn_definition.check(str(text), sfn_execution.unknown_resource):
        listed = ", ".join(f"{d.code}: {d.message} at {d.location}" for d in found)
        raise _InvalidDefinitionError(f"Invalid State Machine Definition: '{listed}'")


def _check_role(response: Any, role: str) -> None:
    account, region = str(response.current_account), str(response.region)
    machine = f"arn:aws:states:{region}:{account}:stateMachine:{response._get_param('name') or '*'}"
    if not sts.service_may_assume(
        sfn_execution.PRINCIPAL, role, account, response._get_param("stateMachineArn") or machine
    ):
        raise _AccessDeniedError(
            "Neither the global service principal states.amazonaws.com, nor the regional one is authorized to assume "
            f"the provided role {role}."
        )
