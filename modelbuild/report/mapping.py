"""Which nodes on the chip each layer of the source became."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from modelbuild.report.item import Item

AFTER = "after the chip"  # the unit of nodes that `tail: auto` has cut off


class Node(Item):
    """A node of the lowered graph, the source's nodes that it stands for, and where it runs."""

    name: str
    op: str = ""
    origin: tuple[str, ...] = ()
    unit: str = ""


class FinalNode(Item):
    """A node that a layer of the source became, alone or together with others."""

    name: str
    op: str = ""
    unit: str = ""


class SourceLayer(Item):
    """A layer of the source by its own name, its operators as ONNX has them, and what it became: nothing,
    where it was folded into constants or changes no value."""

    name: str
    operators: tuple[str, ...] = ()
    nodes: tuple[FinalNode, ...] = ()


def nodes(lowered: Mapping[str, Any], units: Mapping[str, str]) -> tuple[Node, ...]:
    """The nodes of lower.json: those on the chip with their units, then those of the tail, if one was cut."""
    of_chip = (Node(**{**node, "unit": units.get(node["name"], "")}) for node in lowered.get("nodes") or ())
    removed = (lowered.get("tail") or {}).get("removed") or ()
    return (*of_chip, *(Node(**{**node, "unit": AFTER}) for node in removed))


def layers(source: Iterable[Mapping[str, Any]], final: Iterable[Node]) -> tuple[SourceLayer, ...]:
    """`source` are the layers of import.json, in the source's order."""
    became: dict[str, list[FinalNode]] = {}
    for node in final:
        for name in dict.fromkeys(node.origin):
            became.setdefault(name, []).append(FinalNode(name=node.name, op=node.op, unit=node.unit))
    return tuple(SourceLayer(**layer, nodes=tuple(became.get(layer["name"], ()))) for layer in source)
