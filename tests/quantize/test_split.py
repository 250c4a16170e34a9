"""Runs taken apart by channels: what may be, that it is exact, what it wins, and what a record may say."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from modelbuild.chips.load import chip_names, load_recipe
from modelbuild.chips.units import ON_NPU, chip_has
from modelbuild.errors import ModelbuildError
from modelbuild.graph import kept_quantization
from modelbuild.graph.kept_quantization import Kept, keep, kept
from modelbuild.graph.model import Attribute, Graph, Node
from modelbuild.graph.placement import place_nodes, table
from modelbuild.graph.session import FloatSession
from modelbuild.quantize import record as records
from modelbuild.quantize.apply import apply
from modelbuild.quantize.histogram import BINS
from modelbuild.quantize.observations import Observations
from modelbuild.quantize.observe import observe
from modelbuild.quantize.quantize import quantize
from modelbuild.quantize.settings import Settings
from modelbuild.quantize.split_graph import split
from modelbuild.quantize.split_observations import of_pieces
from modelbuild.quantize.split_record import KEY, metadata, pieces_in, together
from modelbuild.quantize.split_regions import regions
from modelbuild.quantize.verify import verify
from tests.quantize.cases import F, Made, Sample, graph_of, longs, make, normal, samples_of

WIDE = np.array([100, 1, 1, 60, 1, 1, 1, 80], F)  # how far the channels of t0 reach
PARTS = (0, 1, 1, 0, 1, 1, 1, 0)


def network(last: str = "Conv", reach: NDArray[np.float32] = WIDE) -> Graph:
    """A Conv whose channels differ by a factor of 100, SiLU, a depthwise Conv, SiLU, and what reads both."""
    pads: dict[str, Attribute] = {"pads": [1, 1, 1, 1]}
    constants: dict[str, Any] = {
        "w0": normal(8, 3, 3, 3, seed=2) * reach.reshape(8, 1, 1, 1),
        "b0": normal(8, seed=6),
        "w1": normal(8, 1, 3, 3, seed=3) / reach.reshape(8, 1, 1, 1),
        "half": np.full((1, 8, 1, 1), 0.5, F) * np.arange(1, 9, dtype=F).reshape(1, 8, 1, 1),
        "w2": normal(6, 8, 1, 1, seed=4),
        "w3": normal(4, 6 + 8, 1, 1, seed=5),
    }
    nodes = [
        Node("Conv", "c0", ["x", "w0", "b0"], ["t0"], pads),
        Node("Sigmoid", "s0", ["t0"], ["g0"]),
        Node("Mul", "m0", ["t0", "g0"], ["r0"]),
        Node("Conv", "c1", ["r0", "w1"], ["t1"], {**pads, "group": 8}),
        Node("Mul", "scale", ["half", "t1"], ["h1"]),
        Node("Sigmoid", "s1", ["h1"], ["g1"]),
        Node("Mul", "m1", ["h1", "g1"], ["r1"]),
        Node("Conv", "c2", ["r1", "w2"], ["t2"]),
        Node("Relu", "a2", ["t2"], ["r2"]),
        Node("Concat", "both", ["r2", "r1"], ["j"], {"axis": 1}),
        Node("Conv", "c3", ["j", "w3"], ["y"]),
    ]
    if last == "Softmax":
        nodes[-2:] = [Node("Softmax", "end", ["r1"], ["y"], {"axis": 1})]
    return graph_of(nodes, {"x": (1, 3, 12, 12)}, ["y"], constants)


@pytest.fixture(scope="module")
def made() -> Made:
    graph = network()
    return make(graph, "modalix", {}, samples_of(graph, 6))


def snr(found: Made) -> float:
    others = samples_of(found.graph, 4, seed=9)
    return float(verify(found.fixed, found.graph, iter(others))["outputs"][0]["snr_db"])


def reals(graph: Graph, sample: Sample) -> dict[str, NDArray[np.float32]]:
    return {name: np.asarray(values, F) for name, values in FloatSession(graph, "all").run(sample).items()}


def test_channels_of_unlike_ranges_get_scales_of_their_own(made: Made) -> None:
    plain = make(network(), "modalix", {"split": False}, made.samples)
    assert "split" not in plain.record.corrections
    parts = made.record.corrections["split"]["t0"]
    assert len({parts[0], parts[3], parts[7]} & {parts[channel] for channel in (1, 2, 4, 5, 6)}) == 0
    assert snr(made) > snr(plain) + 3
    lines = made.record.by_name()
    assert "t0" not in lines
    scales = [lines[f"t0_part{number}"].scale for number in sorted(set(parts))]
    assert max(filter(None, scales)) > 20 * min(filter(None, scales))


def between(*nodes: Node, outputs: int = 4, opset: int = 17, **constants: NDArray[Any]) -> Graph:
    """A Conv that makes t0, nodes from there to m, and a Conv that reads it."""
    ends = [Node("Conv", "c0", ["x", "w0"], ["t0"], {"pads": [1, 1, 1, 1]})]
    ends += [*nodes, Node("Conv", "c9", ["m", "w9"], ["y"])]
    weights = {"w0": normal(4, 3, 3, 3, seed=2), "w9": normal(3, outputs, 1, 1, seed=5)}
    return graph_of(ends, {"x": (1, 3, 8, 8)}, ["y"], {**weights, **constants}, opset)


def one(op: str, attributes: dict[str, Attribute] | None = None, **constants: Any) -> Graph:
    """One operator of t0 and constants."""
    return between(Node(op, "n", ["t0", *constants], ["m"], attributes or {}), **constants)


def positive(op: str) -> Graph:
    """One operator of what is above 0."""
    return between(Node("Softplus", "p", ["t0"], ["a"]), Node(op, "n", ["a"], ["m"]))


def behind(op: str, name: str, value: Any) -> Graph:
    """One operator whose first input is a constant."""
    return between(Node(op, "n", [name, "t0"], ["m"]), **{name: value})


def sized(attributes: dict[str, Attribute], *sizes: int) -> Graph:
    """A Resize to sizes."""
    return between(Node("Resize", "n", ["t0", "", "", "sizes"], ["m"], attributes), sizes=longs(*sizes))


def padded(axes: tuple[int, ...], *pads: int) -> Graph:
    """A Pad of some axes."""
    node = Node("Pad", "n", ["t0", "pads", "number", "axes"], ["m"])
    return between(node, opset=18, pads=longs(*pads), number=np.array(0.5, F), axes=longs(*axes))


WINDOW: dict[str, Attribute] = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}
ROI, BY_CHANNEL = np.zeros(0, F), normal(1, 4, 1, 1, seed=7)
WORKING_BY_CHANNEL: dict[str, Graph] = {
    **{
        op: one(op)
        for op in ("Relu", "LeakyRelu", "Elu", "Selu", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Erf")
    },
    **{op: one(op) for op in ("Softplus", "Softsign", "Exp", "Abs", "Neg")},
    **{op: positive(op) for op in ("Log", "Sqrt", "Reciprocal")},
    **{op: one(op) for op in ("GlobalAveragePool", "GlobalMaxPool")},
    **{op: one(op, WINDOW) for op in ("MaxPool", "AveragePool")},
    "Gelu": between(Node("Gelu", "n", ["t0"], ["m"]), opset=20),
    "Clip": one("Clip", low=np.array(-0.5, F), high=np.array(1, F)),
    "depthwise": one("Conv", {"group": 4, "pads": [1, 1, 1, 1]}, w=normal(4, 1, 3, 3), b=normal(4)),
    "Pad": one("Pad", pads=longs(0, 0, 1, 2, 0, 0, -1, 0)),
    "Pad of axes": padded((1, -1), 0, 1, 0, 2),
    "Resize": one("Resize", {"mode": "nearest"}, roi=ROI, scales=np.array([1, 1, 2, 1.5], F)),
    "Resize to sizes": sized({"mode": "linear"}, 1, 4, 13, 5),
    "Resize to whole sizes": sized({"mode": "nearest"}, 1, 4, 16, 16),
    **{f"{op} by channel": one(op, number=BY_CHANNEL) for op in ("Add", "Sub", "Mul", "Div", "PRelu")},
    **{f"{op} of one number": one(op, number=normal(1, 1, 1, 1)) for op in ("Add", "Sub", "Mul", "PRelu")},
    "Mul by a scalar": one("Mul", number=np.array(3, F)),
    "Add of three axes": one("Add", number=normal(4, 1, 1)),
    "Sub from channels": behind("Sub", "number", BY_CHANNEL),
    "Div of a number": behind("Div", "number", normal(1)),
    "Pow": one("Pow", number=np.array(2, F)),
    "Pow of channels": behind("Pow", "number", np.abs(BY_CHANNEL)),
    "by itself": between(Node("Mul", "n", ["t0", "t0"], ["m"])),
    "Concat twice": between(
        Node("Relu", "n", ["t0"], ["a"]),
        Node("Concat", "j", ["a", "x", "a", "t0"], ["m"], {"axis": -3}),
        outputs=15,
    ),
}


@pytest.mark.parametrize("name", WORKING_BY_CHANNEL)
def test_whatever_works_by_channel_computes_the_same_in_parts(name: str) -> None:
    graph = WORKING_BY_CHANNEL[name]
    assert "t0" in regions(graph)
    taken = split(graph, {"t0": (0, 1, 1, 0)}).graph
    assert len(taken.nodes) > len(graph.nodes)
    sample = samples_of(graph, 1)[0]
    before, after = (reals(each, sample)["y"] for each in (graph, taken))
    assert after.shape == before.shape
    np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-4 * float(np.abs(before).max()))
    found = FloatSession(taken, "all").run(sample)
    assert {name: values.shape for name, values in found.items()}.items() <= taken.shapes.items()


def of_rank(axes: int) -> Graph:
    nodes = [Node("Conv", "c0", ["x", "w"], ["t0"]), Node("Relu", "r", ["t0"], ["m"])]
    nodes.append(Node("Conv", "c1", ["m", "w"], ["y"]))
    return graph_of(nodes, {"x": (1, 4, *[5] * axes)}, ["y"], {"w": normal(4, 4, *[1] * axes)})


@pytest.mark.parametrize(
    "graph",
    [
        one("Pad", pads=longs(0, 1, 0, 0, 0, -1, 0, 0)),
        padded((1,), 1, -1),
        padded((-3, 2), 1, 0, -1, 0),
        between(
            Node("ReduceMax", "v", ["x"], ["number"], {"keepdims": 0}),
            Node("Pad", "n", ["t0", "pads", "number"], ["m"]),
            pads=longs(0, 0, 1, 1, 0, 0, 1, 1),
        ),
        one("Resize", {"mode": "nearest"}, roi=ROI, scales=np.array([1, 1.2, 2, 2], F)),
        one(
            "Resize",
            {"mode": "linear", "coordinate_transformation_mode": "tf_crop_and_resize"},
            roi=np.array([0, 0.5, 0, 0, 1, 1, 1, 1], F),
            scales=np.array([1, 1, 2, 2], F),
        ),
        between(
            Node("Resize", "n", ["t0", "", "scales"], ["m"], {"axes": [3, 2, 1, 0]}),
            opset=18,
            scales=np.array([1, 1, 1.2, 1], F),
        ),
        between(
            Node("Relu", "n", ["t0"], ["a"]),
            Node("Conv", "other", ["x", "w0"], ["b"], {"pads": [1, 1, 1, 1]}),
            Node("Add", "sum", ["a", "b"], ["m"]),
        ),
        one("Add", number=normal(1, 1, 8, 8)),
        one("Add", number=normal(1, 4, 8, 8)),
        between(
            Node("Relu", "n", ["t0"], ["a"]), Node("Transpose", "p", ["a"], ["m"], {"perm": [0, 1, 3, 2]})
        ),
        between(
            Node("Relu", "n", ["t0"], ["a"]),
            Node("Concat", "j", ["a", "x"], ["b"], {"axis": 1}),
            Node("Conv", "d", ["b", "w"], ["m"], {"group": 7}),
            outputs=7,
            w=normal(7, 1, 1, 1),
        ),
        of_rank(1),
        of_rank(3),
    ],
)
def test_what_tells_channels_apart_stays_whole(graph: Graph) -> None:
    assert "t0" not in regions(graph)


def test_tensors_of_four_axes_alone_are_divided() -> None:
    assert "t0" in regions(of_rank(2))


def test_many_ways_to_one_tensor_are_walked_once() -> None:
    nodes, name = [], "t0"
    for number in range(40):
        one_way, other, end = (f"{kind}{number}" for kind in "abc")
        nodes += [Node("Relu", one_way, [name], [one_way]), Node("Sigmoid", other, [name], [other])]
        nodes.append(Node("Add", end, [one_way, other], [end]))
        name = end
    graph = between(*nodes, Node("Neg", "n", [name], ["m"]))
    found = regions(graph)["t0"]
    assert [node.name for node in found.nodes] == [node.name for node in graph.nodes[1:-1]]


def test_a_graph_taken_apart_computes_the_same() -> None:
    graph = network()
    taken = split(graph, {"t0": PARTS, "t2": (0, 1, 0, 1, 1, 0)})
    sample = samples_of(graph, 1)[0]
    before, after = (reals(each, sample) for each in (graph, taken.graph))
    np.testing.assert_allclose(after["y"], before["y"], rtol=1e-4, atol=1e-2)
    whole = together(after, taken.pieces)
    assert {"t0", "g0", "r0", "t1", "h1", "r1", "t2", "r2", "j"} <= whole.keys()
    for name, values in whole.items():
        np.testing.assert_allclose(values, before[name], rtol=1e-4, atol=1e-2)
    assert taken.units({"c1": "cpu", "c3": "npu"})["c1_part1"] == "cpu"
    assert set(graph.constants) < set(taken.graph.constants)  # the graph that was given stays as it was


def chosen(graph: Graph, observations: Observations) -> tuple[int, ...]:
    """The parts of t0 that the default settings choose."""
    recipe = load_recipe("modalix")
    record = quantize(graph, observations, Settings(), recipe.number_format)
    return record.corrections.get("split", {}).get("t0", ())


def seen(graph: Graph) -> Observations:
    samples = samples_of(graph, 6)
    return observe(graph, samples)


def test_what_saves_little_is_not_divided() -> None:
    graph = network(reach=np.ones(8, F))
    assert chosen(graph, seen(graph)) == ()


def test_one_step_may_follow_another() -> None:
    levels = np.array([1000, 1, 30, 1000, 1, 30, 1, 30], F)
    graph = network(reach=levels)
    parts = np.array(chosen(graph, seen(graph)))
    assert len({*parts.tolist()}) > 2
    assert {*parts[levels == 1000].tolist()}.isdisjoint(parts[levels < 1000].tolist())


def test_noises_that_differ_by_more_than_sums_can_hold() -> None:
    graph = network(reach=np.array([1e4, 1e-12, 1e-12, 60, 1e-6, 1, 1, 80], F))
    pairs = zip((1e-6, 1, 1e6), samples_of(graph, 3), strict=True)
    samples = [{"x": sample["x"] * F(size)} for size, sample in pairs]
    assert chosen(graph, observe(graph, samples))


@pytest.mark.parametrize("name", ["t0", "r1"])
def test_tensors_without_knowledge_of_channels_stay_whole(name: str) -> None:
    """Of which there are too many, say."""
    graph = network()
    observed = seen(graph)
    assert chosen(graph, observed)
    without = dataclasses.replace(observed.tensors[name], channels=None)
    observed = dataclasses.replace(observed, tensors={**observed.tensors, name: without})
    assert chosen(graph, observed) == ()


def test_zeros_are_shared_among_the_parts() -> None:
    graph = one("Relu")
    samples = samples_of(graph, 4)
    taken = split(graph, {"t0": (0, 1, 1, 1)})
    derived = of_pieces(taken, observe(graph, samples)).tensors
    exact = observe(taken.graph, samples).tensors
    for name in ("m_part0", "m_part1"):
        mine, its = derived[name].histogram, exact[name].histogram
        assert mine.zeros == pytest.approx(its.zeros, rel=0.2)
        assert mine.zero_weight == pytest.approx(its.zero_weight, rel=0.6)
        assert mine.zeros + mine.counts.sum() == pytest.approx(derived[name].count, rel=0.1)


def test_weights_that_a_source_has_quantized_keep_their_scales_in_another_order() -> None:
    graph = network()
    entries = {}
    for name, rows in (("w2", 6), ("w3", 4)):
        scales = np.array([1, 2, 0.5, 4, 1, 0.25], F)[:rows] / 64
        column = scales.reshape(-1, 1, 1, 1)
        weights = np.asarray(graph.constants[name], F)
        graph.constants[name] = np.clip(np.rint(weights / column), -127, 127) * column
        entries[name] = Kept("int8", tuple(map(float, scales)), (0,) * rows, 0)
    keep(graph, entries)
    found = make(graph, "modalix", {}, samples_of(graph, 6))
    lines = found.record.by_name()
    assert {lines[f"{name}_ordered"].method for name in entries} == {"source"}
    codes = {
        operator.name: found.fixed.constants[operator.constants["weight"]]
        for operator in found.fixed.operators
        if operator.kind.startswith("conv")
    }
    order = np.concatenate([channels for _, channels in pieces_in(found.fixed.metadata)["r1"]])
    column = np.array(entries["w2"].scale).reshape(-1, 1, 1, 1)
    expected = np.rint(np.asarray(graph.constants["w2"], F) / column)[:, order]
    np.testing.assert_array_equal(codes["c2"], expected)
    assert kept(graph) == entries


def test_scales_of_columns_are_put_in_their_order() -> None:
    graph = network()
    scales = tuple(float(number) for number in range(1, 9))
    keep(graph, {"w2": Kept("int8", scales, (0,) * 8, 1)})
    before = kept_quantization.metadata(graph)
    found = kept(split(graph, {"t0": PARTS}).graph)
    assert kept_quantization.metadata(graph) == before
    assert list(found["w2_ordered"].scale) == [1, 4, 8, 2, 3, 5, 6, 7]
    assert found["w2_ordered"].axis == 1
    assert list(found["w2"].scale) == list(scales)


def test_a_part_held_what_its_channels_held() -> None:
    graph = network()
    samples = samples_of(graph, 4)
    observed = observe(graph, samples)
    taken = split(graph, {"t0": PARTS})
    derived = of_pieces(taken, observed)
    exact = observe(taken.graph, samples)
    assert derived.tensors.keys() == exact.tensors.keys()
    assert derived.melted.keys() == exact.melted.keys()
    for name, found in exact.tensors.items():
        mine = derived.tensors[name]
        assert mine.count == found.count
        assert len(mine.histogram.counts) == BINS
        np.testing.assert_allclose(mine.channel_low, found.channel_low, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(mine.channel_sum, found.channel_sum, rtol=1e-3, atol=0.1)
        assert mine.histogram.high == pytest.approx(found.histogram.high, rel=1e-4)
        assert mine.histogram.weights is not None and found.histogram.weights is not None
        assert mine.histogram.weights.sum() == pytest.approx(found.histogram.weights.sum(), rel=0.05)
        assert mine.histogram.counts.sum() == pytest.approx(found.histogram.counts.sum(), rel=0.02)


def test_a_record_alone_gives_the_same_model(made: Made) -> None:
    again = records.from_text(records.to_text(made.record))
    fixed = apply(made.graph, {"c1": "cpu"}, again, load_recipe("modalix"))
    assert {name: values.tobytes() for name, values in fixed.constants.items()} == {
        name: values.tobytes() for name, values in made.fixed.constants.items()
    }
    assert fixed.tensors == made.fixed.tensors
    on_cpu = {operator.name for operator in fixed.operators if operator.unit == "cpu"}
    assert len(on_cpu) == len(set(made.record.corrections["split"]["t0"]))


def test_layers_are_compared_whole(made: Made) -> None:
    layers = verify(made.fixed, made.graph, iter(made.samples))["layers"]
    found = {line["name"]: line["snr_db"] for line in layers}
    assert {"t0", "r0", "h1", "r1", "j", "y"} <= found.keys()
    assert found["r0"] > 30
    assert found["j"] > 15
    assert list(found).index("t0") < list(found).index("r0") < list(found).index("y")


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        ({"ranges": {"r0": [-1, 400]}}, False),
        ({"nodes": {"r0": {"activations": "int16"}}}, False),
        ({"nodes": {"c1": {"weights": "int16"}}}, False),
        ({"activations": "int16", "split": True}, False),
        ({"mode": "mix_light"}, False),
        ({"range": {"method": "mse"}}, False),
        ({"range": {"method": "mse"}, "split": True}, True),
    ],
)
def test_what_has_a_range_or_format_of_its_own_stays_whole(
    made: Made, settings: dict[str, Any], kept: bool
) -> None:
    found = make(made.graph, "modalix", settings, made.samples)
    assert ("split" in found.record.corrections) is kept


@pytest.mark.parametrize("settings", [{"mode": "mix_light"}, {"range": {"method": "moving_average"}}])
def test_what_dividing_cannot_go_with(made: Made, settings: dict[str, Any]) -> None:
    with pytest.raises(ModelbuildError, match=r"quantize\.split cannot go with") as caught:
        make(made.graph, "modalix", {"split": True, **settings}, made.samples)
    assert caught.value.exit_code == 2


def test_a_run_ends_where_the_order_of_channels_counts() -> None:
    assert regions(network())["t0"].tensors == ("t0", "g0", "r0", "t1", "h1", "g1", "r1")
    assert "t0" not in regions(network("Softmax"))
    graph = network()
    keep(graph, {"r0": Kept("int8", (0.1,), (0,))})
    assert "t0" not in regions(graph)
    graph = network()
    graph.outputs.append("r1")
    assert "t0" not in regions(graph)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("t0 0 1", "2 numbers for 8 channels"),
        ("t0 0 0 0 0 0 0 0 0", "not numbered"),
        ("t0 0 2 2 2 2 2 2 2", "not numbered"),
        ("t1 0 0 0 0 1 1 1 1", "nothing can be divided"),
        ("nowhere 0 1", "nothing can be divided"),
    ],
)
def test_divisions_that_cannot_be_are_told_with_their_line(made: Made, line: str, words: str) -> None:
    text = records.to_text(made.record)
    old = next(each for each in text.splitlines() if each.startswith("correct split"))
    record = records.from_text(text.replace(old, f"correct split {line}"), "mine.txt")
    with pytest.raises(ModelbuildError, match=words) as caught:
        apply(made.graph, {}, record, load_recipe("modalix"))
    assert caught.value.exit_code == 2
    assert "mine.txt" in str(caught.value)


@pytest.mark.parametrize(
    "text", ["[", "[]", '{"a":1}', '{"a":[["b",[0,0]]]}', '{"a":[["b",[[1]]]]}', '{"a":[]}']
)
def test_damaged_metadata(text: str) -> None:
    with pytest.raises(ModelbuildError, match="damaged"):
        pieces_in({KEY: text})


def test_metadata_tells_what_holds_the_channels(made: Made) -> None:
    parts = np.array(made.record.corrections["split"]["t0"])
    for number, (name, channels) in enumerate(pieces_in(made.fixed.metadata)["t0"]):
        assert name in made.fixed.tensors
        assert channels.tolist() == np.flatnonzero(parts == number).tolist()
    assert metadata(split(made.graph, {})) == {}
    taken = split(made.graph, made.record.corrections["split"])
    mine, its = pieces_in(metadata(taken)), pieces_in(made.fixed.metadata)
    assert mine.keys() == taken.pieces.keys() == its.keys()
    assert all(channels.tolist() == its["j"][0][1].tolist() for _, channels in mine["j"])


@pytest.mark.parametrize("chip", chip_names())
def test_parts_run_where_the_whole_does(chip: str) -> None:
    recipe, graph = load_recipe(chip), network()
    rules = table(recipe.operators)
    assert chip_has("Concat", ((rule.op, rule.unit) for rule in recipe.operators))
    taken = split(graph, {"t0": PARTS})
    before, after = (
        {placed.subject.node.name: placed.unit in ON_NPU for placed in place_nodes(each, rules)}
        for each in (graph, taken.graph)
    )
    joins = {node.name for node in taken.graph.nodes if node.op == "Concat"}
    if any(rule.op == "Concat" and rule.unit in ON_NPU for rule in recipe.operators):
        joins = set()  # else the CPU joins the parts
    assert {name: after[name] for name in taken.origin if name not in joins} == {
        name: before[old] for name, old in taken.origin.items() if name not in joins
    }
