"""Chains of KPU layers: those that run as one function, their maps staying in the KPU's RAM."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.kpu.planning.clusters import Cluster, Links, clusters
from modelbuild.kpu.planning.maps import LAYER, ram_bytes
from modelbuild.kpu.planning.ram import Held, held, placed

MOST_ARGUMENTS = 128  # of a call, two registers of shapes for each: maps that come and go


@dataclass(frozen=True)
class Chain:
    """Layers in order of execution: `layers` are operators (by index), `uploads` the maps that come from main
    memory right before one of them. `joins` are concats (by index) whose inputs lie beside each other, so
    that layers read all at once. `outputs` is what is read outside and goes to main memory; `address` has the
    place of every map in the KPU's RAM, in bytes."""

    layers: tuple[int, ...]
    uploads: Mapping[int, tuple[str, ...]]
    joins: tuple[int, ...]
    outputs: tuple[str, ...]
    maps: tuple[Held, ...]
    address: Mapping[str, int]

    @property
    def sources(self) -> tuple[str, ...]:
        """All that is uploaded, in order."""
        return tuple(name for index in self.layers for name in self.uploads.get(index, ()))

    def steps(self) -> Iterator[tuple[int, str | None]]:
        """In order: the map that is uploaded for a layer, or None and the layer itself."""
        for index in self.layers:
            for name in self.uploads.get(index, ()):
                yield index, name
            yield index, None

    @property
    def peak(self) -> int:
        """Bytes of RAM that it works in."""
        return max(self.address[item.tensor] + item.size for item in self.maps)


def chains(model: FixedModel, room: int) -> tuple[Chain, ...]:
    """All layers of the model in as few chains as fit into `room` bytes of RAM, in order. Of a chain that
    does not fit, a concat is made in main memory after all; one without any is cut at a map that waits for
    a branch: that one goes to main memory and is uploaded again. One of more maps than a call can have is
    cut in two. Each layer must fit alone (`limits.check_layers`)."""
    links = Links(model)
    layers = [index for index, operator in enumerate(model.operators) if operator.kind == LAYER]
    waiting = clusters(links, layers)
    barred: set[int] = set()
    found: list[Chain] = []
    while waiting:
        cluster = waiting.pop()
        orders = (cluster.layers, _depth_first(links, cluster))
        many = len(_outputs(links, cluster)) + len(_sources(links, cluster)) > MOST_ARGUMENTS
        fitting = (_fitted(links, cluster, order, room) for order in orders if not many)
        chain = next((item for item in fitting if item is not None), None)
        if chain is not None:
            found.append(chain)
        elif cluster.joins:
            barred.add(_given_up(links, replace(cluster, layers=orders[1])))
            waiting += clusters(links, cluster.layers, barred)
        else:
            cut = _halves if many else _cut
            waiting += cut(links, replace(cluster, layers=orders[1]))
    return tuple(sorted(found, key=lambda item: min(item.layers)))


def unneeded(model: FixedModel, found: Sequence[Chain]) -> frozenset[int]:
    """The concats (by index) that nobody reads in main memory."""
    links = Links(model)
    return frozenset(join for chain in found for join in chain.joins if not links.needed(join, chain.joins))


def _outputs(links: Links, cluster: Cluster) -> tuple[str, ...]:
    """What is read outside of the cluster."""
    names = (links.step(index)[1] for index in cluster.layers)
    return tuple(name for name in names if links.leaves(name, cluster))


def _uploads(links: Links, cluster: Cluster, order: Sequence[int]) -> dict[int, tuple[str, ...]]:
    """What comes from main memory, before the layer that first reads it."""
    made = {links.step(index)[1] for index in order}
    found: dict[int, tuple[str, ...]] = {}
    for index in order:
        read = links.parts(links.step(index)[0], cluster.joins)
        new = tuple(dict.fromkeys(name for name in read if name not in made))
        if new:
            found[index] = new
            made.update(new)
    return found


def _sources(links: Links, cluster: Cluster) -> list[str]:
    return [name for names in _uploads(links, cluster, cluster.layers).values() for name in names]


# Places in the RAM


def _spots(links: Links, joins: Sequence[int]) -> dict[str, tuple[str, int]]:
    """The root and the offset of each tensor that lies in another."""
    above = {
        name: (links.model.operators[join].outputs[0], offset)
        for join in joins
        for name, offset in links.beside[join].items()
    }
    found = {}
    for name in above:
        root, offset = above[name]
        while root in above:
            root, more = above[root]
            offset += more
        found[name] = (root, offset)
    return found


def _held(links: Links, cluster: Cluster, order: Sequence[int]) -> tuple[Held, ...]:
    """Lifetimes of what is uploaded and what the layers write."""
    uploads = _uploads(links, cluster, order)
    operations: list[tuple[Sequence[str], str]] = []
    for index in order:
        read, written = links.step(index)
        operations += [((), name) for name in uploads.get(index, ())]
        operations.append((tuple(links.parts(read, cluster.joins)), written))
    sizes = {name: ram_bytes(links.model.tensors[name]) for _, name in operations}
    return held(operations, sizes, _spots(links, cluster.joins))


