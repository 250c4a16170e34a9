"""Number formats by name: what the settings say of nodes, inputs and outputs, and Kneron's two rules."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from modelbuild.errors import ModelbuildError, did_you_mean
from modelbuild.graph.model import Graph
from modelbuild.graph.statistics import node_macs
from modelbuild.quantize.mixed_settings import ALL, AUTO, BALANCE, BUDGET, CHOSEN, LIGHT, MODES, NodeFormats
from modelbuild.quantize.number_format import Bits, Formats
from modelbuild.quantize.plan import Plan, Step
from modelbuild.quantize.ports import port_tensor
from modelbuild.quantize.settings import Settings
from modelbuild.quantize.weighted import weighted

WIDE = "int16"
# Of the layers in ascending order of output channels, the share that a rule makes int16.
SHARES = {LIGHT: 0.25, BALANCE: 0.75}


@dataclass(frozen=True)
class Layer:
    """A step of the plan: the roots of what it reads and leaves, its weights, and what it multiplies."""

    step: Step
    reads: tuple[str, ...]
    leaves: tuple[str, ...]
    weights: str | None
    channels: int  # of the output, where there are weights
    macs: int
    cells: int  # that it leaves

    @property
    def node(self) -> str:
        """The leading node's name."""
        return self.step.node.name


@dataclass(frozen=True)
class Sides:
    """Which of a layer's formats a mode chooses."""

    activations: bool
    weights: bool


def layers(graph: Graph, plan: Plan) -> list[Layer]:
    """The steps in the order of execution."""
    found = []
    for step in plan.steps:
        inputs = [name for name in step.node.inputs if name and name not in graph.constants]
        reads = dict.fromkeys(plan.root(name) for name in inputs if port_tensor(graph, name) is None)
        leaves = dict.fromkeys(plan.root(name) for name in step.outputs if port_tensor(graph, name) is None)
        rows = weighted(graph, step.node)
        macs = sum(node_macs(graph, node) for node in step.nodes)
        name, channels = (None, 0) if rows is None else (rows.name, len(rows.weight))
        cells = sum(math.prod(graph.shapes[output]) for output in step.outputs)
        found.append(Layer(step, tuple(reads), tuple(leaves), name, channels, macs, cells))
    return found


def wide_macs(listed: Sequence[Layer], bits: Mapping[str, int]) -> int:
    """The multiply-accumulate operations that have an operand of more than 8 bits; `bits` by tensor's root
    and by constant."""
    return sum(layer.macs for layer in listed if any(bits.get(name, 8) > 8 for name in operands(layer)))


def operands(layer: Layer) -> tuple[str, ...]:
    """The tensors that it multiplies, and its weights."""
    return layer.reads if layer.weights is None else (*layer.reads, layer.weights)


def stated(graph: Graph, plan: Plan, settings: Settings, formats: Formats, units: Mapping[str, str]) -> Bits:
    """What the settings say by name, and what mix_light and mix_balance make of the rest; with mixbw, inputs,
    outputs and what nodes on the CPU leave are int16. `units` maps nodes to npu | fused | cpu. Raises
    (exit 2) on names that do not exist, on contradictions, and on what the chip lacks."""
    check(settings, formats)
    own = _Collected()
    _of_ports(own, graph, plan, settings)
    listed = layers(graph, plan)
    for name, wanted in settings.nodes.items():
        _of_node(own, layers_named(listed, name), name, wanted)
    on_cpu = WIDE if settings.mode == BUDGET else settings.cpu_nodes
    for layer in listed:
        if on_cpu is not None and any(units.get(node.name) == "cpu" for node in layer.step.nodes):
            own.leave(layer, on_cpu, "cpu_nodes")
    if settings.mode in SHARES:
        _by_channels(own, listed, SHARES[settings.mode], sides(settings))
    return Bits(own.tensors, own.weights)


def _of_ports(own: _Collected, graph: Graph, plan: Plan, settings: Settings) -> None:
    usual = WIDE if settings.mode == BUDGET else None
    for key, ports, given in (
        ("inputs", graph.inputs, settings.inputs),
        ("outputs", graph.outputs, settings.outputs),
    ):
        for name in given:
            if name != ALL and name not in ports:
                raise _unknown(f"quantize.{key}", name, tuple(ports))
        for name in ports:
            if name in given and port_tensor(graph, name) is not None:
                raise ModelbuildError(
                    f"quantize.{key}: {name!r} has the format of the source's codes",
                    where=f"quantize.{key}.{name}",
                    advice="take it out",
                )
            form = given.get(name, given.get(ALL, usual))
            if form is not None and port_tensor(graph, name) is None:
                own.tensor(plan.root(name), form, f"{key}: {name}")


def _of_node(own: _Collected, named: Sequence[Layer], name: str, wanted: NodeFormats) -> None:
    if wanted.activations is not None:
        for layer in named:
            own.leave(layer, wanted.activations, f"nodes: {name}")
    if wanted.weights is not None:
        weights = [layer.weights for layer in named if layer.weights is not None]
        if not weights:
            raise ModelbuildError(
                f"quantize.nodes: the node {name!r} has no weights",
                where=f"quantize.nodes.{name}",
                advice="set its `activations`, or name a node that multiplies by weights",
            )
        for constant in weights:
            own.weight(constant, wanted.weights, f"nodes: {name}")


