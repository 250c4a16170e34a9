"""The weights of a quantized source keep their scales through normalising and all recipes' passes."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.chips.load import chip_names, load_recipe
from modelbuild.chips.pass_names import LOWERING
from modelbuild.graph import edits
from modelbuild.graph.kept_quantization import Kept, keep, kept
from modelbuild.graph.model import Graph, Node
from modelbuild.graph.normalise import normalise
from modelbuild.graph.passes import run_passes
from tests.graph.small import Step, graph
from tests.hypotheses import examples

PIPELINES = [*dict.fromkeys(load_recipe(chip).passes for chip in chip_names()), tuple(LOWERING)]
ENTRIES = ("a tensor", "a channel", "asymmetric")
WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")


class Source:
    """A chain of layers with quantized weights, as an importer leaves it."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.constants: dict[str, Any] = {}
        self.entries: dict[str, Kept] = {}
        self.last, self.shape = "x", (1, 4, 8, 8)
        self._generator = np.random.default_rng(len(ENTRIES))

    def add(self, op: str, shape: tuple[int, ...], *inputs: str, **attributes: Any) -> None:
        made = f"t{len(self.steps)}"
        self.steps.append((op, " ".join((self.last, *inputs)), made, attributes))
        self.last, self.shape = made, shape

    def weights(self, form: str, axis: int, *shape: int) -> str:
        name = f"w{len(self.constants)}"
        count = 1 if form == "a tensor" else shape[axis]
        zeros = self._generator.integers(-9, 9, count) * (form == "asymmetric")
        scales = self._generator.uniform(0.01, 0.02, count).astype(np.float32)
        codes = self._generator.integers(-128, 128, shape)
        spread = [-1 if index == axis else 1 for index in range(len(shape))]
        self.constants[name] = (codes - zeros.reshape(spread)) * scales.reshape(spread)
        values = (tuple(map(float, scales)), tuple(map(int, zeros)))
        self.entries[name] = Kept("int8", *values, axis if count > 1 else None)
        return name

    def numbers(self, *values: Any) -> str:
        name = f"c{len(self.constants)}"
        self.constants[name] = np.array(values)
        return name

    def made(self) -> Graph:
        constants = {name: np.asarray(v, np.int64 if v.dtype.kind == "i" else np.float32)
                     for name, v in self.constants.items()}  # fmt: skip
        result = graph(self.steps, constants, x=(1, 4, 8, 8))
        keep(result, self.entries)
        return result


