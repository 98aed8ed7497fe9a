"""EventBridge Scheduler: schedules that never fire, read and replaced as a whole."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from tests.aws.protocol import FAILURES, Asked, AwsError, json_answer, rest_refusal
from tests.s3.messages import Answer, Request
from tests.s3.operations import UNKNOWN

OPERATIONS = {"GET": "GetSchedule", "PUT": "UpdateSchedule"}


class Scheduler:
    name = "scheduler"

    def __init__(self, region: str, clock: Callable[[], float] = time.time) -> None:
        self.region, self.clock = region, clock
        self.state: dict[str, dict[tuple[str, str], Asked]] = {}

    def of(self, account: str) -> dict[tuple[str, str], Asked]:
        """Schedules by group and name."""
        return self.state.setdefault(account, {})

    def add(self, account: str, group: str, name: str, schedule: Asked) -> None:
        arn = f"arn:aws:scheduler:{self.region}:{account}:schedule/{group}/{name}"
        times = {"CreationDate": self.clock(), "LastModificationDate": self.clock()}
        self.of(account)[group, name] = {**schedule, **times, "Arn": arn, "GroupName": group, "Name": name}

    def claims(self, request: Request) -> bool:
        scope = request.headers.get("authorization", "").partition("Credential=")[2].partition(",")[0]
        return "/scheduler/" in scope and request.bucket == "schedules"

    def operation(self, request: Request) -> str:
        return OPERATIONS.get(request.method, UNKNOWN)

    def about(self, request: Request) -> str:
        return request.key

    def execute(self, request: Request) -> Answer:
        try:
            asked = json.loads(bytes(request.body) or b"{}")
            group = request.query.get("groupName") or asked.pop("GroupName", "default")
            there, key = self.of(request.account), (group, request.about)
            if key not in there:
                raise AwsError("ResourceNotFoundException", f"Schedule {request.about} does not exist.", 404)
            if request.operation == "GetSchedule":
                return json_answer(there[key], content_type="application/json")
            if request.operation != "UpdateSchedule":
                raise AwsError("UnknownOperationException", "The loopback does not have this operation.")
        except AwsError as error:
            return rest_refusal(error)
        asked.pop("ClientToken", None)
        kept = {name: there[key][name] for name in ("Arn", "CreationDate")}
        fresh = {"State": "ENABLED", "ScheduleExpressionTimezone": "UTC", "ActionAfterCompletion": "NONE"}
        named = {"GroupName": group, "Name": request.about, "LastModificationDate": self.clock()}
        there[key] = {**fresh, **asked, **kept, **named}
        return json_answer({"ScheduleArn": kept["Arn"]}, content_type="application/json")

    def failure(self, kind: str, request: Request) -> Answer:
        code, status, message = FAILURES[kind]
        return rest_refusal(AwsError(code, message, 409 if kind == "409" else status))
