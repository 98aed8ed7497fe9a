"""SageMaker: models, endpoint configurations, endpoints and the model registry, as the control plane has them.

Words and codes of refusals are SageMaker's: ``ValidationException`` with "Could not find …" for what is not there,
"Cannot create already existing …" for what is. A package version may be read by its ARN from any account; only its own
account writes it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.aws.endpoints import AlarmLook, Endpoint
from tests.aws.protocol import Asked, AwsError, JsonService

ARN = re.compile(r"arn:aws:sagemaker:(?P<region>[^:]+):(?P<account>\d{12}):(?P<kind>[a-z-]+)/(?P<name>.+)")
PAGE = 10
NUMBERED = "ModelPackageVersion"
SUMMARY = (
    "ModelPackageGroupName",
    NUMBERED,
    "ModelPackageArn",
    "ModelPackageDescription",
    "CreationTime",
    "ModelPackageStatus",
    "ModelApprovalStatus",
)
"""What a listing tells of a version."""


@dataclass
class Group:
    """A model package group. Versions are numbered from 1 and never numbered again."""

    packages: dict[int, Asked] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)  # ClientToken -> ARN
    last: int = 0


@dataclass
class State:
    """What one account has, by name: requests as they were made, with an ARN and a time."""

    models: dict[str, Asked] = field(default_factory=dict)
    configs: dict[str, Asked] = field(default_factory=dict)
    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)  # by ARN


class SageMaker(JsonService):
    """``looks``: how often an endpoint is seen updating before it is done."""

    name = "sagemaker"
    target = "SageMaker"
    subject = (
        "ModelName",
        "EndpointConfigName",
        "EndpointName",
        "ModelPackageArn",
        "ModelPackageName",
        "ModelPackageGroupName",
        "ResourceArn",
    )

    def __init__(self, region: str, alarms: AlarmLook, clock: Callable[[], float] = time.time) -> None:
        self.region, self.alarms, self.clock = region, alarms, clock
        self.looks = 1
        self.page = PAGE
        self.state: dict[str, State] = {}
        self.operations = {
            "CreateModel": self._create_model,
            "DescribeModel": self._describe_model,
            "DeleteModel": self._delete_model,
            "CreateEndpointConfig": self._create_config,
            "DescribeEndpointConfig": self._describe_config,
            "DeleteEndpointConfig": self._delete_config,
            "DescribeEndpoint": self._describe_endpoint,
            "UpdateEndpoint": self._update_endpoint,
            "CreateModelPackage": self._create_package,
            "DescribeModelPackage": self._describe_package,
            "ListModelPackages": self._list_packages,
            "UpdateModelPackage": self._update_package,
            "ListTags": self._list_tags,
        }

    def about(self, request: Any) -> str:
        # UpdateEndpoint and CreateEndpointConfig name a config as well as an endpoint, or models inside.
        asked = self.asked(request)
        if request.operation == "UpdateEndpoint":
            return str(asked["EndpointName"])
        return super().about(request)

    def of(self, account: str) -> State:
        return self.state.setdefault(account, State())

    def arn(self, account: str, kind: str, name: str) -> str:
        return f"arn:aws:sagemaker:{self.region}:{account}:{kind}/{name}"

    # What tests set up behind the protocol's back.

    def add_group(self, account: str, name: str) -> None:
        self.of(account).groups.setdefault(name, Group())

    def add_endpoint(self, account: str, name: str, config: str) -> Endpoint:
        """An endpoint in service that runs ``config``."""
        arn = self.arn(account, "endpoint", name)
        endpoint = Endpoint(name, arn, config, created=self.clock(), modified=self.clock())
        self.of(account).endpoints[name] = endpoint
        return endpoint

    # Models and endpoint configurations.

    def _create_model(self, account: str, asked: Asked) -> Asked:
        return {"ModelArn": self._create(self.of(account).models, account, "model", "model", asked["ModelName"], asked)}

    def _describe_model(self, account: str, asked: Asked) -> Asked:
        found = self._found(self.of(account).models, account, "model", "model", asked["ModelName"])
        return {"EnableNetworkIsolation": False, **found, "ModelArn": found["Arn"]}

    def _delete_model(self, account: str, asked: Asked) -> Asked:
        self._found(self.of(account).models, account, "model", "model", asked["ModelName"])
        del self.of(account).models[asked["ModelName"]]
        return {}

    def _create_config(self, account: str, asked: Asked) -> Asked:
        for variant in (*asked["ProductionVariants"], *asked.get("ShadowProductionVariants", ())):
            self._found(self.of(account).models, account, "model", "model", variant["ModelName"])
        name = asked["EndpointConfigName"]
        arn = self._create(self.of(account).configs, account, "endpoint-config", "endpoint configuration", name, asked)
        return {"EndpointConfigArn": arn}

    def _describe_config(self, account: str, asked: Asked) -> Asked:
        found = self._config(account, asked["EndpointConfigName"])
        return {**found, "EndpointConfigArn": found["Arn"]}

    def _delete_config(self, account: str, asked: Asked) -> Asked:
        self._config(account, asked["EndpointConfigName"])
        del self.of(account).configs[asked["EndpointConfigName"]]
        return {}

    def _config(self, account: str, name: str) -> Asked:
        return self._found(self.of(account).configs, account, "endpoint-config", "endpoint configuration", name)

    def _create(self, there: dict[str, Asked], account: str, kind: str, what: str, name: str, asked: Asked) -> str:
        arn = self.arn(account, kind, name)
        if name in there:
            raise invalid(f'Cannot create already existing {what} "{arn}".')
        there[name] = {**asked, "Arn": arn, "CreationTime": self.clock()}
        self._tag(account, arn, asked)
        return arn

    def _found(self, there: Mapping[str, Asked], account: str, kind: str, what: str, name: str) -> Asked:
        if name not in there:
            raise invalid(f'Could not find {what} "{self.arn(account, kind, name)}".')
        return there[name]

    # Endpoints.

    def endpoint(self, account: str, name: str) -> Endpoint:
        found = self.of(account).endpoints.get(name)
        if found is None:
            raise invalid(f'Could not find endpoint "{self.arn(account, "endpoint", name)}".')
        return found

    def _describe_endpoint(self, account: str, asked: Asked) -> Asked:
        endpoint = self.endpoint(account, asked["EndpointName"])
        endpoint.look(self.clock(), lambda names: self.alarms(account, names))
        return endpoint.described(self._variants(account, endpoint.config), self._variants(account, endpoint.pending))

    def _update_endpoint(self, account: str, asked: Asked) -> Asked:
        endpoint = self.endpoint(account, asked["EndpointName"])
        self._config(account, asked["EndpointConfigName"])
        if endpoint.busy:
            raise invalid(f'Cannot update in-progress endpoint "{endpoint.arn}".')
        endpoint.update(asked, self.looks, self.clock())
        return {"EndpointArn": endpoint.arn}

    def _variants(self, account: str, config: str) -> list[Asked]:
        """The production variants of a config as DescribeEndpoint has them; its config may be gone meanwhile."""
        there = self.of(account)
        found = []
        for variant in there.configs.get(config, {}).get("ProductionVariants", ()):
            container = there.models.get(variant["ModelName"], {}).get("PrimaryContainer", {})
            image, count = container.get("Image", ""), variant.get("InitialInstanceCount", 0)
            found.append(
                {
                    "VariantName": variant["VariantName"],
                    "DeployedImages": [{"SpecifiedImage": image, "ResolvedImage": image}],
                    "CurrentWeight": variant.get("InitialVariantWeight", 1.0),
                    "DesiredWeight": variant.get("InitialVariantWeight", 1.0),
                    "CurrentInstanceCount": count,
                    "DesiredInstanceCount": count,
                }
            )
        return found

    # The registry.

    def packages(self, account: str, group: str) -> Iterator[Asked]:
        """All versions of a group, by number."""
        found = self.of(account).groups.get(group, Group()).packages
        return (found[number] for number in sorted(found))

    def _create_package(self, account: str, asked: Asked) -> Asked:
        name = asked["ModelPackageGroupName"]
        owner, group = self._group(account, name)
        if owner != account:
            raise denied("CreateModelPackage", name)
        token = asked.pop("ClientToken", "")
        if token and token in group.tokens:
            return {"ModelPackageArn": group.tokens[token]}
        group.last += 1
        short = name.rsplit("/", 1)[-1]
        arn = self.arn(account, "model-package", f"{short}/{group.last}")
        group.packages[group.last] = {
            "ModelApprovalStatus": "PendingManualApproval",
            **asked,
            "ModelPackageGroupName": short,
            NUMBERED: group.last,
            "ModelPackageArn": arn,
            "ModelPackageStatus": "Completed",
            "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
            "CreationTime": self.clock(),
        }
        self._tag(account, arn, asked)
        if token:
            group.tokens[token] = arn
        return {"ModelPackageArn": arn}

    def _describe_package(self, account: str, asked: Asked) -> Asked:
        return self._package(account, asked["ModelPackageName"])[1]

    def _list_packages(self, account: str, asked: Asked) -> Asked:
        _, group = self._group(account, asked["ModelPackageGroupName"])
        wanted = asked.get("ModelApprovalStatus")
        found = [one for one in group.packages.values() if wanted in (None, one["ModelApprovalStatus"])]
        newest_first = asked.get("SortOrder", "Ascending") == "Descending"
        found.sort(key=lambda one: (one["CreationTime"], one[NUMBERED]), reverse=newest_first)
        start = int(asked.get("NextToken", "0"))
        size = min(self.page, int(asked.get("MaxResults", self.page)))
        shown = [{name: one[name] for name in SUMMARY if name in one} for one in found[start : start + size]]
        more = {"NextToken": str(start + size)} if start + size < len(found) else {}
        return {"ModelPackageSummaryList": shown, **more}

    def _update_package(self, account: str, asked: Asked) -> Asked:
        owner, package = self._package(account, asked["ModelPackageArn"])
        if owner != account:
            raise denied("UpdateModelPackage", asked["ModelPackageArn"])
        for name in asked.pop("CustomerMetadataPropertiesToRemove", ()):
            package.get("CustomerMetadataProperties", {}).pop(name, None)
        if "CustomerMetadataProperties" in asked:
            kept = package.get("CustomerMetadataProperties", {})
            asked["CustomerMetadataProperties"] = {**kept, **asked["CustomerMetadataProperties"]}
        package.update(asked, LastModifiedTime=self.clock())  # what is not named stays
        return {"ModelPackageArn": package["ModelPackageArn"]}

    def _group(self, account: str, name: str) -> tuple[str, Group]:
        match = ARN.fullmatch(name)
        owner, short = (match["account"], match["name"]) if match else (account, name)
        group = self.of(owner).groups.get(short)
        if group is None:
            raise invalid(f"ModelPackageGroup {self.arn(owner, 'model-package-group', short)} does not exist.")
        return owner, group

    def _package(self, account: str, name: str) -> tuple[str, Asked]:
        match = ARN.fullmatch(name)
        owner, path = (match["account"], match["name"]) if match else (account, name)
        group, _, number = path.partition("/")
        there = self.of(owner).groups.get(group, Group()).packages
        if not number.isdecimal() or int(number) not in there:
            raise invalid(f"ModelPackage {self.arn(owner, 'model-package', path)} does not exist.")
        return owner, there[int(number)]

    # Tags.

    def _tag(self, account: str, arn: str, asked: Asked) -> None:
        tags: Sequence[Mapping[str, str]] = asked.get("Tags", ())
        self.of(account).tags[arn] = {tag["Key"]: tag["Value"] for tag in tags}

    def _list_tags(self, account: str, asked: Asked) -> Asked:
        match = ARN.fullmatch(asked["ResourceArn"])
        owner = match["account"] if match else account
        tags = self.of(owner).tags.get(asked["ResourceArn"], {})
        return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}


def invalid(message: str) -> AwsError:
    return AwsError("ValidationException", message)


def denied(operation: str, what: str) -> AwsError:
    return AwsError("AccessDeniedException", f"Not authorized to perform sagemaker:{operation} on {what}.")
