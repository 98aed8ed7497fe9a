"""Who may do what: decided by IAM's rules over the policies of the gallery's environments.

What holds for every policy (no wildcards, narrow principals, the boundary, sizes) is in :mod:`tests.stacks.rules`.
"""

from __future__ import annotations

from typing import Any

import pytest

from mlops_kit.naming import PERSON_ROLES, SERVICE_ROLES, VARIANT, DatasetKeys, PersonRole
from stacks import policies
from tests.stacks import authorization
from tests.stacks.conftest import Synthesized
from tests.stacks.identity import CREATE, REPLACE, Identity, identity, key_arn
from tests.stacks.rules import allowed
from tests.stacks.stack import POLICIES, Stack, listed

SHA = "0" * 64
OUTSIDE = "arn:aws:iam::999999999999:role"
NOBODY_ELSE: dict[PersonRole, list[str]] = {role: [] for role in PERSON_ROLES}


@pytest.fixture(params=["sandbox", "secure", "adopted"])
def anywhere(request: pytest.FixtureRequest, synthesized: Synthesized) -> Stack:
    """Each environment of the gallery in turn."""
    found: Stack = synthesized.gallery[request.param]
    return found


def person(stack: Stack, role: PersonRole) -> Identity:
    return identity(stack, stack.environment.names.role(role))


def bucket(stack: Stack, kind: str, key: str) -> str:
    return f"arn:aws:s3:::{stack.environment.names.prefix}-{stack.environment.account}-{kind}/{key}"


def event(stack: Stack) -> str:
    return bucket(stack, "ledger", "fraud/00000001.json")


def approval(stack: Stack) -> str:
    return bucket(stack, "ledger", f"_approvals/fraud/{SHA}/20260101T000000Z-{SHA[:12]}.json")


def training_job(stack: Stack) -> str:
    return stack.environment.names.arn("sagemaker", f"training-job/{stack.environment.names.prefix}-fraud-1")


def training_request(stack: Stack) -> dict[str, str | list[str]]:
    """The condition keys of the training job that the commands ask for."""
    condition = _train_condition(stack)
    keys: dict[str, str | list[str]] = {
        "sagemaker:InstanceTypes": ["ml.m5.xlarge"],
        "sagemaker:MaxRuntimeInSeconds": "3600",
    }
    for name in ("sagemaker:VpcSubnets", "sagemaker:VpcSecurityGroupIds"):
        if name in condition["ForAllValues:StringEquals"]:
            keys[name] = condition["ForAllValues:StringEquals"][name]
    return keys | condition.get("Bool", {})


def _train_condition(stack: Stack) -> dict[str, dict[str, str | list[str]]]:
    documents = person(stack, "promoter").documents
    (statement,) = [s for s in documents["sagemaker"]["Statement"] if s["Sid"] == "Train"]
    condition: dict[str, dict[str, str | list[str]]] = statement["Condition"]
    return condition


# --- which roles there are, and who gets into them


def test_roles(anywhere: Stack) -> None:
    names = anywhere.environment.names
    found = {role["name"] for role in anywhere.all("aws_iam_role").values()}
    people = {names.role(kind) for kind in PERSON_ROLES}
    of_models = {model.names(names).role(kind) for model in anywhere.models for kind in ("training", "serving")}
    if "fraud" in {model.name for model in anywhere.models}:  # the one with a pipeline and a drift job
        of_models |= {names.model("fraud").role(kind) for kind in ("pipeline", "drift")}
    services = {names.role(kind) for kind in SERVICE_ROLES}
    assert people | of_models <= found
    assert found - people - of_models <= services


