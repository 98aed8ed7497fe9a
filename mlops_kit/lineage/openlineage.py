"""A lineage as OpenLineage run events, for catalogues that read those (Marquez, DataHub, OpenMetadata).

Source: the OpenLineage object model 2-0-2, ``spec/OpenLineage.json``, and the facets under ``spec/facets/``. A run has
a START and a COMPLETE event; here are the runs that led to the version: its training, each promotion, and the release.

Ids are UUIDs of version 5, made of ARNs: the same lineage, asked for twice or in two environments, has the same runs.
Only what is known is said: where a job's own times cannot be read, its events have the time of what came of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from mlops_kit import __version__
from mlops_kit.errors import UsageError
from mlops_kit.lineage.graph import Edge, Graph, Node

PRODUCER: Final = f"pkg:pypi/mlops-kit@{__version__}"
"""A package URL: a URI that names the program and its version, and leads nowhere."""
SPEC: Final = "https://openlineage.io/spec"
SCHEMA_URL: Final = f"{SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent"
_FACETS: Final = {
    "version": "facets/1-0-1/DatasetVersionDatasetFacet.json#/$defs/DatasetVersionDatasetFacet",
    "documentation": "facets/1-0-1/DocumentationDatasetFacet.json#/$defs/DocumentationDatasetFacet",
    "inputStatistics": "facets/1-0-0/InputStatisticsInputDatasetFacet.json#/$defs/InputStatisticsInputDatasetFacet",
    "jobType": "facets/2-0-4/JobTypeJobFacet.json#/$defs/JobTypeJobFacet",
    "sourceCodeLocation": "facets/1-0-1/SourceCodeLocationJobFacet.json#/$defs/SourceCodeLocationJobFacet",
    "processing_engine": "facets/1-1-0/ProcessingEngineRunFacet.json#/$defs/ProcessingEngineRunFacet",
    "mlopsKit_run": "2-0-2/OpenLineage.json#/$defs/RunFacet",
}
"""Facet -> where it is specified; our own is a plain RunFacet with more properties, as the specification allows."""

Event = dict[str, Any]


def run_events(graph: Graph) -> list[Event]:
    """The events, oldest run first.

    Raises:
        UsageError: there is no version in the graph.
    """
    chain = _versions(graph)
    if not chain:
        raise UsageError("There is no version in this lineage, so there are no runs.")
    events: list[Event] = []
    oldest = chain[-1]
    for job in _below(graph, oldest, "trained by"):
        events += _training(graph, job, chain)
    for after, before in reversed(list(pairwise(chain))):
        events += _promotion(before, after)
    for edge in graph.edges:
        if edge.relation == "of" and edge.end == chain[0].id:
            events += _release(graph, graph.node(edge.start), chain[0])
    return events


def _versions(graph: Graph) -> list[Node]:
    """From the version here to the oldest."""
    promoted = {edge.start: edge.end for edge in graph.edges if edge.relation == "promoted from"}
    ends = set(promoted.values())
    chain = [node for node in graph.of("version") if node.id not in ends][:1]
    while chain and promoted.get(chain[-1].id, chain[-1].id) not in {node.id for node in chain}:
        chain.append(graph.node(promoted[chain[-1].id]))
    return chain


def _below(graph: Graph, node: Node, relation: str) -> list[Node]:
    return [graph.node(edge.end) for edge in graph.edges if edge == Edge(node.id, relation, edge.end)]


def _training(graph: Graph, job: Node, chain: list[Node]) -> list[Event]:
    oldest = chain[-1]
    ended = job.facts.get("ended") or next(
        (version.facts["registered"] for version in reversed(chain) if "registered" in version.facts), _EPOCH
    )
    archive = next((node for node in _below(graph, job, "ran") if node.kind == "source"), None)
    code = next((node for node in _below(graph, job, "ran") if node.kind == "code"), None)
    facets: dict[str, Any] = _job_type("TRAINING")
    if archive is not None:
        facets["sourceCodeLocation"] = _facet(
            "sourceCodeLocation",
            type="git" if code else "archive",
            url=archive.facts["uri"],
            **({"version": code.facts["commit"]} if code else {}),
        )
    return _run(
        job.id,
        (job.facts.get("environment", ""), f"{_model(oldest)}.training"),
        (job.facts.get("started") or ended, ended),
        job_facets=facets,
        inputs=[_data(node) for node in _below(graph, job, "trained on")],
        outputs=[_artifact(oldest)],
        known={"arn": job.id, **job.facts},
    )


def _promotion(before: Node, after: Node) -> list[Event]:
    time = after.facts.get("registered", _EPOCH)
    return _run(
        after.id,
        (after.facts.get("environment", ""), f"{_model(after)}.promotion"),
        (time, time),
        job_facets=_job_type("PROMOTION"),
        inputs=[_artifact(before)],
        outputs=[_artifact(after)],
        known={"source": before.id, "target": after.id},
    )


def _release(graph: Graph, release: Node, version: Node) -> list[Event]:
    endpoint = next((graph.node(edge.start) for edge in graph.edges if edge.end == release.id), release)
    return _run(
        f"{endpoint.id}#{release.id}",
        (version.facts.get("environment", ""), f"{_model(version)}.release"),
        (release.facts["time"], release.facts["time"]),
        job_facets=_job_type("RELEASE"),
        inputs=[_artifact(version)],
        outputs=[],
        known={"endpoint": endpoint.id, **release.facts},
    )


_EPOCH: Final = "1970-01-01T00:00:00+00:00"
"""Where no time is known at all: the events need one, and this is nobody's."""


