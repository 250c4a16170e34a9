"""What `check` tells of a kmodel before it is made: what single nodes on the CPU cost, with the conversions
and copies of maps that are there for them, and whether the general RAM holds it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from math import fsum

from modelbuild.arithmetic.fixed_model import FixedOperator
from modelbuild.chips.recipe import Recipe
from modelbuild.errors import ModelbuildError
from modelbuild.graph.check import Finding
from modelbuild.graph.model import Graph
from modelbuild.kpu.predicting.prediction import Prediction, predict
from modelbuild.kpu.room import ADVICE
from modelbuild.npu.limits import room
from modelbuild.npu.predicting.assumptions import Options

CODE = "MB119"
REFUSED = "MB120"
_MATRIX = 2


def checked(
    graph: Graph, units: Mapping[str, str], recipe: Recipe, options: Options | None = None
) -> tuple[dict[str, float], float | None, Finding | None]:
    """`cpu_times`, the ms of all the model, and what keeps it from being compiled: `refused`, or
    `over_memory`. `units` has no `none`, which is told already."""
    try:
        found = predict(graph, units, recipe, options)
    except ModelbuildError as error:
        return {}, None, _of_error(error, graph)
    total = found.ms(found.cycles) + fsum(found.cpu_ms(one.work.operations) for one in found.on_cpu)
    return cpu_times(found), total, refused(found) or over_memory(found)


def refused(found: Prediction) -> Finding | None:
    """The first node that the lowering refuses. Others may be refused since this one is left out."""
    for node, why in found.left_out.items():
        op = next(each.op for each in found.graph.nodes if each.name == node)
        file = f"{found.recipe.container.format} for {found.recipe.chip}"
        return Finding(REFUSED, "error", f"{op} `{node}`: no {file} can have it: {why}", _INSTEAD, node)
    return None


_INSTEAD = "replace the node by others, or cut the model before it (`edit`)"


def _of_error(error: ModelbuildError, graph: Graph) -> Finding:
    """Of all that the lowering or the compiler refused, the first."""
    problem = error.problems[0]
    node = next((node.name for node in graph.nodes if problem.where == f"node {node.name!r}"), "")
    message = ": ".join(part for part in ("" if node else problem.where, problem.what, problem.why) if part)
    return Finding(REFUSED, "error", message, problem.advice or _INSTEAD, node)


def over_memory(found: Prediction) -> Finding | None:
    """What the build will say of the general RAM. Counted is what no kmodel of it goes without: of the
    KPU's constants the weights alone, equal ones once. What is over by less, the build tells."""
    sizes, has = found.compiled.memory.sizes, room(found.recipe)
    kmodel = sizes.kmodel - sizes.kpu_constants + max(sizes.kpu_constants, _weights(found))
    pools = sizes.input + sizes.output + sizes.working
    if kmodel + pools <= has.bytes:
        return None
    what = f"{found.graph.name} needs {kmodel + pools:,} bytes of general RAM or more; {has.of} {has.bytes:,}"
    parts = f"the kmodel {kmodel:,}, inputs {sizes.input:,}, outputs {sizes.output:,}"
    return Finding(CODE, "error", f"{what}: {parts}, working memory {sizes.working:,}", ADVICE)


def _weights(found: Prediction) -> int:
    """Bytes: one a weight of layers."""
    constants = found.graph.constants
    read = {name for node in found.graph.nodes if found.units[node.name] == "npu" for name in node.inputs}
    arrays = [constants[name] for name in read if name in constants and constants[name].ndim >= _MATRIX]
    return sum({sha256(array.tobytes()).digest(): array.size for array in arrays}.values())


def cpu_times(found: Prediction) -> dict[str, float]:
    """Node on the CPU -> ms of one run, as `evaluate` counts them: its maps come from the KPU's RAM, floats
    are made of bytes, and bytes of these for the layer behind it, which are uploaded."""
    times: dict[str, float] = {}
    for ms, nodes in (*_functions(found), *_copies(found)):
        charged = [name for name in dict.fromkeys(nodes) if found.units.get(name) == "cpu"]
        for name in charged:
            times[name] = times.get(name, 0.0) + ms / len(charged)
    return times


def _functions(found: Prediction) -> Iterator[tuple[float, Sequence[str]]]:
    """ms of each function of the CPU, and the nodes for which it is there."""
    operators = {operator.name: operator for operator in found.model.operators}
    makers = _makers(found)
    read = {name for operator in found.model.operators for name in operator.inputs}
    ports = {*found.model.outputs} - read
    for one in found.on_cpu:
        operator = operators.get(one.name)
        if operator is not None and operator.kind == "dequantize" and operator.outputs[0] in ports:
            continue  # of an output: no node's own
        nodes = one.nodes if operator is None else _nodes(operator, makers, found.units)
        yield found.cpu_ms(one.work.operations), nodes


def _copies(found: Prediction) -> Iterator[tuple[float, Sequence[str]]]:
    """ms of each upload of what a node on the CPU made, and of each download that such a node reads."""
    makers = _makers(found)
    readers: dict[str, list[str]] = {}
    for operator in found.model.operators:
        for name in operator.inputs:
            readers.setdefault(name, []).extend(operator.origin)
    layers = {operator.name: operator for operator in found.model.operators}
    started: set[int] = set()
    for row in found.rows:
        sources = found.compiled.functions[row.function].sources
        made = [makers[name] for name in sources if name in makers]
        if made and row.function not in started:
            nodes = [node for maker in made for node in _nodes(maker, makers, found.units)]
            yield found.ms(row.busy.read), nodes
        started.add(row.function)
        if row.write_bytes:
            nodes = [node for name in layers[row.name].outputs for node in readers.get(name, ())]
            yield found.ms(row.busy.write), nodes


def _makers(found: Prediction) -> dict[str, FixedOperator]:
    return {name: operator for operator in found.model.operators for name in operator.outputs}


def _nodes(
    operator: FixedOperator, makers: Mapping[str, FixedOperator], units: Mapping[str, str]
) -> tuple[str, ...]:
    """The nodes for which it is there: of bytes that a layer reads, those that made the floats."""
    own = any(units.get(name) == "cpu" for name in operator.origin)
    maker = makers.get(operator.inputs[0]) if operator.kind == "quantize" and not own else None
    return operator.origin if maker is None else maker.origin