def _fitted(links: Links, cluster: Cluster, order: Sequence[int], room: int) -> Chain | None:
    maps = _held(links, cluster, order)
    steps = [links.step(index) for index in order]
    places = placed(maps, {written: read for read, written in steps}, room)
    if places is None:
        return None
    address = {item.tensor: place for item, place in zip(maps, places, strict=True)}
    for join in cluster.joins:  # a map of many begins where the first of them does
        (name,) = links.model.operators[join].outputs
        address[name] = address[next(links.parts(name, cluster.joins))]
    uploads, outputs = _uploads(links, cluster, order), _outputs(links, cluster)
    return Chain(tuple(order), uploads, cluster.joins, outputs, maps, address)


# Orders of layers


def _children(links: Links, cluster: Cluster) -> dict[int, list[int]]:
    """The layers that read what each writes, alone or beside others; those of -1 read what is uploaded."""
    makers = {links.step(index)[1]: index for index in cluster.layers}
    found: dict[int, list[int]] = {}
    for index in cluster.layers:
        read = links.parts(links.step(index)[0], cluster.joins)
        for maker in dict.fromkeys(makers.get(name, -1) for name in read):
            found.setdefault(maker, []).append(index)
    return found


def _depth_first(links: Links, cluster: Cluster) -> tuple[int, ...]:
    """The order in which one branch is done before the next begins, the one that needs most RAM last: what
    they branch from is held until then. A layer waits for all that it reads."""
    children = _children(links, cluster)
    needs: dict[int, int] = {}
    for index in reversed(cluster.layers):
        own = sum(ram_bytes(links.model.tensors[name]) for name in links.step(index))
        needs[index] = max([own, *(needs[child] for child in children.get(index, ()))])
    missing = {index: sum(index in each for each in children.values()) for index in cluster.layers}
    found: list[int] = []
    waiting: list[int] = []

    def done(maker: int) -> None:
        for child in children.get(maker, ()):
            missing[child] -= 1
        waiting.extend(_by_need([each for each in children.get(maker, ()) if not missing[each]], needs))

    done(-1)
    while waiting:
        found.append(waiting.pop())
        done(found[-1])
    return tuple(found)


def _by_need(layers: Iterable[int], needs: Mapping[int, int]) -> list[int]:
    """The one that needs least at the end."""
    return sorted(layers, key=lambda index: (-needs[index], -index))


# What does not fit


def _given_up(links: Links, cluster: Cluster) -> int:
    """The largest concat that lies in the RAM at the fullest moment; the largest of all if none does."""
    maps = _held(links, cluster, cluster.layers)
    moments = range(max(item.last for item in maps) + 1)
    live = {number: [item for item in maps if item.first <= number <= item.last] for number in moments}
    full = max(moments, key=lambda number: (sum(item.size for item in live[number]), -number))
    sizes = {}
    for join in cluster.joins:
        (name,) = links.model.operators[join].outputs
        parts = set(links.parts(name, cluster.joins))
        there = any(item.tensor in parts for item in live[full])
        sizes[join] = (there, ram_bytes(links.model.tensors[name]), -join)
    return max(sizes, key=lambda join: sizes[join])


def _halves(links: Links, cluster: Cluster) -> list[Cluster]:
    """The first half of the layers, one branch after the other; and the rest, by what it reads of these."""
    order = cluster.layers
    first = order[: len(order) // 2]
    return [Cluster(first, ()), *clusters(links, order[len(first) :], links.beside)]


def _cut(links: Links, cluster: Cluster) -> list[Cluster]:
    """At the fullest moment, the largest map that only waits is given up, and the layers that would have read
    it later begin a chain of their own."""
    maps = _held(links, cluster, cluster.layers)
    steps = [links.step(index) for index in cluster.layers]

    def live(number: int) -> list[Held]:
        return [item for item in maps if item.first <= number <= item.last]

    def waiting(number: int) -> list[Held]:
        return [item for item in live(number) if number and item.tensor not in steps[number - 1]]

    full = max(
        (number for number in range(1, len(steps) + 1) if waiting(number)),
        key=lambda number: (sum(item.size for item in live(number)), -number),
    )
    victim = max(waiting(full), key=lambda item: (item.size, -item.first))
    gone = {
        steps[number - 1][1]
        for number in range(full + 1, len(steps) + 1)
        if steps[number - 1][0] == victim.tensor
    }
    kept, moved = [], []
    for index, (read, written) in zip(cluster.layers, steps, strict=True):
        if written in gone or read in gone:
            gone.add(written)
            moved.append(index)
        else:
            kept.append(index)
    return [Cluster(tuple(kept), ()), Cluster(tuple(moved), ())]
