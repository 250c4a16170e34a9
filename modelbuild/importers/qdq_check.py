"""The import of a quantized ONNX file against the file, each layer on its own, both under onnxruntime.

Where the file rounds to codes, both are cut, and what follows gets the same random codes in both. So no
rounding of one layer reaches the next, and what a layer makes may be off by one code: a value halfway between
two goes either way, and integer kernels (QLinearConv) add the same products in another order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, helper

from modelbuild.errors import EXIT_FAILED, ModelbuildError
from modelbuild.graph.guard import BOUND, random_inputs
from modelbuild.graph.kept_quantization import CODES, Kept, kept
from modelbuild.graph.model import Array, Graph
from modelbuild.graph.passes import remove_dead_nodes
from modelbuild.graph.rewrite import copied
from modelbuild.graph.session import FloatSession
from modelbuild.graph.tensors import element_type_of
from modelbuild.importers import branches, functions, qdq_operators, trim
from modelbuild.importers.qdq import KEEPING, MOVING
from modelbuild.importers.qdq_parameters import codes_of, dequantized, steps_of

MOST_STEPS = 1
_MOST_VALUES = 1 << 25  # of codes that are compared in one run: 128 MB as floats
_ROUNDING = frozenset({"QuantizeLinear"}) | qdq_operators.OPERATORS
_CODES = frozenset({TensorProto.INT8, TensorProto.UINT8, TensorProto.INT16, TensorProto.UINT16})
_GIVEN = "/given"  # behind a tensor's name: the input that its readers read instead


@dataclass(frozen=True)
class _Cut:
    """A tensor of codes in the file; `inner` is the float tensor that the graph has for it."""

    name: str
    inner: str
    entry: Kept
    shape: tuple[int, ...]
    is_halved: bool  # an integer kernel reads it
    is_requantized: bool  # it is made of numbers that were codes

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of the file's codes; those of fewer than 8 bits lie in 8."""
        kind = self.entry.dtype.rstrip("0123456789")
        return np.dtype(f"{kind}{max(int(self.entry.dtype.removeprefix(kind)), 8)}")

    def sample(self, generator: np.random.Generator) -> Array:
        """Random codes. For integer kernels the lower half: on processors without VNNI those of onnxruntime
        add two products of 8 bits in 16, which saturate above."""
        low, high = CODES[self.entry.dtype]
        low = low if self.is_halved else low + (low < 0)  # symmetric ranges lack the lowest
        high = (low + high) // 2 if self.is_halved else high
        return generator.integers(low, high + 1, self.shape).astype(self.dtype)

    def steps(self, expected: Array, found: Array) -> int:
        """How many codes the values `found` are off the codes `expected` at most. Of an operator's result the
        saturation counts as the file's; what was codes has a range that calibration did not guess."""
        codes = np.clip(expected.astype(np.int64), *CODES[self.entry.dtype])
        return _apart(codes, (steps_of if self.is_requantized else codes_of)(found, self.entry))


def check(path: Path, graph: Graph) -> None:
    """Runs both on random codes. Raises (exit 1), naming the tensor, where codes that `graph`, just made of
    the file `path`, stands for are off by more than one, or a float output by more than the guard's bound."""
    model = _plain(path, graph)
    cuts = {cut.name: cut for cut in _cuts(model, graph)}
    generator = np.random.default_rng(0)
    for wanted in _batches(graph, cuts):
        inner = [cuts[name].inner if name in cuts else name for name in wanted]
        theirs = FloatSession(_file_apart(model, cuts, wanted), origin=path)
        ours = FloatSession(_graph_apart(graph, cuts, inner))
        for sample in _samples(graph, generator):
            codes, values = _given(cuts, theirs.inputs, generator)
            expected = theirs.run({name: {**sample, **codes}[name] for name in theirs.inputs})
            found = ours.run({name: {**sample, **values}[name] for name in ours.inputs})
            for name, made in zip(wanted, inner, strict=True):
                _compare(name, cuts.get(name), expected[name], found[made])


def _plain(path: Path, graph: Graph) -> ModelProto:
    """The file with its functions and the branches that it takes in place, as the import has them."""
    model = functions.inlined(onnx.load(str(path), load_external_data=False))
    trim.name_nodes(model)
    trim.drop_unused(model, [])
    branches.take(model, path, {name: graph.shapes[name] for name in graph.inputs}, [])
    return model


def _given(
    cuts: Mapping[str, _Cut], inputs: Iterable[str], generator: np.random.Generator
) -> tuple[dict[str, Array], dict[str, Array]]:
    """The inputs of the file at those of `cuts` that are among its `inputs`, and the graph's."""
    codes, values = dict[str, Array](), dict[str, Array]()
    for name in inputs:
        cut = cuts.get(name.removesuffix(_GIVEN))
        if cut is not None and name.endswith(_GIVEN):
            codes[name] = cut.sample(generator)
            values[f"{cut.inner}{_GIVEN}"] = dequantized(codes[name], cut.entry)
    return codes, values


def _cuts(model: ModelProto, graph: Graph) -> Iterator[_Cut]:
    """The tensors at which both can be cut, in the file's order."""
    entries, producers, nodes = kept(graph), graph.producers(), model.graph.node
    integers = {name for node in nodes if node.op_type in qdq_operators.OPERATORS for name in node.input}
    hidden = {name for node in nodes for name in trim.read_inside(node)}
    requantized = _requantized(model)
    for name in _rounded(model):
        maker = producers.get(name)
        if maker is None or name in hidden:
            continue
        inner = maker.inputs[0] if maker.op == "QuantizeLinear" else name  # a port's codes
        entry = entries.get(inner)
        if entry is not None and entry.axis is None and graph.dtypes[inner] == np.float32:
            yield _Cut(name, inner, entry, graph.shapes[inner], name in integers, name in requantized)


