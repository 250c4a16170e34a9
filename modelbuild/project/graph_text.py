"""A graph as Mermaid and DOT text. Names come from files, so they may hold anything."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping

from modelbuild.project.graphing import Graph, Node

# kind -> the brackets that give a Mermaid node its shape, and DOT's name of such a shape
_SHAPES: Mapping[str, tuple[str, str, str]] = {
    "file": ("[/", "/]", "note"),
    "samples": ("[(", ")]", "cylinder"),
    "package": ("[[", "]]", "box3d"),
}
_BOX = ("[", "]", "box")
# state -> fill colour; the state is in the text as well, for those who see no colours
_FILLS = {"up to date": "#d9f2d9", "out of date": "#fff2b3", "failed": "#f7c5c5", "unknown": "#e6e6e6"}
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})  # Unicode categories that show nothing


def visible(text: str) -> str:
    """The text on one line: what a reader could not see, or would be misled by, as in Python's `'\\n'`."""
    return "".join(
        c.encode("unicode_escape").decode("ascii") if unicodedata.category(c) in _HIDDEN else c for c in text
    )


def mermaid(graph: Graph) -> str:
    """A Mermaid flowchart. Ids are n1, n2, ..., so that no name can be one of Mermaid's words."""
    ids = _ids(graph)
    lines = ["flowchart LR"]
    for node in graph.nodes:
        opening, closing, _ = _SHAPES.get(node.kind, _BOX)
        label = "<br/>".join(map(_mermaid_text, _label(node)))
        lines.append(f'  {ids[node.id]}{opening}"{label}"{closing}')
    lines += [
        f"  {ids[edge.source]} {'-.->' if edge.soft else '-->'} {ids[edge.reader]}" for edge in graph.edges
    ]
    for state, fill in _FILLS.items():
        of_state = [ids[node.id] for node in graph.nodes if node.state == state]
        if of_state:
            word = state.replace(" ", "_")
            lines.append(f"  classDef {word} fill:{fill}")
            lines.append(f"  class {','.join(of_state)} {word}")
    return "\n".join(lines) + "\n"


def dot(graph: Graph) -> str:
    """A directed graph for Graphviz."""
    ids = _ids(graph)
    lines = ["digraph modelbuild {", "  rankdir=LR;", '  node [fontname="sans-serif"];']
    for node in graph.nodes:
        label = "\\n".join(map(_dot_text, _label(node)))
        shape = _SHAPES.get(node.kind, _BOX)[2]
        fill = f', style=filled, fillcolor="{_FILLS[node.state]}"' if node.state else ""
        lines.append(f'  {ids[node.id]} [label="{label}", shape={shape}{fill}];')
    for edge in graph.edges:
        style = " [style=dashed]" if edge.soft else ""
        lines.append(f"  {ids[edge.source]} -> {ids[edge.reader]}{style};")
    return "\n".join([*lines, "}"]) + "\n"


FORMATS: Mapping[str, Callable[[Graph], str]] = {"mermaid": mermaid, "dot": dot}


def _ids(graph: Graph) -> dict[str, str]:
    return {node.id: f"n{index}" for index, node in enumerate(graph.nodes, 1)}


def _label(node: Node) -> list[str]:
    lines = [visible(node.name)]
    if node.kind in {"stage", "model", "package"}:
        lines.append(f"{len(node.actions)} action{'s' if len(node.actions) > 1 else ''}")
    return [*lines, node.state] if node.state else lines


# what Mermaid, or the Markdown and HTML that it puts labels through, would read
_SPECIAL = r"[^\w .,/@():=-]|^[- ]|(?<=\d)\.(?= )|(?<![^\W_])_|_(?![^\W_])|:(?=/)|^www"


def _mermaid_text(text: str) -> str:
    """Codes for what is special; Mermaid's rule for `style` would also eat codes after a colon."""
    return re.sub(_SPECIAL + ("|:" if "style" in text or "classDef" in text else ""), _code, text)


def _code(match: re.Match[str]) -> str:
    return "".join(f"#{ord(c)};" for c in match[0])


def _dot_text(text: str) -> str:
    """Graphviz reads escapes and HTML's entities in labels."""
    return text.replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"')