def by_rule(graph: Graph, plan: Plan, settings: Settings, formats: Formats) -> Bits:
    """As `stated`, for settings that need neither predictions nor the nodes' units."""
    if settings.mode in (AUTO, BUDGET) or settings.cpu_nodes is not None:
        raise ValueError("mode and cpu_nodes are for mixed.quantize_mixed")
    return stated(graph, plan, settings, formats, {})


def check(settings: Settings, formats: Formats) -> None:
    """Refuses settings that contradict each other, and a mode on a chip without 16 bits."""
    mode = settings.mode
    if settings.flops_ratio is not None and mode != BUDGET:
        raise ModelbuildError(f"quantize.flops_ratio goes with `mode: {BUDGET}`", advice="leave it out")
    if mode is None:
        for key in ("activations", "weights"):
            if getattr(settings, key) == (CHOSEN,):
                raise ModelbuildError(
                    f"quantize.{key}: {CHOSEN} needs a `mode`", advice=f"there are {', '.join(MODES)}"
                )
        return
    if WIDE not in formats.activations or WIDE not in formats.weights:
        raise ModelbuildError(
            f"quantize.mode: {mode} needs {WIDE}, which this chip does not have",
            why=f"it has {', '.join(formats.activations)} for activations, {', '.join(formats.weights)} "
            "for weights",
            advice="leave `mode` out, or build for another chip",
        )
    chosen = sides(settings)
    if not (chosen.activations or chosen.weights):
        raise ModelbuildError(
            f"quantize.mode: {mode} has nothing to choose",
            why="both `activations` and `weights` are set",
            advice=f"leave one of them out, or set it to {CHOSEN}",
        )
    if mode == BUDGET:
        _check_budget(settings, formats, chosen)


def _check_budget(settings: Settings, formats: Formats, chosen: Sides) -> None:
    """Kneron: mixbw goes with int16 or mixbw on the other side; inputs and outputs are int16."""
    fixed = "weights" if chosen.activations else "activations"
    bits = formats.weight_bits if chosen.activations else formats.activation.bits
    if not (chosen.activations and chosen.weights) and bits != 16:
        raise ModelbuildError(
            f"quantize.{fixed}: with `mode: {BUDGET}` it is {WIDE}, or chosen as well",
            advice=f"leave it out, or set it to {WIDE}",
        )
    on_cpu = {} if settings.cpu_nodes is None else {ALL: settings.cpu_nodes}
    for key, given in (
        ("inputs", settings.inputs),
        ("outputs", settings.outputs),
        ("cpu_nodes", on_cpu),
    ):
        for name, form in given.items():
            if form != WIDE:
                raise ModelbuildError(
                    f"quantize.{key}: with `mode: {BUDGET}` {'all' if name == ALL else name} is {WIDE}, "
                    f"not {form}",
                    advice="leave it out",
                )


def sides(settings: Settings) -> Sides:
    """What is not set is chosen."""
    return Sides(settings.activations in (None, (CHOSEN,)), settings.weights in (None, (CHOSEN,)))


def _by_channels(own: _Collected, listed: Sequence[Layer], share: float, chosen: Sides) -> None:
    """Layers with few output channels become int16 (Kneron: "smaller-channel Conv layers and BatchNorm"); of
    as many, those that run first."""
    rows = sorted((layer for layer in listed if layer.weights), key=lambda layer: layer.channels)
    for layer in rows[: max(round(share * len(rows)), 1)]:
        if chosen.activations:
            for root in layer.leaves:
                own.tensors.setdefault(root, WIDE)
        if chosen.weights and layer.weights is not None:
            own.weights.setdefault(layer.weights, WIDE)


class _Collected:
    """Formats by name, and which setting gave them."""

    def __init__(self) -> None:
        self.tensors: dict[str, str] = {}
        self.weights: dict[str, str] = {}
        self._said: dict[str, str] = {}

    def tensor(self, root: str, form: str, where: str) -> None:
        self._add(self.tensors, root, form, where)

    def leave(self, layer: Layer, form: str, where: str) -> None:
        for root in layer.leaves:
            self.tensor(root, form, where)

    def weight(self, name: str, form: str, where: str) -> None:
        self._add(self.weights, name, form, where)

    def _add(self, given: dict[str, str], name: str, form: str, where: str) -> None:
        if given.setdefault(name, form) != form:
            raise ModelbuildError(
                f"quantize.{where} is {form}, but quantize.{self._said[name]} is {given[name]}",
                where=f"quantize.{where.replace(': ', '.', 1)}",
                why=f"both are of {name!r}, or share its scale",
                advice="give both the same format",
            )
        self._said.setdefault(name, where)


def layers_named(listed: Sequence[Layer], name: str) -> list[Layer]:
    """The layer of this name, or else all that the source's node of this name became."""
    for layer in listed:
        if name in _names(layer):
            return [layer]
    became = [layer for layer in listed if any(name in node.origin for node in layer.step.nodes)]
    if not became:
        raise _unknown("quantize.nodes", name, [each for layer in listed for each in _names(layer)])
    return became


def _names(layer: Layer) -> Iterator[str]:
    """A layer goes by the names of its nodes and of what they leave."""
    for node in layer.step.nodes:
        yield node.name
        yield from (name for name in node.outputs if name)


def _unknown(key: str, name: str, known: Sequence[str]) -> ModelbuildError:
    advice = did_you_mean(name, known) or "`modelbuild check -v` lists the nodes of the lowered model"
    return ModelbuildError(f"{key}: there is no {name!r}", advice=advice)
