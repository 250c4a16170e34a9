"""The bounds of `accept` that `mode: auto` works towards, measured on calibration samples. No stage."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelbuild.quantize.goals import FUNCTION, MARGIN_DB, OF_BOXES, OF_CLASSES, OF_OUTPUTS, measurable
from modelbuild.samples.labels import kind_of
from modelbuild.stages import accuracy
from modelbuild.stages.request import SAMPLE_ROLES, ModelRequest, Samples, Source, sample_role

if TYPE_CHECKING:
    from modelbuild.graph.model import Graph
    from modelbuild.quantize.mixed_search import Goal

LEAST = 16  # samples that a choice is measured on
MOST_OF_OUTPUTS, MOST = 64, 1024  # where outputs are compared, and where shares of samples are
MACS, BYTES = 20e9, 64 << 20  # of all runs, and of all inputs, where that leaves the least number of samples


def inputs(request: ModelRequest) -> dict[str, Source]:
    """Beside the samples: what runs after the chip, and the functions of the user's that measure."""
    return {**request.after_chip(), **accuracy.inputs(_measuring(request))}


def parameters(request: ModelRequest) -> dict[str, Any]:
    """The bounds, and what they are measured with."""
    assert request.calibration is not None
    accept = _bounds(request)
    classes = any(key in accept for key in OF_CLASSES)
    return {
        "accept": accept,
        "recipe": request.recipe,
        **({"labels": accuracy.classes(request.calibration)} if classes else {}),
        **accuracy.parameters(_measuring(request), request.calibration),
    }


def _bounds(request: ModelRequest) -> dict[str, Any]:
    kinds = (_kind(samples) for samples in (request.calibration, request.evaluation))
    return measurable(request.settings.get("accept") or {}, *kinds)


def _kind(samples: Samples | None) -> str | None:
    return None if samples is None or samples.labels is None else kind_of(samples.labels)


def _measuring(request: ModelRequest) -> ModelRequest:
    """With those functions alone that can measure calibration samples."""
    bounds = _bounds(request)
    boxes = request.boxes if any(key in bounds for key in OF_BOXES) else None
    return replace(request, boxes=boxes, functions=request.functions if FUNCTION in bounds else ())


@contextmanager
def opened(given: Mapping[str, Path], parameters: Mapping[str, Any], graph: Graph) -> Iterator[Goal]:
    """The goal, which measures until the end of the context."""
    from modelbuild.chips.recipe import Recipe
    from modelbuild.quantize.apply import apply
    from modelbuild.quantize.mixed_measure import OutputMeter
    from modelbuild.quantize.mixed_search import Goal
    from modelbuild.stages.files import read_after_chip, read_samples, validated

    recipe = validated(Recipe, parameters["recipe"])
    after = read_after_chip(given.get("post"))
    fed = graph if after is None else after.with_inputs(graph)
    chosen = _chosen(parameters, graph)
    given, parameters = _of_chosen(given, parameters, chosen)
    samples = read_samples(given, len(chosen), fed, parameters["preprocess"])
    with accuracy.opened(given, parameters, {name: fed.shapes[name] for name in fed.inputs}) as measures:
        meter = OutputMeter(
            graph,
            samples,
            lambda record: apply(graph, {}, record, recipe),
            after,
            classes="labels" in parameters,
            labels=parameters.get("labels"),
            measures=measures,
        )
        settings = parameters["settings"]
        margin_db = settings.get("margin_db", MARGIN_DB)
        yield Goal(parameters["accept"], meter, settings.get("max_measurements"), margin_db, len(chosen))


def _chosen(parameters: Mapping[str, Any], graph: Graph) -> list[int]:
    """Samples to measure on, spread evenly."""
    from modelbuild.graph.statistics import node_macs

    count = parameters["samples"]
    macs = max(sum(node_macs(graph, node) for node in graph.nodes), 1)
    size = 4 * sum(math.prod(graph.shapes[name]) for name in graph.inputs)
    most = MOST_OF_OUTPUTS if set(parameters["accept"]) <= set(OF_OUTPUTS) else MOST
    most = min(count, max(LEAST, min(most, int(MACS / macs), BYTES // size)))
    return [index * count // most for index in range(most)]


def _of_chosen(
    given: Mapping[str, Path], parameters: Mapping[str, Any], chosen: list[int]
) -> tuple[dict[str, Path], dict[str, Any]]:
    """As if there were no other samples."""
    number = {str(index).zfill(6): place for place, index in enumerate(chosen)}
    kept = {role: path for role, path in given.items() if not role.startswith(SAMPLE_ROLES)}
    for role, path in given.items():
        index, _, name = role.removeprefix(SAMPLE_ROLES).partition("/")
        if role not in kept and index in number:
            kept[sample_role(number[index], name)] = path
    found = {**parameters, "samples": len(chosen)}
    if parameters.get("labels") is not None:
        found["labels"] = [parameters["labels"][index] for index in chosen]
    if (measures := parameters.get("measures")) is not None and measures["labels"] is not None:
        labels = [measures["labels"][index] for index in chosen]
        found["measures"] = {**measures, "labels": labels}
    return kept, found
