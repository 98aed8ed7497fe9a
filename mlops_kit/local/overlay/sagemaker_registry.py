"""Mends: the model registry (model packages and their groups).

==========================================  ===========================================================================
moto                                        here
==========================================  ===========================================================================
no Delete of packages and groups            implemented; a group with versions in it is kept (ConflictException)
no policies on groups                       Put, Get, DeleteModelPackageGroupPolicy
an ARN of another account is looked up in   answered from the account it names, if the group's policy there allows the
the caller's own                            caller's role, else AccessDeniedException
UpdateModelPackage nulls what it omits      keeps it
ClientToken is ignored                      a repeated CreateModelPackage returns the first one's version
a version number is used again after a      numbers only grow
deletion
a name that exists replaces the group       refused
no event on registration and approval       "SageMaker Model Package State Change"
==========================================  ===========================================================================
"""

from __future__ import annotations

import re
from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.sagemaker.exceptions import ConflictException
from moto.sagemaker.models import ModelPackage, sagemaker_backends
from moto.sagemaker.responses import SageMakerResponse

from mlops_kit.local.compute.storage import Place
from mlops_kit.local.overlay import accounts, events, guard, policy
from mlops_kit.local.overlay import sagemaker as sm

_ARN = re.compile(
    r"arn:aws[a-z-]*:sagemaker:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):"
    r"model-package(?P<group>-group)?/(?P<name>[^/]+)(?:/(?P<version>\d+))?"
)
POLICY = "mlops_kit_policy"
LAST_VERSION = "mlops_kit_last_version"
TOKENS = "mlops_kit_client_tokens"


def install() -> None:
    _install_groups()
    _install_policies()
    _install_packages()
    _install_reads()


def _group(backend: Any, name: str) -> Any:
    """A group by name or ARN.

    Raises ValidationException in the words that Terraform's provider waits for.
    """
    short = name.rsplit("/", 1)[-1]
    group = backend.model_package_groups.get(short)
    if group is None:
        arn = sm.arn("model-package-group", short, Place(backend.account_id, backend.region_name))
        raise sm.invalid(f"ModelPackageGroup {arn} does not exist.")
    return group


def _packages_of(backend: Any, group: str) -> list[Any]:
    return [p for p in backend.model_packages.values() if p.model_package_group_name == group]


def _install_groups() -> None:
    create = guard.original(SageMakerResponse, "create_model_package_group", "self")

    def create_model_package_group(self: Any) -> Any:
        name = sm.check_name(self._get_param("ModelPackageGroupName"), "modelPackageGroupName")
        if name in self.sagemaker_backend.model_package_groups:
            arn = sm.arn("model-package-group", name, sm.place_of(self))
            raise sm.invalid(f"Model Package Group already exists: {arn}")
        return create(self)

    def delete_model_package_group(self: Any) -> Any:
        group = _group(self.sagemaker_backend, str(self._get_param("ModelPackageGroupName")))
        if _packages_of(self.sagemaker_backend, group.model_package_group_name):
            raise ConflictException(
                f"Model Package Group {group.arn} cannot be deleted because it still contains Model Packages."
            )
        del self.sagemaker_backend.model_package_groups[group.model_package_group_name]
        return EmptyResult()

    guard.replace(SageMakerResponse, "create_model_package_group", create_model_package_group)
    guard.add(SageMakerResponse, "delete_model_package_group", delete_model_package_group)


def _install_policies() -> None:
    def put_model_package_group_policy(self: Any) -> Any:
        group = _group(self.sagemaker_backend, str(self._get_param("ModelPackageGroupName")))
        document = str(self._get_param("ResourcePolicy"))
        try:
            policy.parse(document)
        except policy.MalformedPolicyError as exc:
            raise sm.invalid(f"Invalid resource policy: {exc}") from exc
        setattr(group, POLICY, document)
        return ActionResult({"ModelPackageGroupArn": group.arn})

    def get_model_package_group_policy(self: Any) -> Any:
        group = _group(self.sagemaker_backend, str(self._get_param("ModelPackageGroupName")))
        document = getattr(group, POLICY, None)
        if document is None:
            raise sm.invalid(f"Cannot find resource policy for: {group.arn}")
        return ActionResult({"ResourcePolicy": document})

    def delete_model_package_group_policy(self: Any) -> Any:
        group = _group(self.sagemaker_backend, str(self._get_param("ModelPackageGroupName")))
        if getattr(group, POLICY, None) is None:
            raise sm.invalid(f"Cannot find resource policy for: {group.arn}")
        delattr(group, POLICY)
        return EmptyResult()

    guard.add(SageMakerResponse, "put_model_package_group_policy", put_model_package_group_policy)
    guard.add(SageMakerResponse, "get_model_package_group_policy", get_model_package_group_policy)
    guard.add(SageMakerResponse, "delete_model_package_group_policy", delete_model_package_group_policy)