@pytest.mark.parametrize(
    ("environment", "invited"),
    [
        ("sandbox", NOBODY_ELSE | {"data-scientist": [f"{OUTSIDE}/scientists"]}),
        (
            "secure",
            {
                "promoter": [f"{OUTSIDE}/release-bot"],
                "data-scientist": [f"{OUTSIDE}/scientists"],
                "approver": [f"{OUTSIDE}/approvers"],
                "auditor": [f"{OUTSIDE}/auditors"],
            },
        ),
        ("adopted", NOBODY_ELSE),
    ],
)
def test_who_may_assume_a_role(
    environment: str, invited: dict[PersonRole, list[str]], synthesized: Synthesized
) -> None:
    stack = synthesized.gallery[environment]
    names = stack.environment.names
    for kind, principals in invited.items():
        role = stack.where("aws_iam_role", name=names.role(kind))
        (statement,) = stack.parse(role["assume_role_policy"])
        assert statement["Action"] == ["sts:AssumeRole"]
        assert statement["Principal"] == {"AWS": sorted([names.account_root, *principals])}, kind
        assert role["max_session_duration"] == 3600


def test_partitions_have_their_own_arns(lab: Stack) -> None:
    role = lab.where("aws_iam_role", name=lab.environment.names.role("promoter"))
    (statement,) = lab.parse(role["assume_role_policy"])
    assert statement["Principal"]["AWS"] == [
        "arn:aws-us-gov:iam::444444444444:root",
        "arn:aws-us-gov:iam::999999999999:role/release-bot",
    ]


def test_only_people_are_let_in_by_people(anywhere: Stack) -> None:
    people = {anywhere.environment.names.role(kind) for kind in PERSON_ROLES}
    for role in anywhere.all("aws_iam_role").values():
        for statement in anywhere.parse(role["assume_role_policy"]):
            assert ("AWS" in statement["Principal"]) == (role["name"] in people), role["name"]


# --- who does what with data sets

KEYS = DatasetKeys("payments")
COMMIT_WRITES = [
    KEYS.file("a.csv", SHA),
    KEYS.commit(SHA),
    KEYS.file_list(SHA),
    KEYS.manifest(SHA),
    KEYS.ref("main"),
    KEYS.tag("v1"),
    KEYS.imported(SHA),
    KEYS.check(SHA, SHA),
    f"{KEYS.staging_prefix}0000/1111",
]
"""One key of each kind that a commit, an import, a branch, a tag or a data test writes."""


def lake(stack: Stack, key: str) -> str:
    return bucket(stack, "lake", key)


def writes_data(who: Identity, stack: Stack) -> list[str]:
    """The keys that ``who`` may write, in one request and in parts, and read again, with all versions."""
    actions = ("s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts", "s3:GetObject")
    versions = "s3:GetObjectVersion"
    return [key for key in COMMIT_WRITES if all(who.may(a, lake(stack, key), CREATE) for a in (*actions, versions))]


def removes_data(who: Identity, stack: Stack) -> set[tuple[str, str]]:
    actions = ("s3:DeleteObject", "s3:DeleteObjectVersion")
    return {(action, key) for action in actions for key in COMMIT_WRITES if who.may(action, lake(stack, key))}


FOR_REFS = {("s3:DeleteObject", KEYS.ref("main")), ("s3:DeleteObject", KEYS.tag("v1"))}
FOR_IMPORTS = {("s3:DeleteObjectVersion", COMMIT_WRITES[-1])}
FOR_GARBAGE = {("s3:DeleteObject", KEYS.commit(SHA)), ("s3:DeleteObject", KEYS.file_list(SHA))} | {
    ("s3:DeleteObjectVersion", key) for key in COMMIT_WRITES
}


def test_a_data_scientist_commits_imports_tags_and_branches_and_collects_no_garbage(sandbox: Stack) -> None:
    scientist = person(sandbox, "data-scientist")
    assert writes_data(scientist, sandbox) == COMMIT_WRITES
    assert removes_data(scientist, sandbox) == FOR_REFS | FOR_IMPORTS
    raw = lake(sandbox, "raw/delivery/a.csv")
    assert scientist.may("s3:GetObject", raw), "what an import takes from"
    assert not scientist.may("s3:DeleteObjectVersion", raw)
    for action in ("s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads"):
        assert scientist.may(action, sandbox.environment.names.bucket_arn("lake")), action