def _rounded(model: ModelProto) -> Iterator[str]:
    """The tensors of codes that the file's nodes make by rounding: a Resize of codes, too."""
    codes = {value.name for value in model.graph.input if value.type.tensor_type.elem_type in _CODES}
    for node in model.graph.node:
        moves = node.op_type in MOVING and bool(node.input) and node.input[0] in codes
        if node.op_type in _ROUNDING or moves:
            codes.update(node.output)
            if node.op_type in _ROUNDING or node.op_type == "Resize":
                yield node.output[0]


def _requantized(model: ModelProto) -> set[str]:
    """The tensors of codes whose QuantizeLinear reads what a DequantizeLinear has made of others."""
    floats, found = set[str](), set[str]()
    for node in model.graph.node:
        inputs = node.input if node.op_type == "Concat" else node.input[:1]
        if node.op_type == "QuantizeLinear" and floats.issuperset(inputs):
            found.update(node.output)
        elif node.op_type == "DequantizeLinear" or (node.op_type in KEEPING and floats.issuperset(inputs)):
            floats.update(node.output)
    return found


def _batches(graph: Graph, cuts: Mapping[str, _Cut]) -> Iterator[list[str]]:
    """The names of all tensors to compare, in groups that one run can make."""
    group, values = list[str](), 0
    for name in dict.fromkeys([*cuts, *graph.outputs]):
        group.append(name)
        values += int(np.prod(cuts[name].shape if name in cuts else graph.shapes[name]))
        if values >= _MOST_VALUES:
            yield group
            group, values = [], 0
    if group:
        yield group


def _file_apart(model: ModelProto, cuts: Mapping[str, _Cut], wanted: Sequence[str]) -> bytes:
    """The file with inputs for what its nodes read of `cuts`, and the outputs `wanted`."""
    apart = ModelProto()
    apart.CopyFrom(model)
    for node in apart.graph.node:
        node.input[:] = [f"{name}{_GIVEN}" if name in cuts else name for name in node.input]
    known = {value.name: value for value in model.graph.output}
    del apart.graph.output[:]
    apart.graph.output.extend(known.get(name) or onnx.ValueInfoProto(name=name) for name in wanted)
    trim.keep_needed(apart.graph, wanted)
    read = {name for node in apart.graph.node for name in node.input}
    apart.graph.input.extend(
        helper.make_tensor_value_info(f"{name}{_GIVEN}", element_type_of(cut.dtype), cut.shape)
        for name, cut in cuts.items()
        if f"{name}{_GIVEN}" in read
    )
    return bytes(apart.SerializeToString())


def _graph_apart(graph: Graph, cuts: Mapping[str, _Cut], wanted: Sequence[str]) -> Graph:
    """The graph, likewise; at a port the QuantizeLinear of the border still reads what is made."""
    apart = copied(graph)
    inner = {cut.inner: cut for cut in cuts.values()}
    for node in apart.nodes:
        if node.op != "QuantizeLinear":
            node.inputs = [f"{name}{_GIVEN}" if name in inner else name for name in node.inputs]
    apart.outputs = list(dict.fromkeys(wanted))
    remove_dead_nodes.run(apart)
    read = {name for node in apart.nodes for name in node.inputs}
    for name, cut in inner.items():
        if (given := f"{name}{_GIVEN}") in read:
            apart.inputs.append(given)
            apart.shapes[given], apart.dtypes[given] = cut.shape, np.dtype(np.float32)
    return apart


def _samples(graph: Graph, generator: np.random.Generator) -> list[dict[str, Array]]:
    """Random inputs of the model; a float input that is quantized covers its codes."""
    samples, entries = random_inputs(graph, 0), kept(graph)
    for sample in samples:
        for name in graph.inputs:
            if name in entries and graph.dtypes[name] == np.float32:
                values: Any = generator.uniform(*entries[name].range(), graph.shapes[name])
                sample[name] = values.astype(np.float32)
    return samples


def _compare(name: str, cut: _Cut | None, expected: Array, found: Array) -> None:
    if cut is not None or found.dtype.kind in "iu":
        steps = _apart(expected, found) if cut is None else cut.steps(expected, found)
        if steps > MOST_STEPS:
            raise _changed(name, f"is off by {steps} codes", f"{MOST_STEPS} is allowed")
        return
    a, b = expected.astype(np.float64), found.astype(np.float64)
    finite = np.isfinite(a)
    largest = float(np.abs(a[finite]).max(initial=0))
    off = np.abs(a[finite] - b[finite]).max(initial=0) / max(largest, 1e-30) if finite.any() else 0.0
    if not (np.array_equal(finite, np.isfinite(b)) and off <= BOUND):
        raise _changed(name, f"differs by {off:.2g} of its largest value", f"at most {BOUND:g} is allowed")


def _apart(expected: Array, found: Array) -> int:
    return int(np.abs(expected.astype(np.int64) - found.astype(np.int64)).max(initial=0))


def _changed(name: str, how: str, why: str) -> ModelbuildError:
    return ModelbuildError(
        f"the import changed the model: `{name}` {how}",
        why=f"with the same codes before it, {why}",
        advice="report it with the model: the reading of its quantization is wrong here",
        exit_code=EXIT_FAILED,
    )
