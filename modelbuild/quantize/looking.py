"""A graph that gives some values of every tensor and their gradients: what histograms are counted from."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from modelbuild.graph.fresh_names import fresh, tensors
from modelbuild.graph.gradient import gradient_graph, scores
from modelbuild.graph.model import Graph, Node, Shape
from modelbuild.graph.session import FloatSession, Many
from modelbuild.quantize.extremes import centred

VALUES = 16384  # of a tensor that are looked at, at most; a few shapes need up to three times as many
SMALLEST = 1e-30  # power of an output that gradients speak of: relative to less they leave float32
_KEY = 0x6D6F64656C  # of the generator; any number would do
Sample = Mapping[str, NDArray[Any]]


class Samples(Protocol):
    """A list of samples, or what reads each as it is asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, number: int, /) -> Sample: ...


# tensor -> values and their gradients: no gradients where they are not known, no values where none are wanted
Seen = dict[str, tuple[NDArray[Any] | None, NDArray[Any] | None]]
Run = Callable[[int, Sample], Seen]  # of the sample of that number what is looked at


@dataclass(frozen=True)
class Places:
    """The cells of a tensor that are looked at: every `pace`-th, from `start`; all where `pace` is 1.

    The pace shares no factor with the size of a channel, so that all channels, rows and columns have their
    share; where it is larger than a channel, with none of the axes but the first.
    """

    start: int
    pace: int
    count: int

    def of(self, values: NDArray[Any]) -> NDArray[Any]:
        """The values there."""
        return values.reshape(-1)[self.start :: self.pace][: self.count]

    def channels(self, shape: Shape) -> NDArray[np.int64]:
        """The channel (axis 1) of each; 0 for tensors of fewer axes."""
        if len(shape) < 2:
            return np.zeros(self.count, np.int64)
        cells = self.start + self.pace * np.arange(self.count)
        return cells // math.prod(shape[2:]) % shape[1]


