"""The memory that a predicted model needs, and what there is."""

from __future__ import annotations

from math import prod

from modelbuild.npu.limits import OverMemory, check_memory, room
from modelbuild.npu.planning.allocate import Lifetime, lower_bound
from modelbuild.npu.predicting.prediction import Prediction
from modelbuild.npu.savings import sizes_of


def memory(found: Prediction) -> dict[str, int]:
    """Bytes that the model's borders, maps and weights take, of one inference, and the program's peaks for a
    run; what there is, and the `room` that one model may take of it."""
    graph, hardware, plan = found.counted.graph, found.recipe.hardware, found.counted.compiled.memory
    cell = cell_bytes(found)
    return {
        "feature_maps_peak": round(_live_peak(found) / found.repeats),
        "input": sum(prod(graph.shapes[name]) * cell[name] for name in graph.inputs),
        "output": sum(prod(graph.shapes[name]) * cell[name] for name in graph.outputs),
        "weights": plan.weights,
        "dram_peak": plan.dram_peak,
        "sram_peak": plan.sram_peak,
        "dram": int(hardware.dram_bytes.value),
        "room": room(found.recipe).bytes,
        "sram": int(hardware.sram_bytes.value),
    }


def cell_bytes(found: Prediction) -> dict[str, int]:
    """Tensor -> bytes of one of its numbers."""
    return {name: tensor.dtype.itemsize for name, tensor in found.counted.model.tensors.items()}


def over_memory(found: Prediction) -> str | None:
    """What of a run does not fit, as the compiler would say it; None where all does."""
    try:
        check_memory(found.counted.graph.name, sizes_of(found.counted.compiled), found.recipe)
    except OverMemory as error:
        (problem,) = error.problems
        return f"{problem.what}: {problem.why}"
    return None


def _live_peak(found: Prediction) -> int:
    """The largest sum of maps that are needed at one time, in the model's order; a reshape makes none."""
    model, last = found.counted.model, len(found.counted.model.operators)
    roots: dict[str, str] = {}
    spans = {name: [0, 0] for name in model.inputs}
    for index, operator in enumerate(model.operators):
        for name in operator.inputs:
            if name not in model.constants:
                spans[roots.get(name, name)][1] = index
        for name in operator.outputs:
            if operator.kind == "reshape" and operator.inputs[0] not in model.constants:
                roots[name] = roots.get(operator.inputs[0], operator.inputs[0])
            else:
                spans[name] = [index, index]
    for name in model.outputs:
        spans.setdefault(roots.get(name, name), [0, 0])[1] = last
    sizes = {name: prod(model.tensors[name].shape) * model.tensors[name].dtype.itemsize for name in spans}
    return lower_bound([Lifetime(sizes[name], first, end) for name, (first, end) in spans.items()])