def convolution(
    source: Source, form: str, size: int = 3, hole: int = 1, group: int = 1, stride: int = 1
) -> None:
    channels = source.shape[1]
    name = source.weights(form, 0, channels, channels // group, size, size)
    pads = [(size - 1) * hole // 2] * 4
    window = {"kernel_shape": [size] * 2, "pads": pads, "dilations": [hole] * 2, "strides": [stride] * 2}
    height = -(-source.shape[2] // stride)
    source.add("Conv", (1, channels, height, height), name, group=group, **window)


def transposed(source: Source, form: str, group: int) -> None:
    channels = source.shape[1]
    name = source.weights(form, 1, channels, channels // group, 2, 2)
    height = source.shape[2] * 2
    source.add("ConvTranspose", (1, channels, height, height), name, group=group, strides=[2, 2])


def channels_last(source: Source, form: str) -> None:
    n, c, h, w = source.shape
    source.add("Transpose", (n, h, w, c), perm=[0, 2, 3, 1])
    source.add("Relu", source.shape)
    source.add("Transpose", (n, c, h, w), perm=[0, 3, 1, 2])
    convolution(source, form)


def normalization(source: Source, form: str) -> None:
    convolution(source, form)
    names = [source.numbers(*values) for values in ([0.5, -2.0, 0.0, 1.5], [0.1] * 4, [0.2] * 4, [0.9] * 4)]
    source.add("BatchNormalization", source.shape, *names)


def scale_before(source: Source, form: str) -> None:
    source.add("Relu", source.shape)
    source.add("Mul", source.shape, source.numbers(0.25))
    convolution(source, form)


def shared(source: Source, form: str) -> None:
    convolution(source, form)
    source.add("Relu", source.shape)
    op, inputs, _, attributes = source.steps[-2]
    source.add(op, source.shape, inputs.split()[1], **attributes)


LAYERS: dict[str, Any] = {
    "plain": convolution,
    "pointwise": lambda s, form: convolution(s, form, size=1),
    "dilated": lambda s, form: convolution(s, form, hole=2),
    "large": lambda s, form: convolution(s, form, size=13),
    "depthwise": lambda s, form: convolution(s, form, group=4),
    "strided": lambda s, form: convolution(s, form, stride=4),
    "transposed": lambda s, form: transposed(s, form, 1),
    "transposed in groups": lambda s, form: transposed(s, form, 2),
    "channels last": channels_last,
    "normalized": normalization,
    "scaled before": scale_before,
    "shared": shared,
}
HEADS = ("none", "flat", "flat of channels last", "matrix", "matrix turned")


def head(source: Source, kind: str, form: str) -> None:
    n, c, h, w = source.shape
    count = c * h * w
    if kind == "none":
        return
    if kind == "flat of channels last":
        source.add("Transpose", (n, h, w, c), perm=[0, 2, 3, 1])
    source.add("Reshape", (1, count), source.numbers(1, count))
    if kind == "matrix turned":  # as exporters write a Linear layer of quantized weights
        name = source.weights(form, 0, 5, count)
        source.steps.append(("Transpose", name, "turned", {"perm": [1, 0]}))
        source.add("MatMul", (1, 5), "turned")
    elif kind == "matrix":
        source.add("MatMul", (1, 5), source.weights(form, 1, count, 5))
    else:
        source.add("Gemm", (1, 5), source.weights(form, 0, 5, count), transB=1, alpha=0.5)


def lost(found: Graph) -> list[str]:
    """The weights that are not whole codes of an entry of their own, but for those that only permute."""
    entries = kept(found)
    return [f"{node.op} {node.name}" for node in found.nodes
            if node.op in WEIGHTED and not _of_codes(found, node, entries)
            and not np.isin(found.constants[node.inputs[1]], (0, 1)).all()]  # fmt: skip


def _of_codes(found: Graph, node: Node, entries: dict[str, Kept]) -> bool:
    entry, value = entries.get(node.inputs[1]), found.constants[node.inputs[1]]
    if entry is None:
        return False
    spread = [-1 if axis == entry.axis else 1 for axis in range(value.ndim)]
    steps = value.astype(np.float64) / np.reshape(entry.scale, spread)
    codes = np.rint(steps) + np.reshape(entry.zero_point, spread)
    return bool((abs(steps - np.rint(steps)) < 1e-3).all() and codes.min() >= -128 and codes.max() <= 127)


@examples(60)
@given(
    layers=st.lists(
        st.tuples(st.sampled_from(list(LAYERS)), st.sampled_from(ENTRIES)), min_size=1, max_size=3
    ),
    end=st.tuples(st.sampled_from(HEADS), st.sampled_from(ENTRIES)),
    pipeline=st.sampled_from(PIPELINES),
    swapped=st.booleans(),
)
def test_every_weight_keeps_its_scales(
    layers: list[tuple[str, str]], end: tuple[str, str], pipeline: tuple[str, ...], swapped: bool
) -> None:
    source = Source()
    for index, (kind, form) in enumerate(layers):
        if index:
            source.add("Relu", source.shape)
        LAYERS[kind](source, form)
    head(source, *end)
    made = source.made()
    if swapped:
        made = edits.apply(made, [{"swap_channels": {}}])
    clean, _ = normalise(made)
    lowered, _ = run_passes(clean, pipeline)
    for step in (clean, lowered):
        assert lost(step) == []


def test_a_conv_that_makes_both_signs_for_a_prelu_keeps_its_codes() -> None:
    source = Source()
    convolution(source, "a tensor")
    source.constants["slope"] = np.array([0.1, 0.2, 0.3, 0.4]).reshape(4, 1, 1)
    source.add("PRelu", source.shape, "slope")
    made, _ = run_passes(source.made(), ["prelu_to_conv"])
    conv = made.nodes[0]
    assert [node.op for node in made.nodes] == ["Conv", "Relu", "Conv"]
    assert made.constants[conv.inputs[1]].shape == (8, 4, 3, 3)
    assert _of_codes(made, conv, kept(made))
