"""As much of AWS on loopback, in memory, as a promotion talks to: S3 and STS (``tests.s3``), and beside them SageMaker,
CloudWatch, ECR, Budgets, EventBridge Scheduler and KMS, at one port, with one record of calls and one set of faults.

``protocol`` carries JSON, REST-JSON and RPC v2 CBOR; every other module is one service, and ``world`` a project with
three environments that promotions can run against.

    with LoopbackAws(buckets) as aws:
        aws.faults.append(Fault("lost", operation="CreateModelPackage"))
        client = boto3.client("sagemaker", endpoint_url=aws.url, aws_access_key_id="222222222222", ...)

An account is the access key id that a request is signed with. From AWS it differs in this: nobody is refused anything
that no fault refuses, requests are not validated (the SDK does that), there is one region, and time only passes in a
rollout when somebody looks at it.
"""

from __future__ import annotations

from tests.aws.server import LoopbackAws
from tests.s3 import Call, Fault

__all__ = ["Call", "Fault", "LoopbackAws"]
