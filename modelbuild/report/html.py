"""The report as one HTML page without scripts or anything to load."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from modelbuild.report import chart, cpu_functions, memory_plan, text
from modelbuild.report.compiled import Compiled
from modelbuild.report.measurements import Layer
from modelbuild.report.model import Model, Report
from modelbuild.report.widths import share
from modelbuild.resources import folder

PAGE = "report/page.html.j2"
PLAN = "report/memory_plan.svg.j2"
BOUNDS = {
    "compute": "the MAC array",
    "dma": "feature maps to and from DRAM",
    "weights": "weights from DRAM",
    "overhead": "fixed cost of a layer",
}
_OPTIONS: dict[str, Any] = {
    "autoescape": True,
    "trim_blocks": True,
    "lstrip_blocks": True,
    "keep_trailing_newline": True,
}
_FILTERS: tuple[Callable[..., str], ...] = (
    text.bound,
    text.decibel,
    text.integer,
    text.large,
    text.number,
    text.percent,
    text.short,
    text.short_names,
    text.setting,
    text.size,
    share,
)
WORST = 5  # layers named under the SNR chart


def render(report: Report) -> str:
    """The page. The same report gives the same text."""
    return _environment().get_template(PAGE).render(report=report, BOUNDS=BOUNDS)


def svg_of_plan(plan: memory_plan.MemoryPlan, title: str) -> str:
    """The report's picture of a memory plan as a file of its own."""
    return _environment().get_template(PLAN).render(plan=memory_plan.picture(plan), title=title)


@cache
def _environment() -> Environment:
    templates = folder("templates")
    environment = Environment(
        loader=FileSystemLoader(templates),
        bytecode_cache=Compiled(templates / PAGE.split("/")[0], repr(_OPTIONS)),
        undefined=StrictUndefined,
        **_OPTIONS,
    )
    for filter_ in _FILTERS:
        environment.filters[filter_.__name__] = filter_
    environment.globals["memory_picture"] = memory_plan.picture
    environment.globals["cpu_rows"] = cpu_functions.rows
    for function in (time_chart, utilisation_chart, snr_chart, worst_layers, used_bounds, worst_snr):
        environment.globals[function.__name__] = function
    return environment


def time_chart(layers: tuple[Layer, ...]) -> chart.Chart | None:
    """Predicted time of each layer, coloured by what bounds it."""
    columns = [
        chart.Column(
            layer.time_ms,
            f"{layer.name}: {text.number(layer.time_ms)} ms, bound by {layer.bound}",
            layer.bound,
        )
        for layer in layers
    ]
    return chart.columns(columns, "layer", "time, ms")


def utilisation_chart(layers: tuple[Layer, ...]) -> chart.Chart | None:
    """Share of the MAC array's peak that each layer reaches."""
    columns = [
        chart.Column(
            None if layer.utilisation is None else layer.utilisation * 100,
            f"{layer.name}: {text.percent(layer.utilisation)} of the array",
        )
        for layer in layers
    ]
    return chart.columns(columns, "layer", "MAC utilisation, %")


def snr_chart(model: Model) -> chart.Chart | None:
    """SNR of each operator of the fixed-point model; the worst ones stand out. Exact ones have no bar."""
    if model.fidelity is None:
        return None
    worst = {layer.name for layer in worst_layers(model)}
    columns = [
        chart.Column(
            None if layer.snr_db is None or layer.snr_db >= text.EXACT_DB else layer.snr_db,
            f"{layer.name}: {text.decibel(layer.snr_db)} dB",
            "worst" if layer.name in worst else "plain",
        )
        for layer in model.fidelity.layers
    ]
    return chart.columns(columns, "operator", "SNR, dB")


def worst_layers(model: Model) -> list[Any]:
    """The inexact operators of the lowest SNR, lowest first; ties in the model's order."""
    layers = model.fidelity.layers if model.fidelity else ()
    inexact = [layer for layer in layers if layer.snr_db is not None and layer.snr_db < text.EXACT_DB]
    return sorted(inexact, key=lambda layer: layer.snr_db or 0.0)[:WORST]


def worst_snr(model: Model) -> float | None:
    """The lowest SNR of an output."""
    outputs = model.fidelity.outputs if model.fidelity else ()
    return min((output.snr_db for output in outputs if output.snr_db is not None), default=None)


def used_bounds(layers: tuple[Layer, ...]) -> list[str]:
    """The bounds that occur, in the legend's order."""
    return [name for name in BOUNDS if any(layer.bound == name for layer in layers)]