def test_the_promoter_does_all_of_that_and_collects_garbage(anywhere: Stack) -> None:
    promoter, names = person(anywhere, "promoter"), anywhere.environment.names
    assert writes_data(promoter, anywhere) == COMMIT_WRITES
    assert removes_data(promoter, anywhere) == FOR_REFS | FOR_IMPORTS | FOR_GARBAGE
    for key in ("raw/delivery/a.csv", "batch/fraud/x.out"):
        for action in ("s3:DeleteObject", "s3:DeleteObjectVersion"):
            assert not promoter.may(action, lake(anywhere, key)), (action, key)
    for kind in ("lake", "artifacts"):
        assert promoter.may("s3:ListBucketMultipartUploads", names.bucket_arn(kind)), "a large copy is resumed"
    artifact = bucket(anywhere, "artifacts", f"models/fraud/{SHA}/model.tar.gz")
    assert promoter.may("s3:DeleteObjectVersion", artifact), "a copy whose digest is wrong is taken back"
    assert not promoter.may("s3:DeleteObject", artifact)


def test_nobody_else_removes_data(anywhere: Stack) -> None:
    names = anywhere.environment.names
    first = anywhere.environment.promotes_from is None
    removing = {names.role("promoter"), *([names.role("data-scientist")] if first else [])}
    for role in anywhere.all("aws_iam_role").values():
        if role["name"] not in removing:
            assert removes_data(identity(anywhere, role["name"]), anywhere) == set(), role["name"]


# --- data scientists


def test_a_data_scientist_trains_and_commits_in_the_first_stage(sandbox: Stack) -> None:
    scientist = person(sandbox, "data-scientist")
    names = sandbox.environment.names
    assert scientist.may("s3:PutObject", bucket(sandbox, "lake", "datasets/payments/refs/main.json"), REPLACE)
    source = bucket(sandbox, "artifacts", "training/fraud/source/x/sourcedir.tar.gz")
    assert scientist.may("s3:PutObject", source, CREATE)
    assert not scientist.may("s3:PutObject", source, REPLACE), "what a version was made from stays what it was"
    assert scientist.may("sagemaker:CreateTrainingJob", training_job(sandbox), training_request(sandbox))
    assert scientist.may(
        "iam:PassRole", names.model("fraud").role_arn("training"), {"iam:PassedToService": "sagemaker.amazonaws.com"}
    )
    assert scientist.may("sagemaker:StartPipelineExecution", names.model("fraud").pipeline_arn)
    assert scientist.may("sagemaker:CreateModelPackage", names.model("fraud").package_arn("*"))
    assert scientist.may("kms:GenerateDataKey", key_arn(sandbox), {"kms:ViaService": "s3.us-east-1.amazonaws.com"})


def test_what_was_trained_is_stored_once(sandbox: Stack) -> None:
    scientist = person(sandbox, "data-scientist")
    artifact = bucket(sandbox, "artifacts", f"models/fraud/{SHA}/model.tar.gz")
    assert scientist.may("s3:PutObject", artifact, CREATE)
    assert not scientist.may("s3:PutObject", artifact, REPLACE)
    for action in ("s3:DeleteObject", "s3:DeleteObjectVersion", "s3:PutObjectTagging"):
        assert not scientist.may(action, artifact), action


@pytest.mark.parametrize("environment", ["secure", "adopted"])
def test_a_data_scientist_only_looks_in_later_stages(environment: str, synthesized: Synthesized) -> None:
    stack = synthesized.gallery[environment]
    scientist, names = person(stack, "data-scientist"), stack.environment.names
    assert scientist.may("s3:GetObject", bucket(stack, "lake", "datasets/payments/refs/main.json"))
    assert scientist.may("sagemaker:DescribeTrainingJob", training_job(stack))
    assert scientist.may("sagemaker:InvokeEndpoint", names.arn("sagemaker", f"endpoint/{names.prefix}-fraud"))
    for kind in ("lake", "artifacts", "capture", "ledger", "logs"):
        for key in ("datasets/payments/refs/main.json", f"models/fraud/{SHA}/model.tar.gz", "training/fraud/source/x"):
            assert not scientist.may("s3:PutObject", bucket(stack, kind, key), CREATE), (kind, key)
    assert not scientist.may("sagemaker:CreateTrainingJob", training_job(stack), training_request(stack))
    assert not scientist.may("sagemaker:StartPipelineExecution", names.model("fraud").pipeline_arn)
    assert not scientist.may("sagemaker:CreateModelPackage", names.model("fraud").package_arn("*"))
    assert not scientist.may("kms:GenerateDataKey", key_arn(stack), {"kms:ViaService": "s3.us-east-1.amazonaws.com"})
    assert not any("PassRole" in action for s in _statements(scientist) for action in listed(s["Action"]))


