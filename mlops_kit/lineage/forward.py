"""From a data commit to what was made of it in one environment: versions that are registered, and their releases."""

from __future__ import annotations

from collections.abc import Iterable

from mlops_kit import registry
from mlops_kit.datasets.read import find_commit
from mlops_kit.lineage.backward import Reader
from mlops_kit.lineage.data import commit_id, commit_node
from mlops_kit.lineage.graph import Drawing, Graph, Node
from mlops_kit.lineage.nodes import release_node, version_node
from mlops_kit.promotion.data_in_use import with_ledger
from mlops_kit.promotion.events import Event
from mlops_kit.promotion.ledger import Ledger
from mlops_kit.promotion.releases import current


def of_data(reader: Reader, dataset: str, commit: str) -> Graph:
    """Everything that names the commit: by the packages of the models deployed here, and by every ledger.

    Raises:
        IntegrityError: a ledger was tampered with.
    """
    drawing = Drawing()
    root = drawing.add(commit_node(reader.lake, dataset, commit, find_commit(reader.lake, dataset, commit)))
    deployed = set(reader.environment.models)
    recorded = with_ledger(reader.ledger.keys(""), reader.environment.names.approvals_prefix)
    for model in sorted(deployed.union(recorded)):
        versions = _versions(drawing, reader, model, root) if model in deployed else {}
        _releases(drawing, reader, model, root, versions)
    return drawing.graph(root)


def _versions(drawing: Drawing, reader: Reader, model: str, root: Node) -> dict[int, Node]:
    found = {}
    for version in registry.list_versions(reader.sagemaker, reader.names(model)):
        if commit_id(version.lineage.dataset, version.lineage.dataset_commit) == root.id:
            node = version_node(reader.environment.name, version)
            found[version.version] = drawing.add(node, below=root, relation="trained")
    return found


def _releases(drawing: Drawing, reader: Reader, model: str, root: Node, versions: dict[int, Node]) -> None:
    names = reader.names(model)
    events = Ledger(reader.ledger, names).events()
    running = current(events)
    for event in _first_successes(events):
        release = event.release
        if commit_id(release.dataset, release.dataset_commit) != root.id:
            continue
        node = release_node(names, release, event)
        if running is not None and running.id == release.id:
            node = Node(node.id, node.kind, f"{node.label} (what the ledger says runs now)", node.facts)
        above = versions.get(release.version, root)
        drawing.add(node, below=above, relation="released as" if above is not root else f"released of {model} as")


def _first_successes(events: Iterable[Event]) -> list[Event]:
    found: dict[str, Event] = {}
    for event in events:
        if event.outcome == "succeeded":
            found.setdefault(event.release.id, event)
    return list(found.values())
