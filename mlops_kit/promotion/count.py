"""Count what the ledger records, as metrics: the releases graph of the dashboards, and how often changes fail.

==========  ====================================================
metric      counts, with the dimensions Environment and Model
==========  ====================================================
Succeeded   promotions that were verified
Failed      promotions and rollbacks that did not get there
RolledBack  rollbacks that were verified
==========  ====================================================
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from mlops_kit.naming import RELEASES_NAMESPACE, ModelNames
from mlops_kit.promotion.ledger import Event

if TYPE_CHECKING:
    from types_boto3_cloudwatch import CloudWatchClient


def metric_of(event: Event) -> str:
    if event.outcome == "failed":
        return "Failed"
    return "RolledBack" if event.action == "rollback" else "Succeeded"


def count(cloudwatch: CloudWatchClient, names: ModelNames, event: Event, tell: Callable[[str], None]) -> None:
    """Publish one more of what ``event`` is. The ledger has the event by now, so a failure here is only told."""
    try:
        cloudwatch.put_metric_data(
            Namespace=RELEASES_NAMESPACE,
            MetricData=[
                {
                    "MetricName": metric_of(event),
                    "Dimensions": [
                        {"Name": "Environment", "Value": names.environment.environment},
                        {"Name": "Model", "Value": names.model},
                    ],
                    "Value": 1,
                    "Unit": "Count",
                }
            ],
        )
    except (BotoCoreError, ClientError) as exc:
        tell(f"recorded, but not counted for the dashboard: {exc}")