def test_a_data_scientist_never_releases(anywhere: Stack) -> None:
    scientist, names = person(anywhere, "data-scientist"), anywhere.environment.names
    fraud = names.model("fraud")
    endpoint = names.arn("sagemaker", f"endpoint/{fraud.endpoint}")
    config = names.arn("sagemaker", f"endpoint-config/{fraud.release(SHA)}")
    model = names.arn("sagemaker", f"model/{fraud.release(SHA)}")
    refused = [
        ("sagemaker:CreateModel", model),
        ("sagemaker:CreateEndpointConfig", config),
        ("sagemaker:UpdateEndpoint", endpoint),
        ("sagemaker:UpdateEndpoint", config),
        ("sagemaker:DeleteEndpoint", endpoint),
        ("sagemaker:UpdateModelPackage", fraud.package_arn(3)),
        ("sagemaker:DeleteModelPackage", fraud.package_arn(3)),
        ("scheduler:UpdateSchedule", names.arn("scheduler", f"schedule/{names.schedule_group}/churn-batch")),
        ("iam:PassRole", fraud.role_arn("serving")),
    ]
    assert [call for call in refused if scientist.may(*call)] == []
    assert not scientist.may(
        "iam:PassRole", fraud.role_arn("serving"), {"iam:PassedToService": "sagemaker.amazonaws.com"}
    )
    for key in (event(anywhere), approval(anywhere)):
        assert scientist.may("s3:GetObject", key)
        assert not scientist.may("s3:PutObject", key, CREATE)
    assert not scientist.may("cloudwatch:PutMetricData", "*", {"cloudwatch:namespace": "MlopsKit/Releases"})


# --- limits of training


@pytest.mark.parametrize("role", ["promoter", "data-scientist"])
@pytest.mark.parametrize(
    "changed",
    [
        {"sagemaker:InstanceTypes": ["ml.p4d.24xlarge"]},
        {"sagemaker:InstanceTypes": ["ml.m5.xlarge", "ml.p4d.24xlarge"]},
        {"sagemaker:MaxRuntimeInSeconds": "7201"},
    ],
)
def test_training_stays_within_the_limits(
    role: PersonRole, changed: dict[str, str | list[str]], sandbox: Stack
) -> None:
    who, job = person(sandbox, role), training_job(sandbox)
    assert who.may("sagemaker:CreateTrainingJob", job, training_request(sandbox))
    assert not who.may("sagemaker:CreateTrainingJob", job, training_request(sandbox) | changed)


@pytest.mark.parametrize("missing", ["sagemaker:InstanceTypes", "sagemaker:MaxRuntimeInSeconds"])
def test_training_has_to_say_what_it_asks_for(missing: str, sandbox: Stack) -> None:
    request = {key: value for key, value in training_request(sandbox).items() if key != missing}
    assert not person(sandbox, "promoter").may("sagemaker:CreateTrainingJob", training_job(sandbox), request)


@pytest.mark.parametrize(
    "missing", ["sagemaker:VpcSubnets", "sagemaker:VpcSecurityGroupIds", "sagemaker:NetworkIsolation"]
)
def test_training_stays_in_the_environments_network(missing: str, secure: Stack) -> None:
    promoter, job, request = person(secure, "promoter"), training_job(secure), training_request(secure)
    assert promoter.may("sagemaker:CreateTrainingJob", job, request)
    without = {key: value for key, value in request.items() if key != missing}
    assert not promoter.may("sagemaker:CreateTrainingJob", job, without)
    elsewhere = "false" if missing == "sagemaker:NetworkIsolation" else ["subnet-0elsewhere"]
    assert not promoter.may("sagemaker:CreateTrainingJob", job, request | {missing: elsewhere})