def places_in(shape: Shape) -> Places:
    """Where a tensor of `shape` is looked at; of the shape alone."""
    size = math.prod(shape)
    if size <= VALUES:
        return Places(0, 1, size)
    wanted, channel = -(-size // VALUES), math.prod(shape[2:])
    inner = channel if wanted <= channel else math.prod(shape[1:])
    paces = (*range(wanted, 6 * size // VALUES), *range(wanted, 0, -1))  # rather more than less than a sixth
    pace = next(each for each in paces if math.gcd(each, inner) == 1)
    return Places(pace // 2, pace, size // pace)


class Look:
    """The model with its gradients, to be run: of the tensors `names` values and gradients, of those that are
    `melted` gradients alone.

    `powers`: tensor -> its squared norm in the mean of the samples. Squared gradients are to be divided by
    `power`, that of one output; in the graph others are weighed against it. So one output's gradients are
    exact where weights are small integers.
    """

    def __init__(
        self,
        graph: Graph,
        names: Collection[str],
        powers: Mapping[str, float],
        melted: Collection[str] = frozenset(),
    ) -> None:
        self._graph, self._names = graph, names
        found = gradient_graph(graph, [*names, *melted])
        self.missing = dict(found.missing)
        outputs = {name: powers[name] for name in found.cotangents if powers.get(name, 0.0) > SMALLEST}
        self.outputs = len(outputs)
        self.power = next(iter(outputs.values()), 1.0)
        self._cotangents = [
            (name, other, math.sqrt(self.power / outputs[name]) if name in outputs else 0.0)
            for name, other in found.cotangents.items()
        ]
        self._scores = scores(graph)
        self._gradients = found

    def weighed(self) -> Run:
        """A session that gives gradients as well, of random cotangents that hang on the sample's number."""
        values = _Values(self._gradients.graph, self._graph.inputs, self._names, self._gradients.names)

        def run(number: int, sample: Sample) -> Seen:
            inputs = {name: np.asarray(sample[name]) for name in self._graph.inputs}
            return values.run({**inputs, **self._drawn(number)})

        return run

    def plain(self) -> Run:
        """A session without gradients."""
        values = _Values(self._graph, self._graph.inputs, self._names, {})

        def run(_: int, sample: Sample) -> Seen:
            return values.run({name: np.asarray(sample[name]) for name in self._graph.inputs})

        return run

    def _drawn(self, number: int) -> dict[str, NDArray[Any]]:
        """The cotangents of a sample, by their names in the graph."""
        signs = random_signs(
            number, sum(math.prod(self._graph.shapes[name]) for name, *_ in self._cotangents)
        )
        start, cotangents = 0, {}
        for name, other, weight in self._cotangents:
            shape = self._graph.shapes[name]
            part = signs[start : start + math.prod(shape)].reshape(shape)
            start += part.size
            dtype = self._graph.dtypes[name]
            cotangents[other] = np.asarray(centred(part, self._scores.get(name)) * weight, dtype)
        return cotangents


class _Values:
    """A session that gives cells of tensors `names`, and of others that hold gradients (`slopes`). The faster
    layout is for those with gradients alone: without them it would win little and cost 40 MB."""

    def __init__(
        self, graph: Graph, inputs: Sequence[str], names: Collection[str], slopes: Mapping[str, str]
    ) -> None:
        ends = _Ends(graph)
        places = {name: places_in(graph.shapes[name]) for name in (*names, *slopes)}
        self._inputs = {name: places[name] for name in names if name in inputs}
        self._values = {name: ends.add(name, places[name]) for name in names if name not in inputs}
        self._slopes = {name: ends.add(other, places[name]) for name, other in slopes.items()}
        looked = ends.graph()
        self._session = FloatSession(looked, many=Many(optimized=bool(slopes))) if looked.outputs else None

    def run(self, inputs: dict[str, NDArray[Any]]) -> Seen:
        """Of one sample what is looked at."""
        found = self._session.run(inputs) if self._session else {}
        values = {name: places.of(inputs[name]) for name, places in self._inputs.items()}
        values |= {name: found[cells].reshape(-1) for name, cells in self._values.items()}
        slopes = {name: found[cells].reshape(-1) for name, cells in self._slopes.items()}
        return {name: (values.get(name), slopes.get(name)) for name in values | slopes}


class _Ends:
    """A graph whose outputs are cells of its tensors."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._taken = tensors(graph) | {node.name for node in graph.nodes}
        self._behind: dict[str, list[Node]] = {}  # the tensor that they begin with -> nodes
        self._constants = dict(graph.constants)
        self._outputs: dict[tuple[str, Places], str] = {}

    def add(self, name: str, places: Places) -> str:
        """The output that holds those cells of a tensor."""
        if (name, places) not in self._outputs:
            self._outputs[name, places] = self._made(name, places)
        return self._outputs[name, places]

    def graph(self) -> Graph:
        """The graph with its new outputs."""
        whole = self._graph
        nodes = [late for name in whole.inputs for late in self._behind.get(name, ())]
        for node in whole.nodes:
            nodes += [node, *(late for name in node.outputs for late in self._behind.get(name, ()))]
        made = Graph(whole.name, nodes, whole.inputs, list(self._outputs.values()), self._constants)
        made.shapes, made.dtypes, made.opset = dict(whole.shapes), dict(whole.dtypes), whole.opset
        for (name, places), output in self._outputs.items():
            if output not in made.shapes:
                made.shapes[output], made.dtypes[output] = (places.count,), whole.dtypes[name]
        return made

    def _made(self, name: str, places: Places) -> str:
        if places.pace == 1 and name not in self._graph.inputs:
            return name
        flat = self._node(name, "Reshape", name, [-1])
        if places.pace == 1:
            return flat
        end = places.start + places.count * places.pace
        return self._node(name, "Slice", flat, [places.start], [end], [0], [places.pace])

    def _node(self, root: str, op: str, name: str, *lists: list[int]) -> str:
        given = [fresh(f"{name}/constant", self._taken) for _ in lists]
        self._constants |= {key: np.array(value, np.int64) for key, value in zip(given, lists, strict=True)}
        made = fresh(f"{name}/looked_at", self._taken)
        self._behind.setdefault(root, []).append(Node(op, made, [name, *given], [made]))
        return made


def random_signs(number: int, count: int) -> NDArray[np.int8]:
    """`count` signs for sample `number`, the same on every machine: the bits of Philox 4x64 (Salmon et al.,
    2011), counted from the sample's number."""
    generator = np.random.Philox(key=_KEY, counter=number << 128)
    words = np.asarray(generator.random_raw(-(-count // 64)), "<u8")
    return np.unpackbits(words.view(np.uint8), count=count).astype(np.int8) * 2 - 1