def _install_packages() -> None:
    create = guard.original(SageMakerResponse, "create_model_package", "self")
    construct = guard.original_taking(
        ModelPackage, "__init__", "model_package_group_name", "model_package_version", "account_id", "region_name"
    )
    update = guard.original(SageMakerResponse, "update_model_package", "self")

    def number_version(self: Any, *args: Any, **kwargs: Any) -> None:
        # moto numbers a version by how many the group has now, and would give a deleted one's number away again.
        if kwargs.get("model_package_version") is not None:
            groups = sagemaker_backends[kwargs["account_id"]][kwargs["region_name"]].model_package_groups
            group = groups[kwargs["model_package_group_name"]]
            kwargs["model_package_version"] = int(getattr(group, LAST_VERSION, 0)) + 1
            setattr(group, LAST_VERSION, kwargs["model_package_version"])
        construct(self, *args, **kwargs)

    def create_model_package(self: Any) -> Any:
        backend, token = self.sagemaker_backend, self._get_param("ClientToken")
        group = self._get_param("ModelPackageGroupName")
        if group:
            group = _group(backend, str(group)).model_package_group_name
            self.params["ModelPackageGroupName"] = group
        with sm.lock:
            tokens: dict[tuple[Any, Any], str] = backend.__dict__.setdefault(TOKENS, {})
            if token and (known := tokens.get((group, token))):
                return ActionResult({"ModelPackageArn": known})
            self.params.setdefault("ModelApprovalStatus", "PendingManualApproval")
            result = create(self)
            arn = str(result.result["ModelPackageArn"])
            if token:
                tokens[group, token] = arn
        _announce(backend, backend.model_packages[arn])
        return result

    def update_model_package(self: Any) -> Any:
        package = _own_package(self, str(self._get_param("ModelPackageArn")))
        before = package.model_approval_status
        properties = {
            **(package.customer_metadata_properties or {}),
            **(self._get_param("CustomerMetadataProperties") or {}),
        }
        removed = self._get_param("CustomerMetadataPropertiesToRemove")
        self.params["ModelPackageArn"] = package.arn
        self.params["ModelApprovalStatus"] = self._get_param("ModelApprovalStatus") or before
        self.params["ApprovalDescription"] = self._get_param("ApprovalDescription") or package.approval_description
        self.params["CustomerMetadataProperties"] = properties or ({} if removed else None)
        result = update(self)
        if package.model_approval_status != before:
            _announce(self.sagemaker_backend, package)
        return result

    def delete_model_package(self: Any) -> Any:
        package = _own_package(self, str(self._get_param("ModelPackageName")))
        backend = self.sagemaker_backend
        del backend.model_packages[package.arn]
        for name, arn in list(backend.model_package_name_mapping.items()):
            if arn == package.arn:
                del backend.model_package_name_mapping[name]
        return EmptyResult()

    guard.replace(ModelPackage, "__init__", number_version)
    guard.replace(SageMakerResponse, "create_model_package", create_model_package)
    guard.replace(SageMakerResponse, "update_model_package", update_model_package)
    guard.add(SageMakerResponse, "delete_model_package", delete_model_package)


def _own_package(response: Any, name: str) -> Any:
    backend = response.sagemaker_backend
    package = backend.model_packages.get(backend.model_package_name_mapping.get(name, name))
    if package is None:
        raise sm.invalid(f"ModelPackage {name} does not exist.")
    return package


def _announce(backend: Any, package: Any) -> None:
    """The event of "SageMaker model package state change", sent on registration and on approval."""
    events.emit(
        Place(backend.account_id, backend.region_name),
        "aws.sagemaker",
        "SageMaker Model Package State Change",
        {
            "ModelPackageGroupName": package.model_package_group_name,
            "ModelPackageName": package.model_package_name,
            "ModelPackageVersion": package.model_package_version,
            "ModelPackageArn": package.arn,
            "ModelPackageStatus": package.model_package_status,
            "ModelApprovalStatus": package.model_approval_status,
            "ModelPackageDescription": package.model_package_description or "",
            "CustomerMetadataProperties": package.customer_metadata_properties or {},
        },
        resources=[package.arn],
    )


def _install_reads() -> None:
    describe = guard.original(SageMakerResponse, "describe_model_package", "self")
    listing = guard.original(SageMakerResponse, "list_model_packages", "self")
    describe_group = guard.original(SageMakerResponse, "describe_model_package_group", "self")

    def describe_model_package(self: Any) -> Any:
        name = str(self._get_param("ModelPackageName"))
        _go_to_owner(self, name, "sagemaker:DescribeModelPackage")
        _own_package(self, name)
        return describe(self)

    def list_model_packages(self: Any) -> Any:
        name = self._get_param("ModelPackageGroupName")
        if name:
            _go_to_owner(self, str(name), "sagemaker:ListModelPackages")
            _group(self.sagemaker_backend, str(name))
        return listing(self)

    def describe_model_package_group(self: Any) -> Any:
        name = str(self._get_param("ModelPackageGroupName"))
        _go_to_owner(self, name, "sagemaker:DescribeModelPackageGroup")
        self.params["ModelPackageGroupName"] = name.rsplit("/", 1)[-1]
        return describe_group(self)

    guard.replace(SageMakerResponse, "describe_model_package", describe_model_package)
    guard.replace(SageMakerResponse, "list_model_packages", list_model_packages)
    guard.replace(SageMakerResponse, "describe_model_package_group", describe_model_package_group)


def _go_to_owner(response: Any, name: str, action: str) -> None:
    """Let a request about another account's ARN be answered by that account, if the group's policy there allows it."""
    match = _ARN.fullmatch(name)
    if match is None or match["account"] == response.current_account:
        return
    caller = accounts.caller_of(response)
    owner = sagemaker_backends[match["account"]][match["region"]]
    group = owner.model_package_groups.get(match["name"])
    document = getattr(group, POLICY, None)
    request = policy.Request(caller, action, name)
    if document is None or policy.evaluate(policy.parse(document), request) != "allow":
        raise sm.access_denied(
            f"User: {caller.arn} is not authorized to perform: {action} on resource: {name} because no resource-based "
            f"policy allows the {action} action"
        )
    response.current_account = match["account"]
    response.region = match["region"]
