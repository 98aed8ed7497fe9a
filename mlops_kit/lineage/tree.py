"""A lineage as a tree for people: the root on top, what it is made of below."""

from __future__ import annotations

from rich.text import Text
from rich.tree import Tree

from mlops_kit.lineage.graph import Edge, Graph, Node


def tree(graph: Graph) -> Tree:
    """Every node once; where another path leads to it as well, only its name."""
    below: dict[str, list[Edge]] = {}
    for edge in graph.edges:
        below.setdefault(edge.start, []).append(edge)
    nodes = {node.id: node for node in graph.nodes}
    root = Tree(_line(nodes[graph.root]))
    shown = {graph.root}
    waiting = [(root, graph.root)]
    while waiting:
        branch, id_ = waiting.pop()
        for edge in below.get(id_, []):
            again = edge.end in shown
            shown.add(edge.end)
            line = _line(nodes[edge.end], edge.relation)
            leaf = branch.add(line.append(" (shown once)", "dim") if again else line)
            if not again:
                waiting.append((leaf, edge.end))
    return root


def _line(node: Node, relation: str = "") -> Text:
    line = Text()
    if relation:
        line.append(f"{relation} ", "dim")
    line.append(f"{node.kind} ", "bold").append(printable(node.label))
    if node.note:
        line.append(f"  [{printable(node.note)}]", "yellow")
    return line


def printable(text: str) -> str:
    """What strangers wrote (authors, paths) must not move the cursor or colour the terminal."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
