"""CloudWatch: how alarms are evaluated, what follows, and metric queries."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from mlops_kit.local.overlay import metric_math
from mlops_kit.local.overlay.alarm_evaluation import Missing, Rule, Sample, State, evaluate, statistic
from tests.local_cloud.support import Server, eventually, unique

X, O, _ = 9.0, 1.0, None  # noqa: E741  # breaching, not breaching, missing: as AWS's own tables have them


# The tables of "How alarm state is evaluated when data is missing"; the newest datapoint is the last.
@pytest.mark.parametrize(
    ("points", "needed", "expected"),
    [
        ([O, _, X, _, X], 3, ("OK", "OK", "OK", "OK")),
        ([O, _, _, _, _], 3, ("OK", "OK", "OK", "OK")),
        ([_, _, _, _, _], 3, ("INSUFFICIENT_DATA", "same", "ALARM", "OK")),
        ([O, X, X, _, X], 3, ("ALARM", "ALARM", "ALARM", "ALARM")),
        ([_, _, X, _, _], 3, ("ALARM", "same", "ALARM", "OK")),
        ([O, _, X, _, X], 2, ("ALARM", "ALARM", "ALARM", "ALARM")),
        ([O, O, X, O, X], 2, ("ALARM", "ALARM", "ALARM", "ALARM")),
        ([O, _, X, _, _], 2, ("OK", "OK", "ALARM", "OK")),
        ([_, _, _, _, O], 2, ("OK", "OK", "ALARM", "OK")),
        ([_, _, _, X, _], 2, ("ALARM", "same", "ALARM", "OK")),
    ],
)
def test_missing_data_is_treated_as_in_the_guide(
    points: list[float | None], needed: int, expected: tuple[str, ...]
) -> None:
    treatments: tuple[Missing, ...] = ("missing", "ignore", "breaching", "notBreaching")
    for treatment, state in zip(treatments, expected, strict=True):
        rule = Rule("GreaterThanThreshold", 5.0, 3, needed, treatment)
        assert rule.evaluation_range == len(points)
        currents: tuple[State, ...] = ("OK", "ALARM", "INSUFFICIENT_DATA")
        for current in currents:
            found = evaluate(rule, points[::-1], current)
            assert found == (current if state == "same" else state), (treatment, current)


@pytest.mark.parametrize(
    ("comparison", "value", "alarm"),
    [
        ("GreaterThanOrEqualToThreshold", 5.0, True),
        ("GreaterThanThreshold", 5.0, False),
        ("LessThanThreshold", 5.0, False),
        ("LessThanOrEqualToThreshold", 5.0, True),
    ],
)
def test_comparisons(comparison: str, value: float, alarm: bool) -> None:
    assert (evaluate(Rule(comparison, 5.0, 1, 1), [value], "OK") == "ALARM") is alarm


def test_statistics() -> None:
    samples = [Sample(1, v, v, v) for v in (1.0, 2.0, 3.0, 10.0)]
    names = ("SampleCount", "Sum", "Average", "Minimum", "Maximum", "p50", "p100", "p99")
    assert [statistic(name, samples) for name in names] == pytest.approx([4, 16, 4, 1, 10, 2.5, 10, 9.79])
    aggregated = [Sample(4, 8.0, 1.0, 5.0), Sample(1, 2.0, 2.0, 2.0)]
    assert [statistic(name, aggregated) for name in names[:5]] == [5, 10, 2, 1, 5]
    assert statistic("Sum", []) is None
    with pytest.raises(ValueError, match="IQM"):
        statistic("IQM", samples)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("100 * errors / total", 25.0),
        ("errors / none", None),
        ("errors / zero", None),
        ("FILL(none, 0) + total", 8.0),
        ("IF(total > 5, errors, 0)", 2.0),
        ("IF(total > 50, errors)", None),
        ("MAX([errors, total, none])", 8.0),
        ("-errors ^ 2", -4.0),
        ("errors > 1 AND total > 1", 1.0),
        ("ABS(0 - errors)", 2.0),
    ],
)
def test_metric_math(expression: str, expected: float | None) -> None:
    values = {"errors": 2.0, "total": 8.0, "none": None, "zero": 0.0}
    assert metric_math.evaluate(metric_math.parse(expression), values) == expected


@pytest.mark.parametrize(
    "expression", ["SEARCH('x')", "ANOMALY_DETECTION_BAND(m)", "__import__('os')", "m.real", "1 +"]
)
def test_unsupported_math_is_refused(expression: str) -> None:
    with pytest.raises(metric_math.UnsupportedExpressionError):
        metric_math.parse(expression)


class Alarm:
    """One alarm over a metric of its own."""

    def __init__(self, server: Server, **changes: Any) -> None:
        self.cloudwatch = server.client("cloudwatch")
        self.name = unique("alarm")
        self.request: dict[str, Any] = {
            "AlarmName": self.name,
            "Namespace": "Test",
            "MetricName": self.name,
            "Dimensions": [{"Name": "D", "Value": "1"}],
            "Statistic": "Maximum",
            "Period": 60,
            "EvaluationPeriods": 1,
            "Threshold": 5.0,
            "ComparisonOperator": "GreaterThanThreshold",
            "TreatMissingData": "notBreaching",
            **changes,
        }
        self.put()

    def put(self, **changes: Any) -> None:
        request = {**self.request, **changes}
        self.cloudwatch.put_metric_alarm(**{k: v for k, v in request.items() if v is not None})

    def send(self, value: float, dimension: str = "1", metric: str | None = None) -> None:
        datum = {
            "MetricName": metric or self.name,
            "Value": value,
            "Dimensions": [{"Name": "D", "Value": dimension}],
        }
        self.cloudwatch.put_metric_data(Namespace="Test", MetricData=[datum])

    @property
    def state(self) -> str:
        [alarm] = self.cloudwatch.describe_alarms(AlarmNames=[self.name])["MetricAlarms"]
        return str(alarm["StateValue"])

    def becomes(self, state: str) -> None:
        eventually(lambda: self.state == state)

    def history(self, kind: str) -> list[str]:
        items = self.cloudwatch.describe_alarm_history(AlarmName=self.name, HistoryItemType=kind)["AlarmHistoryItems"]
        return [item["HistorySummary"] for item in items][::-1]


def test_an_alarm_follows_its_metric_and_tells_topic_and_bus(server: Server) -> None:
    sns, sqs, events = server.client("sns"), server.client("sqs"), server.client("events")
    name = unique("queue")
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    queue_arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    topic = sns.create_topic(Name=name)["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue_arn, Attributes={"RawMessageDelivery": "true"})
    alarm = Alarm(server, AlarmActions=[topic], OKActions=[topic])
    events.put_rule(
        Name=name,
        EventPattern=json.dumps({"source": ["aws.cloudwatch"], "detail": {"alarmName": [alarm.name]}}),
    )
    events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": queue_arn}])
    alarm.becomes("OK")
    alarm.send(9.0, dimension="other")
    alarm.send(9.0)
    alarm.becomes("ALARM")
    messages: list[dict[str, Any]] = []

    def all_told() -> bool:
        for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
            messages.append(json.loads(message["Body"]))
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        published = [m["NewStateValue"] for m in messages if "NewStateValue" in m]
        emitted = [m["detail"]["state"]["value"] for m in messages if "detail" in m]
        return "ALARM" in published and "ALARM" in emitted

    eventually(all_told)
    assert "Alarm updated from OK to ALARM" in alarm.history("StateUpdate")
    assert f"Successfully executed action {topic}" in eventually(lambda: alarm.history("Action"))
    [described] = alarm.cloudwatch.describe_alarms(AlarmNames=[alarm.name])["MetricAlarms"]
    assert "Threshold Crossed" in described["StateReason"]


def test_a_new_alarm_knows_nothing_and_one_that_is_put_again_keeps_its_state(server: Server) -> None:
    alarm = Alarm(server, TreatMissingData="missing")
    assert alarm.state == "INSUFFICIENT_DATA"
    alarm.send(9.0)
    alarm.becomes("ALARM")
    alarm.put(AlarmDescription="changed")
    assert alarm.state == "ALARM"
    assert len(alarm.history("ConfigurationUpdate")) == 2


def test_missing_data_can_be_an_alarm(server: Server) -> None:
    alarm = Alarm(
        server,
        Statistic="SampleCount",
        Threshold=1.0,
        ComparisonOperator="LessThanThreshold",
        TreatMissingData="breaching",
        Period=3600,
        EvaluationPeriods=24,
    )
    alarm.becomes("ALARM")
    alarm.send(1.0)
    alarm.becomes("OK")


def test_percentiles_and_metric_math(server: Server) -> None:
    latency = Alarm(server, Statistic=None, ExtendedStatistic="p99")
    rate = Alarm(
        server,
        **dict.fromkeys(("Namespace", "MetricName", "Dimensions", "Statistic", "Period")),
        Metrics=[
            {"Id": "rate", "Expression": "100 * errors / total", "ReturnData": True},
            *(
                {
                    "Id": metric,
                    "ReturnData": False,
                    "MetricStat": {
                        "Metric": {
                            "Namespace": "Test",
                            "MetricName": f"{latency.name}-{metric}",
                            "Dimensions": [{"Name": "D", "Value": "1"}],
                        },
                        "Period": 60,
                        "Stat": "Sum",
                    },
                }
                for metric in ("errors", "total")
            ),
        ],
    )
    for _unused in range(10):
        latency.send(9.0)
        latency.send(1.0, metric=f"{latency.name}-errors")
        latency.send(10.0, metric=f"{latency.name}-total")
    latency.becomes("ALARM")
    rate.becomes("ALARM")
    with pytest.raises(ClientError, match="does not evaluate"):
        rate.put(Metrics=[{"Id": "m", "Expression": "SEARCH('x', 'Sum', 60)", "ReturnData": True}])


def test_a_state_that_is_set_holds_until_the_next_evaluation(server: Server) -> None:
    alarm = Alarm(server)
    alarm.becomes("OK")
    alarm.cloudwatch.set_alarm_state(AlarmName=alarm.name, StateValue="ALARM", StateReason="test")
    alarm.becomes("OK")
    assert alarm.history("StateUpdate")[-2:] == ["Alarm updated from OK to ALARM", "Alarm updated from ALARM to OK"]


def test_queries_are_right_and_do_not_slow_down(server: Server) -> None:
    cloudwatch, name = server.client("cloudwatch"), unique("metric")
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=5)
    for batch in range(5):
        data = [
            {
                "MetricName": name,
                "Timestamp": start + timedelta(seconds=batch * 1000 + i),
                "Value": float(i),
                "Dimensions": [{"Name": "D", "Value": dimension}],
            }
            for i in range(500)
            for dimension in ("1", "2")
        ]
        cloudwatch.put_metric_data(Namespace="Test", MetricData=data)

    def query(id_: str, stat: str, dimension: str = "1") -> dict[str, Any]:
        metric = {"Namespace": "Test", "MetricName": name, "Dimensions": [{"Name": "D", "Value": dimension}]}
        return {"Id": id_, "MetricStat": {"Metric": metric, "Period": 3600, "Stat": stat}}

    queries = [query("count", "SampleCount"), query("p", "p50"), query("none", "Sum", "3")]
    queries.append({"Id": "double", "Expression": "count * 2"})
    begun = time.process_time()
    answer = cloudwatch.get_metric_data(
        MetricDataQueries=queries,
        StartTime=start - timedelta(days=1),
        EndTime=start + timedelta(hours=5),
        ScanBy="TimestampAscending",
    )
    assert time.process_time() - begun < 60
    results = {result["Id"]: result for result in answer["MetricDataResults"]}
    assert sum(results["count"]["Values"]) == 2500
    assert results["count"]["Timestamps"][0] == start
    assert results["double"]["Values"] == [2 * value for value in results["count"]["Values"]]
    assert results["none"]["Values"] == []
    listed = cloudwatch.list_metrics(Namespace="Test", MetricName=name)["Metrics"]
    assert len(listed) == 2