def _run(
    identity: str,
    job: tuple[str, str],
    times: tuple[str, str],
    *,
    job_facets: dict[str, Any],
    inputs: list[Event],
    outputs: list[Event],
    known: Mapping[str, str],
) -> list[Event]:
    namespace, name = job
    common = {
        "run": {
            "runId": str(uuid5(NAMESPACE_URL, identity)),
            "facets": {
                "mlopsKit_run": _facet("mlopsKit_run", **known),
                "processing_engine": _facet("processing_engine", version=__version__, name="mlops-kit"),
            },
        },
        "job": {"namespace": f"mlops-kit://{namespace}", "name": name, "facets": job_facets},
        "inputs": inputs,
        "outputs": outputs,
        "producer": PRODUCER,
        "schemaURL": SCHEMA_URL,
    }
    return [
        {"eventType": kind, "eventTime": time, **common}
        for kind, time in zip(("START", "COMPLETE"), times, strict=True)
    ]


def _facet(facet: str, /, **values: Any) -> dict[str, Any]:
    return {"_producer": PRODUCER, "_schemaURL": f"{SPEC}/{_FACETS[facet]}", **values}


def _job_type(kind: str) -> dict[str, Any]:
    return {"jobType": _facet("jobType", processingType="BATCH", integration="MLOPS_KIT", jobType=kind)}


def _data(node: Node) -> Event:
    known = node.facts
    dataset: Event = {
        # As the specification names what lies in S3 (spec/Naming.md): s3://<bucket>, and the key.
        "namespace": f"s3://{known['bucket']}",
        "name": f"datasets/{known['dataset']}",
        "facets": {"version": _facet("version", datasetVersion=known["commit"])},
    }
    if "message" in known:
        dataset["facets"]["documentation"] = _facet("documentation", description=known["message"])
    if "files" in known:
        statistics = _facet("inputStatistics", fileCount=int(known["files"]), size=int(known["bytes"]))
        dataset["inputFacets"] = {"inputStatistics": statistics}
    return dataset


def _artifact(version: Node) -> Event:
    """The artifact in its own environment's bucket; by its digest, where the bucket is not known."""
    sha256 = version.facts.get("artifact_sha256", "")
    bucket, slash, key = version.facts.get("artifact", "").removeprefix("s3://").partition("/")
    namespace, name = (
        (f"s3://{bucket}", key) if slash else (f"mlops-kit://{version.facts.get('environment', '')}", sha256)
    )
    return {
        "namespace": namespace,
        "name": name,
        "facets": {"version": _facet("version", datasetVersion=sha256)},
    }


def _model(version: Node) -> str:
    return version.label.partition("@")[0]