def test_a_network_that_is_not_isolated_needs_no_isolation(adopted: Stack) -> None:
    request = training_request(adopted)
    assert request["sagemaker:VpcSubnets"] == ["subnet-0a1b2c3d", "subnet-4e5f6a7b"]
    assert "sagemaker:NetworkIsolation" not in request
    assert person(adopted, "promoter").may("sagemaker:CreateTrainingJob", training_job(adopted), request)


# --- promoters and approvers


def test_the_promoter_appends_to_the_ledger_and_approves_nothing(anywhere: Stack) -> None:
    promoter = person(anywhere, "promoter")
    assert promoter.may("s3:PutObject", event(anywhere), CREATE)
    assert not promoter.may("s3:PutObject", event(anywhere), REPLACE)
    assert promoter.may("s3:GetObject", approval(anywhere))
    decision = promoter.asks("s3:PutObject", approval(anywhere), CREATE)
    assert (decision.allowed, decision.by) == (False, "storage/LeaveApprovalsAlone")


def test_the_promoter_keeps_plans_and_only_once(anywhere: Stack) -> None:
    promoter = person(anywhere, "promoter")
    plan = bucket(anywhere, "ledger", anywhere.environment.names.model("fraud").plan_key(SHA))
    assert promoter.may("s3:PutObject", plan, CREATE)
    assert not promoter.may("s3:PutObject", plan, REPLACE)
    readers: tuple[PersonRole, ...] = ("data-scientist", "approver", "auditor")
    for role in readers:
        who = person(anywhere, role)
        assert who.may("s3:GetObject", plan), role
        assert not who.may("s3:PutObject", plan, CREATE), role


def test_only_the_promoter_holds_locks(anywhere: Stack) -> None:
    names = anywhere.environment.names
    lock = bucket(anywhere, "artifacts", names.model("fraud").lock_key)
    promoter = person(anywhere, "promoter")
    for keys in (CREATE, REPLACE):
        assert promoter.may("s3:PutObject", lock, keys), "a lock is renewed"
    for action in ("s3:GetObject", "s3:GetObjectVersion", "s3:DeleteObjectVersion"):
        assert promoter.may(action, lock), action
    assert promoter.may("s3:ListBucketVersions", names.bucket_arn("artifacts"))
    assert not promoter.may("s3:DeleteObject", lock), "a delete marker would hide whatever lock is on top by then"
    assert not promoter.may("s3:PutObject", bucket(anywhere, "artifacts", names.network_key), CREATE)
    for role in anywhere.all("aws_iam_role").values():
        if role["name"] != names.role("promoter"):
            who = identity(anywhere, role["name"])
            for action in ("s3:PutObject", "s3:DeleteObjectVersion", "s3:DeleteObject"):
                assert not who.may(action, lock, CREATE), (role["name"], action)


def test_which_version_an_artifact_is_is_said_once(anywhere: Stack) -> None:
    promoter = person(anywhere, "promoter")
    pointer = bucket(anywhere, "artifacts", anywhere.environment.names.model("fraud").package_key(SHA))
    assert promoter.may("s3:PutObject", pointer, CREATE)
    assert not promoter.may("s3:PutObject", pointer, REPLACE)
    for role in PERSON_ROLES[2:]:
        assert not person(anywhere, role).may("s3:PutObject", pointer, CREATE), role


def test_the_promoter_releases(secure: Stack) -> None:
    promoter, names = person(secure, "promoter"), secure.environment.names
    fraud = names.model("fraud")
    for action, kind in (
        ("CreateModel", "model"),
        ("CreateEndpointConfig", "endpoint-config"),
        ("UpdateEndpoint", "endpoint"),
        ("UpdateEndpoint", "endpoint-config"),
    ):
        name = fraud.endpoint if kind == "endpoint" else fraud.release(SHA)
        assert promoter.may(f"sagemaker:{action}", names.arn("sagemaker", f"{kind}/{name}")), action
    batch = names.arn("scheduler", f"schedule/{names.schedule_group}/churn-batch")
    assert promoter.may("scheduler:UpdateSchedule", batch)
    assert not promoter.may("scheduler:UpdateSchedule", batch.replace("churn-batch", "fraud-retraining"))
    assert promoter.may("s3:PutObject", bucket(secure, "artifacts", f"models/fraud/{SHA}/model.tar.gz"), CREATE)
    assert promoter.may("sagemaker:UpdateModelPackage", fraud.package_arn(3))
    assert not promoter.may("sagemaker:DeleteEndpoint", names.arn("sagemaker", f"endpoint/{fraud.endpoint}"))
    assert not promoter.may("sagemaker:DeleteModelPackage", fraud.package_arn(3))


