"""Names: what every resource and every S3 object is called.

A pure function of environment and model, shared by the stacks that create a resource and the commands that use it.
Nothing else in the project builds a name. The limits checked by :func:`check_lengths` are the ones AWS documents for
each kind of resource.

Buckets and what is in them::

    lake       raw/…, predictions/<model>/…                          landing zone; answers of batch jobs
               datasets/<name>/files/<dir>/<stem>~<hash12><ext>     a file, stored once, never overwritten
               datasets/<name>/commits/<commit>.json                 commit header
               datasets/<name>/commits/<commit>.files.jsonl.gz       its file list
               datasets/<name>/refs/<ref>.json                       movable pointer
               datasets/<name>/tags/<tag>.json                       pointer that never moves
               datasets/<name>/sagemaker/<commit>.manifest           SageMaker ManifestFile
               datasets/<name>/checks/<commit>/<constraints>.json    result of a data test
               datasets/<name>/imports/<source>.jsonl.gz             what an import of a prefix found
               staging/<name>/…                                      an import that is under way
    artifacts  models/<model>/<sha256>/model.tar.gz                  + metrics.json, baseline/*.json, package.json
               training/<model>/source/<sha256>/sourcedir.tar.gz     code that versions were trained from
               training/<model>/pipeline/<sha256>/…                  what the stack uploads for the pipeline
               training/<model>/jobs/…                               what jobs write
               environment/…                                         what the commands and jobs know of the environment
               environment/locks/<model>.json                        who is releasing the model right now
    capture    <endpoint>/<variant>/yyyy/mm/dd/hh/*.jsonl            SageMaker data capture
               async/<endpoint>/{requests,answers,failures}/…        what waits for an asynchronous endpoint
    ledger     <model>/<seq:08d>.json                                release events
               <model>/plans/<sha256>.json                           plans that were carried out
               _approvals/<model>/<sha256>/<time>-<hash12>.json      who agreed to release an artifact
    logs       <bucket>/…                                            S3 access logs
"""

from mlops_kit.naming.datasets import DatasetKeys
from mlops_kit.naming.environment import EnvironmentNames
from mlops_kit.naming.kinds import (
    BUCKET_KINDS,
    DRIFT_NAMESPACE,
    ENVIRONMENT_ALARM_KINDS,
    LOCKS_PREFIX,
    MODEL_ROLES,
    NAME_PATTERN,
    NETWORK_KEY,
    PERSON_ROLES,
    QUALITY_NAMESPACE,
    RELEASES_NAMESPACE,
    REPLICATED_KINDS,
    ROLLBACK_ALARM_KINDS,
    SERVICE_ROLES,
    SHADOW_VARIANT,
    SHORT_HASH,
    STAGING_PREFIX,
    VARIANT,
    AlarmKind,
    BucketKind,
    EnvironmentAlarmKind,
    ModelRole,
    PersonRole,
    ReplicaKind,
    ReplicatedKind,
    ServiceRole,
)
from mlops_kit.naming.limits import check_lengths
from mlops_kit.naming.model import ModelNames

__all__ = [
    "AlarmKind",
    "BUCKET_KINDS",
    "BucketKind",
    "DRIFT_NAMESPACE",
    "DatasetKeys",
    "ENVIRONMENT_ALARM_KINDS",
    "EnvironmentAlarmKind",
    "EnvironmentNames",
    "LOCKS_PREFIX",
    "MODEL_ROLES",
    "ModelNames",
    "ModelRole",
    "NAME_PATTERN",
    "NETWORK_KEY",
    "PERSON_ROLES",
    "PersonRole",
    "QUALITY_NAMESPACE",
    "RELEASES_NAMESPACE",
    "REPLICATED_KINDS",
    "ROLLBACK_ALARM_KINDS",
    "ReplicaKind",
    "ReplicatedKind",
    "SERVICE_ROLES",
    "SHADOW_VARIANT",
    "SHORT_HASH",
    "STAGING_PREFIX",
    "ServiceRole",
    "VARIANT",
    "check_lengths",
]
