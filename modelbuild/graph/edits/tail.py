"""`tail: auto`: what the chip's NPU does not run, and all that follows, becomes a model of its own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from modelbuild.chips.recipe import Recipe
from modelbuild.chips.units import ON_NPU
from modelbuild.errors import ModelbuildError
from modelbuild.graph import edit_places
from modelbuild.graph.after_chip import mark
from modelbuild.graph.check import Finding, Placement, place
from modelbuild.graph.model import Graph, Node
from modelbuild.graph.passes import remove_dead_nodes
from modelbuild.graph.preprocess_nodes import mend
from modelbuild.graph.rewrite import copied

POST = "_post"  # what the name of the part after the chip ends with
_COMPUTING = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_LATE = 0.5  # so much of the computing nodes in the tail is worth a warning


@dataclass(frozen=True)
class Removed:
    """A node of the tail; `reason` is why the NPU does not run it, empty where it follows one that is not."""

    name: str
    op: str
    origin: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class Split:
    """A model in two parts. `post` reads tensors of `chip` (and inputs of the model) under their own names
    and makes those `outputs` of the whole that `chip` does not make; it has no node where nothing was cut."""

    chip: Graph
    post: Graph
    outputs: tuple[str, ...]
    removed: tuple[Removed, ...]
    computing: int  # how many Conv, ConvTranspose, Gemm and MatMul there are in both
    computing_removed: int

    @property
    def is_early(self) -> bool:
        """Whether the tail holds half of the computing nodes or more: then the NPU is hardly used."""
        return bool(self.removed) and self.computing_removed >= _LATE * max(self.computing, 1)

    @property
    def causes(self) -> tuple[Removed, ...]:
        """The nodes that the NPU does not run, those first at which the tail begins."""
        return tuple(node for node in self.removed if node.reason)

    def finding(self, chip: str) -> Finding | None:
        """What `check` says of it: a note, or, where little is left for the NPU, a warning."""
        if not self.removed:
            return None
        first = self.causes[0]
        start = (
            f"`tail: auto`: {len(self.removed)} nodes run after the chip, from {first.op} `{first.name}` on "
            f"({first.reason})"
        )
        if not self.is_early:
            message = f"{start}; the package has them as MODEL{POST}.onnx"
            return Finding("MB111", "note", message, mend(first.op, first.origin), first.name)
        message = f"{start}: {self.computing_removed} of {self.computing} nodes that compute are among them"
        advice = mend(first.op, first.origin) or (
            f"replace or remove `{first.name}` in the model (`edit: remove`, `insert`), train it without, or "
            f"take another chip: what little is left for the NPU of {chip} is hardly worth the way there"
        )
        return Finding("MB111", "warning", message, advice, first.name)

    def to_json(self) -> dict[str, Any]:
        """The object `tail` of lower.json."""
        return {
            "outputs": list(self.outputs),
            "cut": list(self.chip.outputs),
            "removed": [
                {"name": n.name, "op": n.op, "origin": list(n.origin), "reason": n.reason}
                for n in self.removed
            ],
            "early": self.is_early,
            "computing": self.computing,
            "computing_removed": self.computing_removed,
        }


def split(graph: Graph, recipe: Recipe) -> Split:
    """The lowered `graph` as the part that the NPU of the recipe's chip runs whole, and the part after it.

    Every node that the NPU does not run, and every one that depends on such a node, is in the part after.
    Tensors keep their names. Raises (exit 2) where nothing is left for the NPU, naming the first node.
    """
    reasons: dict[str, str] = {}
    chip = copied(graph)
    while True:
        found = _not_on_npu(chip, place(chip, recipe))
        if not found:
            break
        reasons |= found
        chip = _without(graph, _following(graph, reasons))
    tail = _following(graph, reasons)
    removed = [
        Removed(node.name, node.op, node.origin, reasons.get(node.name, ""))
        for node in graph.nodes
        if node.name in tail
    ]
    if tail and not chip.nodes:
        first = next(node for node in removed if node.reason)
        raise ModelbuildError(
            f"`tail: auto` leaves the NPU of {recipe.chip} nothing to run: "
            f"{first.op} `{first.name}` stands before everything else",
            where=edit_places.place(edit_places.LAST),
            why=first.reason,
            advice=mend(first.op, first.origin)
            or "cut the model behind it with `cut: {inputs: [...]}` and compute what comes before on the "
            "host, or take another chip (`modelbuild check` names those that run it)",
        )
    everything, rest = _computing(graph.nodes), _computing(n for n in graph.nodes if n.name in tail)
    post = _part(graph, tail, chip)
    mark(post, graph.outputs)
    return Split(chip, post, tuple(graph.outputs), tuple(removed), everything, rest)


def _not_on_npu(graph: Graph, placement: Placement) -> dict[str, str]:
    """Node -> why the NPU does not run it, or cannot be told to."""
    errors = {f.node: f.message for f in placement.findings if f.severity == "error" and f.node}
    return {
        node.name: placement.reasons.get(node.name) or errors[node.name]
        for node in graph.nodes
        if placement.units[node.name] not in ON_NPU or node.name in errors
    }


def _following(graph: Graph, first: Iterable[str]) -> set[str]:
    """The nodes `first`, and all that depend on them."""
    found, made = set(first), set[str]()
    for node in graph.nodes:
        if node.name in found or made.intersection(node.inputs):
            found.add(node.name)
            made.update(name for name in node.outputs if name)
    return found


def _without(graph: Graph, tail: set[str]) -> Graph:
    """The part on the chip: its outputs are the whole's that it makes, then what the tail reads of it."""
    chip = copied(graph)
    chip.nodes = [node for node in chip.nodes if node.name not in tail]
    made = [name for node in chip.nodes for name in node.outputs if name]
    rest = [node for node in graph.nodes if node.name in tail]
    read = {name for node in rest for name in node.inputs}
    later = {name for node in rest for name in node.outputs}
    border = [name for name in graph.outputs if name not in later]
    chip.outputs = [*border, *(name for name in made if name in read and name not in border)]
    remove_dead_nodes.run(chip)
    used = {name for node in chip.nodes for name in node.inputs}
    chip.inputs = [name for name in chip.inputs if name in used]
    return chip


def _part(graph: Graph, tail: set[str], chip: Graph) -> Graph:
    """The part after the chip: its inputs are the chip's outputs that it reads, then inputs of the model."""
    post = copied(graph)
    post.name = f"{graph.name}{POST}"
    post.nodes = [node for node in post.nodes if node.name in tail]
    made = {name for node in post.nodes for name in node.outputs}
    read = {name for node in post.nodes for name in node.inputs}
    post.inputs = [name for name in dict.fromkeys((*chip.outputs, *graph.inputs)) if name in read]
    post.outputs = [name for name in graph.outputs if name in made]
    post.metadata, post.quantization = {}, None
    remove_dead_nodes.run(post)
    return post


def _computing(nodes: Iterable[Node]) -> int:
    return sum(node.op in _COMPUTING for node in nodes)
