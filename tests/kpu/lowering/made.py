"""From small float graphs to fixed models with a KPU, and what they make of samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from modelbuild.arithmetic.fixed_model import FixedModel, FixedOperator
from modelbuild.arithmetic.sessions import session
from modelbuild.chips.load import load_recipe
from modelbuild.graph.check import place
from modelbuild.graph.model import Graph, Node
from modelbuild.graph.normalise import normalise
from modelbuild.graph.passes import run_passes
from modelbuild.graph.rewrite import copied
from modelbuild.graph.session import FloatSession
from modelbuild.graph.whole_numbers import floats_of
from modelbuild.kpu.lower import lower
from modelbuild.kpu.ports import Ports
from modelbuild.quantize.observe import observe
from modelbuild.quantize.quantize import quantize
from modelbuild.quantize.settings import Settings
from tests.quantize.cases import F, Sample, graph_of, normal, samples_of


@dataclass(frozen=True)
class Lowered:
    """A graph as it was given and lowered, where `check` puts its nodes, and the fixed model."""

    source: Graph
    graph: Graph
    units: dict[str, str]
    fixed: FixedModel
    samples: list[Sample]

    def kinds(self, *kinds: str) -> list[FixedOperator]:
        """The operators of these kinds."""
        return [operator for operator in self.fixed.operators if operator.kind in kinds]

    def count(self, kind: str) -> int:
        return len(self.kinds(kind))

    def outputs(self, sample: Sample) -> dict[str, np.ndarray[Any, Any]]:
        return session(self.fixed).run(sample)

    def snr(self) -> float:
        """Of all outputs of all samples, in dB."""
        floats, ours = FloatSession(self.source), session(self.fixed)
        signal = noise = 0.0
        for sample in self.samples:
            expected, found = floats.run(sample), ours.run(sample)
            for name in self.graph.outputs:
                x, y = expected[name].astype(float), found[name].astype(float)
                signal, noise = signal + float((x**2).sum()), noise + float(((x - y) ** 2).sum())
        return float(10 * np.log10(signal / max(noise, 1e-20)))


def lowered(
    graph: Graph,
    chip: str = "k210",
    samples: list[Sample] | None = None,
    settings: dict[str, Any] | None = None,
    ports: Ports | None = None,
    sram_bytes: int | None = None,
) -> Lowered:
    """As a build does it, all but corrections by samples."""
    recipe = load_recipe(chip).with_sram(sram_bytes)
    source = copied(graph)
    graph, _ = normalise(graph)
    graph, _ = run_passes(graph, list(recipe.passes))
    units = place(graph, recipe).units
    given = samples or samples_of(graph)
    if recipe.number_format.arithmetic == "float32":
        return Lowered(source, graph, units, lower(graph, units, None, recipe), given)
    floats = floats_of(graph)
    record = quantize(floats, observe(floats, given), Settings.read(settings or {}), recipe.number_format)
    return Lowered(source, graph, units, lower(graph, units, record, recipe, asked=ports), given)


def conv(
    source: str,
    target: str,
    weight: str,
    kernel: int = 3,
    pads: list[int] | int | None = None,
    stride: int | list[int] = 1,
    **more: Any,
) -> Node:
    """A Conv with a bias `<weight>_b`; the pads keep the map where none are given."""
    pads = kernel // 2 if pads is None else pads
    attributes: dict[str, Any] = {
        "kernel_shape": [kernel, kernel],
        "pads": [pads] * 4 if isinstance(pads, int) else pads,
        "strides": [stride] * 2 if isinstance(stride, int) else stride,
        **more,
    }
    return Node("Conv", f"conv_{target}", [source, weight, f"{weight}_b"], [target], attributes)


def weights(**shapes: tuple[int, ...]) -> dict[str, np.ndarray[Any, Any]]:
    """Weights of each shape and biases beside them."""
    made: dict[str, Any] = {}
    for seed, (name, shape) in enumerate(shapes.items(), 1):
        made[name] = normal(*shape, seed=seed) / F(np.sqrt(np.prod(shape[1:])))
        made[f"{name}_b"] = normal(shape[0], seed=seed + 100) * F(0.2)
    return made


def network(nodes: list[Node], shape: tuple[int, ...], constants: dict[str, Any], *outputs: str) -> Graph:
    """A graph on `x`; its output is the last node's where none is named."""
    return graph_of(nodes, {"x": shape}, list(outputs) or nodes[-1].outputs, constants)
