"""A lineage as data: nodes with what is known of each, and edges that say what they have to do with each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["endpoint", "release", "version", "job", "code", "source", "image", "data", "check", "file", "files"]


@dataclass(frozen=True, slots=True)
class Node:
    """One thing. ``id`` is what it is known by everywhere: an ARN, or a name with a digest.

    ``note`` says what is wrong with it, or why there is no more to say.
    """

    id: str
    kind: Kind
    label: str
    facts: Mapping[str, str] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True, slots=True)
class Edge:
    """``start`` ``relation`` ``end``, read as a sentence: "version 3, trained by, job x"."""

    start: str
    relation: str
    end: str


@dataclass(frozen=True, slots=True)
class Graph:
    """``root``: the id of the node that was asked for."""

    root: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]

    def node(self, id_: str) -> Node:
        """Raises:
        KeyError: there is none.
        """
        for node in self.nodes:
            if node.id == id_:
                return node
        raise KeyError(id_)

    def of(self, kind: Kind) -> tuple[Node, ...]:
        return tuple(node for node in self.nodes if node.kind == kind)

    def to_json(self) -> dict[str, Any]:
        return {
            "root": self.root,
            "nodes": [
                {"id": node.id, "kind": node.kind, "label": node.label, "facts": dict(node.facts), "note": node.note}
                for node in self.nodes
            ],
            "edges": [{"start": edge.start, "relation": edge.relation, "end": edge.end} for edge in self.edges],
        }


class Drawing:
    """A graph in the making: nodes in the order they are found, each once."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}
        self._edges: dict[Edge, None] = {}

    def add(self, node: Node, *, below: Node | None = None, relation: str = "") -> Node:
        """Add a node, and with ``below`` the edge to it; a node that is there already stays as it is."""
        self._nodes.setdefault(node.id, node)
        if below is not None:
            self._edges[Edge(below.id, relation, node.id)] = None
        return self._nodes[node.id]

    def graph(self, root: Node) -> Graph:
        return Graph(root.id, tuple(self._nodes.values()), tuple(self._edges))


def facts(**known: object) -> dict[str, str]:
    """Facts as text, without those that nobody knows."""
    return {name: str(value) for name, value in known.items() if value not in ("", None)}