def test_the_approver_writes_approvals_and_nothing_else(anywhere: Stack) -> None:
    approver, names = person(anywhere, "approver"), anywhere.environment.names
    assert approver.may("s3:PutObject", approval(anywhere), CREATE)
    assert not approver.may("s3:PutObject", approval(anywhere), REPLACE)
    assert not approver.may("s3:PutObject", event(anywhere), CREATE)
    assert approver.may("s3:GetObject", event(anywhere))
    assert approver.may("s3:GetObject", bucket(anywhere, "artifacts", f"models/fraud/{SHA}/metrics.json"))
    assert approver.may("kms:GenerateDataKey", key_arn(anywhere), {"kms:ViaService": "s3.us-east-1.amazonaws.com"})
    assert not approver.may("s3:GetObject", bucket(anywhere, "lake", "datasets/payments/refs/main.json"))
    assert not approver.may("s3:GetObject", bucket(anywhere, "capture", f"{names.prefix}-fraud/{VARIANT}/x.jsonl"))
    assert not approver.may("sagemaker:UpdateModelPackage", names.model("fraud").package_arn(3))
    assert _writes(approver) == {"s3:PutObject", "kms:GenerateDataKey"}


def test_the_auditor_sees_releases_and_no_data(anywhere: Stack) -> None:
    auditor, names = person(anywhere, "auditor"), anywhere.environment.names
    for key in (event(anywhere), approval(anywhere)):
        assert auditor.may("s3:GetObject", key)
        assert auditor.may("s3:GetObjectRetention", key)
    assert auditor.may("sagemaker:DescribeModelPackage", names.model("fraud").package_arn(3))
    assert auditor.may("sagemaker:DescribeEndpoint", names.arn("sagemaker", f"endpoint/{names.prefix}-fraud"))
    assert auditor.may("cloudwatch:DescribeAlarms", names.arn("cloudwatch", "alarm:*"))
    for kind in ("lake", "artifacts", "capture"):
        for action in ("s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket"):
            assert not auditor.may(action, bucket(anywhere, kind, "")), (kind, action)
            assert not auditor.may(action, names.bucket_arn(kind)), (kind, action)
            assert not auditor.may(action, bucket(anywhere, kind, f"models/fraud/{SHA}/model.tar.gz")), (kind, action)
    assert not auditor.may("sagemaker:InvokeEndpoint", names.arn("sagemaker", f"endpoint/{names.prefix}-fraud"))
    assert _writes(auditor) == set()


def test_only_promoters_and_approvers_write_to_the_ledger(anywhere: Stack) -> None:
    names = anywhere.environment.names
    writers = {
        role["name"]
        for role in anywhere.all("aws_iam_role").values()
        if any(
            identity(anywhere, role["name"]).may("s3:PutObject", key, CREATE)
            for key in (event(anywhere), approval(anywhere))
        )
    }
    assert writers == {names.role("promoter"), names.role("approver")}


def test_nobody_deletes_from_the_ledger(anywhere: Stack) -> None:
    for role in anywhere.all("aws_iam_role").values():
        who = identity(anywhere, role["name"])
        for action in ("s3:DeleteObject", "s3:DeleteObjectVersion", "s3:BypassGovernanceRetention"):
            assert not who.may(action, event(anywhere)), (role["name"], action)


# --- across accounts


