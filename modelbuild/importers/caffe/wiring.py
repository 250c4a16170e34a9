"""Blobs that layers overwrite -> tensors that are made once; cutting before anything is looked at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from modelbuild.errors import ModelbuildError, did_you_mean
from modelbuild.graph.edits import INPUT, Edit, leading_cuts, resolve
from modelbuild.graph.fresh_names import fresh
from modelbuild.graph.order import unique_names
from modelbuild.importers.caffe.network import Layer, Network


@dataclass(frozen=True)
class Step:
    """One layer with the tensors that it reads and makes, and a name that no other layer has."""

    layer: Layer
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def wired(network: Network) -> tuple[list[Step], list[str]]:
    """The steps in order, and the outputs: what is made and never read, in the order of the file.

    A blob's last tensor has the blob's name. An earlier one is `BLOB_before_LAYER`, after the layer that
    overwrites it. A blob that is a model input keeps its name there, and what overwrites it is
    `BLOB_after_LAYER`.
    """
    names = unique_names(layer.name for layer in network.layers)
    tensors = _Tensors(network, names)
    steps = []
    for layer, name in zip(network.layers, names, strict=True):
        inputs = tuple(tensors.read(layer, blob) for blob in layer.bottoms)
        steps.append(Step(layer, name, inputs, tuple(tensors.write(layer, blob) for blob in layer.tops)))
    return steps, [name for name in tensors.current.values() if name in tensors.unread]


def pruned(
    steps: Sequence[Step], outputs: Sequence[str], edits: Sequence[Edit]
) -> tuple[list[Step], list[str]]:
    """What the leading `cut` edits leave of the steps, and the outputs that they ask for."""
    wanted, kept = list(outputs), list(steps)
    others = dict.fromkeys((name for step in steps for name in step.inputs), INPUT)  # that no step makes
    for cut in leading_cuts(edits):
        if cut.outputs:
            made = [name for step in kept for name in step.outputs]
            with cut.numbered:
                wanted = resolve(cut.outputs, made, {step.name: step.outputs for step in kept}, others)
            kept = _needed(kept, wanted)
    return kept, wanted


def _needed(steps: Sequence[Step], wanted: Iterable[str]) -> list[Step]:
    needed, kept = set(wanted), list[Step]()
    for step in reversed(steps):
        if needed.intersection(step.outputs):
            needed.update(step.inputs)
            kept.append(step)
    return kept[::-1]


class _Tensors:
    """Which tensor each blob is at the moment."""

    def __init__(self, network: Network, names: Sequence[str]) -> None:
        self.current = {name: name for name in network.inputs}
        self.unread: set[str] = set()
        self._inputs = frozenset(network.inputs)
        self._writers: dict[str, list[str]] = {}
        for layer, name in zip(network.layers, names, strict=True):
            for blob in layer.tops:
                self._writers.setdefault(blob, []).append(name)
        self._written = dict.fromkeys(self._writers, 0)
        self._taken = {*network.inputs, *self._writers}

    def read(self, layer: Layer, blob: str) -> str:
        """The tensor that `layer` reads as `blob`."""
        if blob not in self.current:
            raise ModelbuildError(
                f"{layer.label} reads the blob `{blob}`, which no layer before it makes",
                where=layer.message.where,
                advice=did_you_mean(blob, self.current),
            )
        self.unread.discard(self.current[blob])
        return self.current[blob]

    def write(self, layer: Layer, blob: str) -> str:
        """The tensor that `layer` makes as `blob`."""
        if (blob in self.current and blob not in layer.bottoms) or layer.tops.count(blob) > 1:
            raise ModelbuildError(f"the blob `{blob}` is made twice", where=layer.message.where)
        count, writers = self._written[blob], self._writers[blob]
        self._written[blob] = count + 1
        if blob in self._inputs:
            name = fresh(f"{blob}_after_{writers[count]}", self._taken)
        elif count + 1 == len(writers):
            name = blob
        else:
            name = fresh(f"{blob}_before_{writers[count + 1]}", self._taken)
        self.current.pop(blob, None)  # outputs stand in the order in which they were made last
        self.current[blob] = name
        self.unread.add(name)
        return name
