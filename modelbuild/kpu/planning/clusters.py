"""Clusters of KPU layers that may run as one function, by what they read: the output of one of them, a map
that is uploaded, or such maps beside each other, as a concat of channels is in the KPU's RAM."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.kpu.planning.maps import LAYER, beside, readers


@dataclass(frozen=True)
class Cluster:
    """`layers` and `joins` are operators (by index): joins are concats whose output the layers read where its
    inputs lie beside each other."""

    layers: tuple[int, ...]
    joins: tuple[int, ...]


class Links:
    """What makes and reads each tensor of a model, and where inputs of concats lie."""

    def __init__(self, model: FixedModel) -> None:
        self.model = model
        self.makers = {operator.outputs[0]: index for index, operator in enumerate(model.operators)}
        self.readers = readers(model)

    @cached_property
    def beside(self) -> dict[int, dict[str, int]]:
        """Of the concats whose inputs may lie beside each other, their places (`maps.beside`)."""
        found = ((index, beside(self.model, each)) for index, each in enumerate(self.model.operators))
        return {index: places for index, places in found if places is not None}

    def step(self, layer: int) -> tuple[str, str]:
        """What a layer reads, and what it writes."""
        operator = self.model.operators[layer]
        return operator.inputs[0], operator.outputs[0]

    def parts(self, name: str, joins: Collection[int]) -> Iterator[str]:
        """The maps that a tensor is, where such concats are maps beside each other."""
        maker = self.makers.get(name)
        if maker not in joins:
            yield name
            return
        assert maker is not None
        for each in self.model.operators[maker].inputs:
            yield from self.parts(each, joins)

    def needed(self, join: int, joins: Collection[int]) -> bool:
        """Whether a concat that layers read in place must be made in main memory, too."""
        (name,) = self.model.operators[join].outputs
        return name in self.model.outputs or any(
            self.model.operators[reader].kind != LAYER and (reader not in joins or self.needed(reader, joins))
            for reader in self.readers.get(name, ())
        )

    def leaves(self, name: str, cluster: Cluster) -> bool:
        """Whether what a layer of a cluster writes is read in main memory."""
        return name in self.model.outputs or any(
            reader not in cluster.layers
            and (reader not in cluster.joins or self.needed(reader, cluster.joins))
            for reader in self.readers.get(name, ())
        )


@dataclass
class _Growing:
    """`cluster` has the number of each layer and join, `uploads` that of the last that uploads a tensor,
    `inside` the join that an input lies in."""

    links: Links
    barred: set[int]
    cluster: dict[int, int] = field(default_factory=dict)
    uploads: dict[str, int] = field(default_factory=dict)
    inside: dict[tuple[int, str], int] = field(default_factory=dict)
    count: int = 0

    def add(self, layer: int) -> None:
        read, _ = self.links.step(layer)
        found = self.cluster.get(self.links.makers.get(read, -1))
        if found is None:
            found = self._joined(read)
        if found is None:
            found = self._uploaded(read)
        self.cluster[layer] = found

    def _uploaded(self, name: str) -> int:
        if name not in self.uploads:
            self.uploads[name] = self.count
            self.count += 1
        return self.uploads[name]

    def _joined(self, name: str) -> int | None:
        """The cluster in which the inputs of a concat lie beside each other, all of them in one: those that
        make any, or that of the last alone; what others make is uploaded."""
        join = self.links.makers.get(name, -1)
        if join not in self.links.beside or join in self.barred:
            return None
        inputs = self.links.model.operators[join].inputs
        makers = {self.links.makers.get(each, -1) for each in inputs} & set(self.cluster)
        if not makers:
            return None
        for merged in ({self.cluster[maker] for maker in makers}, {self.cluster[max(makers)]}):
            if self._free(merged, inputs) and not self._circular(merged, join):
                return self._merge(merged, join, inputs)
        self.barred.add(join)
        return None

    def _free(self, merged: set[int], inputs: Sequence[str]) -> bool:
        return all((number, name) not in self.inside for number in merged for name in inputs)

    def _circular(self, merged: set[int], join: int) -> bool:
        """Whether something outside lies between what they make and what they read."""
        members = {index for index, number in self.cluster.items() if number in merged} | {join}
        waiting, seen = list(members), set(members)
        while waiting:
            index = waiting.pop()
            for reader in self.links.readers.get(self.links.model.operators[index].outputs[0], ()):
                if reader in members and index not in members:
                    return True
                if reader not in seen:
                    together = self._together(reader)
                    seen |= together
                    waiting += together
        return False

    def _together(self, index: int) -> set[int]:
        number = self.cluster.get(index)
        return {index} if number is None else {each for each, own in self.cluster.items() if own == number}

    def _merge(self, merged: set[int], join: int, inputs: Sequence[str]) -> int:
        number = min(merged)
        self.cluster = {each: number if own in merged else own for each, own in self.cluster.items()}
        self.uploads = {each: number if own in merged else own for each, own in self.uploads.items()}
        self.inside = {
            (number if own in merged else own, each): place for (own, each), place in self.inside.items()
        }
        self.cluster[join] = number
        for name in inputs:
            self.inside[number, name] = join
            if self.cluster.get(self.links.makers.get(name, -1)) != number:
                self.uploads[name] = number
        return number


def clusters(links: Links, layers: Sequence[int], barred: Collection[int] = ()) -> list[Cluster]:
    """As few as there can be of `layers`, without concats that are `barred`. No cluster reads what is made of
    what it makes."""
    growing = _Growing(links, set(barred))
    for layer in sorted(layers):
        growing.add(layer)
    found: dict[int, list[int]] = {}
    for index, number in sorted(growing.cluster.items()):
        found.setdefault(number, []).append(index)
    wanted = set(layers)
    return [
        Cluster(
            tuple(index for index in members if index in wanted),
            tuple(index for index in members if index not in wanted),
        )
        for members in found.values()
    ]
