"""Chains of KPU layers: those that run as one function, their maps staying in the KPU's RAM."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.kpu.planning.maps import LAYER, ram_bytes, readers
from modelbuild.kpu.planning.ram import Held, held, placed

MOST_OUTPUTS = 127  # of a function: a call takes 128 arguments, two registers of shapes for each


@dataclass(frozen=True)
class Chain:
    """Layers behind one map that is uploaded, a tree: branches inside are allowed. `layers` are operators (by
    index) in order of execution, `outputs` what is read outside and goes to main memory; `address` has the
    place of every map in the KPU's RAM, in bytes."""

    source: str
    layers: tuple[int, ...]
    outputs: tuple[str, ...]
    maps: tuple[Held, ...]
    address: Mapping[str, int]

    @property
    def peak(self) -> int:
        """Bytes of RAM that it works in."""
        return max(self.address[item.tensor] + item.size for item in self.maps)


@dataclass(frozen=True)
class _Tree:
    source: str
    layers: tuple[int, ...]


def chains(model: FixedModel, room: int) -> tuple[Chain, ...]:
    """All layers of the model in as few chains as fit into `room` bytes of RAM, in order. A chain that does
    not fit is cut at a map that waits for a branch: that one goes to main memory and is uploaded again. One
    of more outputs than a call can have is cut in two. Each layer must fit alone (`limits.check_layers`)."""
    waiting = _trees(model)
    found: list[Chain] = []
    while waiting:
        tree = waiting.pop()
        if len(_outputs(model, tree)) > MOST_OUTPUTS:
            waiting += _halves(model, tree)
            continue
        orders = (tree.layers, _depth_first(model, tree))
        fitting = (_fitted(model, _Tree(tree.source, order), room) for order in orders)
        chain = next((item for item in fitting if item is not None), None)
        if chain is None:
            waiting += _cut(model, _Tree(tree.source, orders[1]), room)
        else:
            found.append(chain)
    return tuple(sorted(found, key=lambda item: min(item.layers)))


def _trees(model: FixedModel) -> list[_Tree]:
    """Layers by the map that the first of them has from main memory."""
    source: dict[str, str] = {}
    trees: dict[str, list[int]] = {}
    for index, operator in enumerate(model.operators):
        if operator.kind == LAYER:
            (read,), (written,) = operator.inputs, operator.outputs
            source[written] = source.get(read, read)
            trees.setdefault(source[written], []).append(index)
    return [_Tree(name, tuple(layers)) for name, layers in trees.items()]


def _steps(model: FixedModel, layers: Iterable[int]) -> list[tuple[str, str]]:
    return [(model.operators[index].inputs[0], model.operators[index].outputs[0]) for index in layers]


def _written(model: FixedModel, layers: Iterable[int]) -> Iterator[tuple[str, str]]:
    """What each layer writes, and what it reads."""
    for read, written in _steps(model, layers):
        yield written, read


def _held(model: FixedModel, tree: _Tree) -> tuple[Held, ...]:
    steps = _steps(model, tree.layers)
    names = {tree.source, *(name for step in steps for name in step)}
    return held(tree.source, steps, {name: ram_bytes(model.tensors[name]) for name in names})


def _fitted(model: FixedModel, tree: _Tree, room: int) -> Chain | None:
    maps = _held(model, tree)
    places = placed(maps, dict(_written(model, tree.layers)), room)
    if places is None:
        return None
    address = {item.tensor: place for item, place in zip(maps, places, strict=True)}
    return Chain(tree.source, tree.layers, _outputs(model, tree), maps, address)


def _outputs(model: FixedModel, tree: _Tree) -> tuple[str, ...]:
    """What is read outside of the tree."""
    read_by, inside = readers(model), set(tree.layers)
    return tuple(
        name
        for _, name in _steps(model, tree.layers)
        if name in model.outputs or not inside.issuperset(read_by.get(name, ()))
    )


def _halves(model: FixedModel, tree: _Tree) -> list[_Tree]:
    """The first half of the layers, one branch after the other; and the rest, by what it reads of these."""
    order = _depth_first(model, tree)
    first = order[: len(order) // 2]
    kept = {tree.source, *(name for _, name in _steps(model, first))}
    source: dict[str, str] = {}
    rest: dict[str, list[int]] = {}
    for index in order[len(first) :]:
        ((read, written),) = _steps(model, [index])
        source[written] = read if read in kept else source[read]
        rest.setdefault(source[written], []).append(index)
    return [_Tree(tree.source, first), *(_Tree(name, tuple(layers)) for name, layers in rest.items())]


def _children(model: FixedModel, layers: Iterable[int]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for index in layers:
        found.setdefault(model.operators[index].inputs[0], []).append(index)
    return found


def _depth_first(model: FixedModel, tree: _Tree) -> tuple[int, ...]:
    """The order in which one branch is done before the next begins, the one that needs most RAM last: what
    they branch from is held until then."""
    children = _children(model, tree.layers)
    needs: dict[int, int] = {}
    for index in reversed(tree.layers):
        below = children.get(model.operators[index].outputs[0], ())
        own = sum(ram_bytes(model.tensors[name]) for name in _steps(model, [index])[0])
        needs[index] = max([own, *(needs[child] for child in below)])
    found: list[int] = []
    waiting = _by_need(children.get(tree.source, ()), needs)
    while waiting:
        index = waiting.pop()
        found.append(index)
        waiting += _by_need(children.get(model.operators[index].outputs[0], ()), needs)
    return tuple(found)


def _by_need(layers: Iterable[int], needs: Mapping[int, int]) -> list[int]:
    """The one that needs least at the end."""
    return sorted(layers, key=lambda index: (-needs[index], -index))


def _cut(model: FixedModel, tree: _Tree, room: int) -> tuple[_Tree, _Tree]:
    """Two trees: at the fullest moment, the largest map that only waits is given up, and the layers that
    would have read it later begin a chain of their own."""
    maps = _held(model, tree)
    steps = _steps(model, tree.layers)

    def live(number: int) -> list[Held]:
        return [item for item in maps if item.first <= number <= item.last]

    def waiting(number: int) -> list[Held]:
        return [item for item in live(number) if number and item.tensor not in steps[number - 1]]

    full = max(
        (number for number in range(1, len(steps) + 1) if waiting(number)),
        key=lambda number: (sum(item.size for item in live(number)), -number),
    )
    victim = max(waiting(full), key=lambda item: (item.size, -item.first))
    late = {
        steps[number - 1][1]
        for number in range(full + 1, len(steps) + 1)
        if steps[number - 1][0] == victim.tensor
    }
    kept, moved = [], []
    gone = set(late)
    for index, (read, written) in zip(tree.layers, steps, strict=True):
        if written in gone or read in gone:
            gone.add(written)
            moved.append(index)
        else:
            kept.append(index)
    return _Tree(tree.source, tuple(kept)), _Tree(victim.tensor, tuple(moved))
