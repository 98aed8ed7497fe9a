"""A lineage as a Mermaid flowchart, for a README, a pull request or a wiki.

Source: https://mermaid.js.org/syntax/flowchart.html. Ids are our own (n0, n1, …), because Mermaid gives some words a
meaning (``end``); labels are quoted, and what could end the quotes or be taken for markup is an entity code.
"""

from __future__ import annotations

from typing import Final

from mlops_kit.lineage.graph import Graph, Node

_PLAIN: Final = frozenset(" .,:/@=+-_()")
"""Besides letters and digits of any language, what Mermaid takes literally inside of quotes."""


def flowchart(graph: Graph) -> str:
    ids = {node.id: f"n{number}" for number, node in enumerate(graph.nodes)}
    lines = ["flowchart LR"]
    lines += [f'    {ids[node.id]}["{_label(node)}"]' for node in graph.nodes]
    lines += [f'    {ids[edge.start]} -->|"{_escaped(edge.relation)}"| {ids[edge.end]}' for edge in graph.edges]
    noted = [ids[node.id] for node in graph.nodes if node.note]
    if noted:
        lines += ["    classDef noted stroke-dasharray: 4", f"    class {','.join(noted)} noted"]
    return "\n".join(lines) + "\n"


def _label(node: Node) -> str:
    parts = [f"{node.kind} {node.label}", *([node.note] if node.note else [])]
    return "<br/>".join(map(_escaped, parts))


def _escaped(text: str) -> str:
    return "".join(_character(character) for character in text)


def _character(character: str) -> str:
    if character.isalnum() or character in _PLAIN:
        return character
    return f"#{ord(character)};" if character.isprintable() else " "