def test_only_the_next_stages_promoter_reads_and_its_approver_sees_versions(synthesized: Synthesized) -> None:
    """Image replication and drift alarms come in from other accounts besides; neither reads."""
    reading = {"aws_s3_bucket_policy", "aws_kms_key", "aws_sagemaker_model_package_group_policy"}
    for stack in (*synthesized.local.values(), *synthesized.gallery.values()):
        own = stack.environment.account
        targets = stack.project.targets_of(stack.environment)
        foreign = [
            (kind, statement)
            for kind, statement in allowed(stack)
            if kind not in ("aws_iam_role", "aws_cloudwatch_event_bus_policy", "aws_ecr_registry_policy")
            and own not in str((statement.get("Principal") or {}).get("AWS", own))
        ]
        assert {kind for kind, _ in foreign} == (reading if targets else set())
        for kind, statement in foreign:
            (target,) = targets
            promoter = target.names.role_arn("promoter")
            groups = kind == "aws_sagemaker_model_package_group_policy"
            who = [promoter, target.names.role_arn("approver")] if groups else promoter
            assert statement["Principal"] == {"AWS": target.names.account_root}
            assert statement["Condition"]["ArnEquals"] == {"aws:PrincipalArn": who}
            for action in listed(statement["Action"]):
                assert action.split(":")[1].startswith(("Get", "List", "Describe", "Decrypt")), action


def test_only_the_promoter_reads_its_source_and_no_more_than_it_promotes(synthesized: Synthesized) -> None:
    for stack in (*synthesized.local.values(), *synthesized.gallery.values()):
        project, environment = stack.project, stack.environment
        source = environment.promotes_from and project.environment(environment.promotes_from)
        reading = ("promoter", "approver")
        for kind in PERSON_ROLES:
            accounts = {
                stage.account for stage in project.stages if stage.account in str(person(stack, kind).documents)
            }
            assert accounts <= {environment.account, *({source.account} if source and kind in reading else ())}, kind
        if not source:
            continue
        promoter, names = person(stack, "promoter"), source.names
        source_lake, artifacts = names.bucket_arn("lake"), names.bucket_arn("artifacts")
        via = {"kms:ViaService": f"s3.{source.region}.amazonaws.com"}
        group = names.model(stack.models[0].name)
        # What was deleted or overwritten in the source is copied from an older version.
        assert promoter.may("s3:GetObjectVersion", f"{source_lake}/datasets/x/files/a~1.csv")
        assert promoter.may("s3:ListBucketVersions", source_lake)
        for action in ("s3:DeleteObject", "s3:DeleteObjectVersion"):
            assert not promoter.may(action, f"{source_lake}/datasets/x/files/a~1.csv"), action
        assert promoter.may("s3:GetObject", f"{artifacts}/models/x/model.tar.gz")
        assert promoter.may("kms:Decrypt", names.arn("kms", "key/1"), via)
        assert promoter.may("sagemaker:DescribeModelPackage", group.package_arn(1))
        assert not promoter.may("kms:Decrypt", names.arn("kms", "key/1"))
        assert not promoter.may("kms:GenerateDataKey", names.arn("kms", "key/1"), via)
        for unread in (f"{source_lake}/raw/x", f"{artifacts}/training/x", f"{names.bucket_arn('ledger')}/x/1.json"):
            assert not promoter.may("s3:GetObject", unread), unread
        for written in (f"{source_lake}/datasets/x", f"{artifacts}/models/x"):
            assert not promoter.may("s3:PutObject", written, CREATE), written
        assert not promoter.may("sagemaker:UpdateModelPackage", group.package_arn(1))
        approver = person(stack, "approver")
        assert approver.may("sagemaker:DescribeModelPackage", group.package_arn(1)), "to know what it approves"
        assert approver.may("sagemaker:ListModelPackages", group.package_group_arn)
        for unread in (f"{source_lake}/datasets/x/refs/main.json", f"{artifacts}/models/x/model.tar.gz"):
            assert not approver.may("s3:GetObject", unread), unread
        assert not approver.may("kms:Decrypt", names.arn("kms", "key/1"), via)


# --- every policy


def test_roles_are_only_passed_to_the_service_they_are_for(synthesized: Synthesized) -> None:
    for stack in (*synthesized.local.values(), *synthesized.gallery.values(), *synthesized.corners.values()):
        for kind, statement in allowed(stack):
            if "iam:PassRole" in listed(statement["Action"]):
                assert statement["Action"] == ["iam:PassRole"], (kind, statement["Sid"])
                assert statement["Condition"]["StringEquals"]["iam:PassedToService"], statement["Sid"]


def test_actions_exist_and_are_held_to_what_aws_lets_them(synthesized: Synthesized) -> None:
    """An action that is misspelt, or held to something that AWS does not look at, is a permission that is missing."""
    wrong = set()
    for stack in (*synthesized.local.values(), *synthesized.gallery.values(), *synthesized.corners.values()):
        for policy in stack.all("aws_iam_role_policy").values():
            statements = [s for s in stack.parse(policy["policy"]) if s["Effect"] == "Allow"]
            wrong |= {f"{policy['name']}: {problem}" for problem in authorization.misplaced(statements)}
        wrong |= {f"boundary: {problem}" for problem in authorization.misplaced(stack.boundary()[:-1])}
    assert wrong == set()


def test_metrics_are_held_by_their_namespace(anywhere: Stack) -> None:
    for kind, statement in allowed(anywhere):
        if kind == "aws_iam_role_policy" and "cloudwatch:PutMetricData" in statement["Action"]:
            assert statement["Condition"]["StringEquals"]["cloudwatch:namespace"], statement["Sid"]


def test_statement_ids_are_unique_within_a_policy(anywhere: Stack) -> None:
    for kind in POLICIES:
        for logical in anywhere.all(kind):
            ids = [statement["Sid"] for statement in anywhere.statements(kind, logical)]
            assert len(ids) == len(set(ids)), (kind, logical)
            assert all(sid.isalnum() for sid in ids), (kind, logical)


def test_images_outside_ecr_need_no_permission(lab: Stack) -> None:
    names = lab.environment.names
    repository = "arn:aws-us-gov:ecr:us-gov-west-1:123456789012:repository/team/vision"
    for model, kind, image in (
        ("vision", "training", f"{repository}/train"),
        ("vision", "serving", f"{repository}/serve"),
        ("plain", "training", None),
        ("plain", "serving", None),
    ):
        role = identity(lab, names.model(model).role(kind))  # type: ignore[arg-type]  # pairs of literals
        pulls = [s["Resource"] for s in _statements(role) if s["Sid"] == "PullImages"]
        assert pulls == ([[image]] if image else []), (model, kind)


def _statements(who: Identity) -> list[dict[str, object]]:
    return [statement for document in who.documents.values() for statement in document["Statement"]]


def _writes(who: Identity) -> set[str]:
    """Actions that change something, of all that are allowed anywhere."""
    reading = ("Describe", "Filter", "Get", "List", "Decrypt")
    return {
        action
        for statement in _statements(who)
        if statement["Effect"] == "Allow"
        for action in listed(statement["Action"])
        if not action.split(":")[1].startswith(reading)
    }


def test_fewer_statements_allow_the_same() -> None:
    def one(sid: str, effect: str, actions: str | list[str], resources: str | list[str], **condition: str) -> Any:
        found = {"Sid": sid, "Effect": effect, "Action": actions, "Resource": resources}
        return found | ({"Condition": condition} if condition else {})

    def spelt_out(statements: list[Any]) -> set[tuple[str, ...]]:
        return {
            (s["Effect"], action, resource, str(s.get("Condition")))
            for s in statements
            for action in listed(s["Action"])
            for resource in listed(s["Resource"])
        }

    statements = [
        one("A", "Allow", ["s3:Get"], ["x", "y"]),
        one("B", "Allow", "s3:Put", ["y", "x"]),
        one("C", "Allow", ["s3:Get", "s3:Put"], "z"),
        one("D", "Deny", ["s3:Get"], ["x", "y"]),
        one("E", "Allow", ["s3:Get"], ["x", "y"], Bool="true"),
        one("F", "Allow", ["s3:List"], ["x"]),
    ]
    before = str(statements)
    merged = policies.merged(statements)
    assert [s["Sid"] for s in merged] == ["A", "D", "E", "F"]
    assert spelt_out(merged) == spelt_out(statements)
    assert str(statements) == before
