"""Inputs and outputs of a kmodel that hold bytes of the KPU, with a scale and a zero point, not floats."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from modelbuild.arithmetic.fixed_model import FixedModel, FixedOperator, QuantizedTensor
from modelbuild.errors import ModelbuildError, did_you_mean
from modelbuild.graph.model import Graph
from modelbuild.graph.quantized_border import is_port
from modelbuild.graph.whole_numbers import is_whole
from modelbuild.kpu.lowering.limits import line
from modelbuild.kpu.lowering.lowering import Lowering
from modelbuild.quantize.mixed_settings import ALL

BYTES = "uint8"
Ports = Mapping[str, Mapping[str, str]]  # inputs | outputs -> name, or `*` for the others -> format


def of_bytes(asked: Ports, side: str, graph: Graph) -> list[str]:
    """The inputs or outputs that are to hold bytes, but for those that hold codes of the source's. Raises
    (exit 2) on names that there are not, and where codes are to be anything else."""
    given, names = asked.get(side, {}), graph.inputs if side == "inputs" else graph.outputs
    for name in given.keys() - {ALL}:
        where = f"quantize.{side}.{name}"
        if name not in names:
            advice = did_you_mean(name, names) or f"the lowered model has {', '.join(names)}"
            raise ModelbuildError(f"quantize.{side}: there is no {name!r}", where=where, advice=advice)
        if is_port(graph, name) and given[name] != str(graph.dtypes[name]):
            raise ModelbuildError(
                f"quantize.{side}: {name!r} has the format of the source's codes",
                where=where,
                advice="take it out",
            )
        if is_whole(graph, name) and given[name] != str(graph.dtypes[name]):
            raise ModelbuildError(
                f"quantize.{side}: {name!r} holds whole numbers ({graph.dtypes[name]})",
                where=where,
                advice="take it out",
            )
    own = [name for name in names if not (is_port(graph, name) or is_whole(graph, name))]
    return [name for name in own if given.get(name, given.get(ALL)) == BYTES]


def finish_outputs(lowering: Lowering, graph: Graph, asked: Ports) -> dict[str, QuantizedTensor]:
    """Makes every output of `graph` in the form that is asked for; those of bytes, by the output's name."""
    found = {name: lowering.bytes(name) for name in of_bytes(asked, "outputs", graph)}
    for name in graph.outputs:
        if name not in found and name not in lowering.parts.tensors:
            lowering.floats(name)
    return found


def with_outputs(model: FixedModel, found: Mapping[str, QuantizedTensor]) -> FixedModel:
    """The model whose outputs are these bytes. What made floats of them goes, where nobody else reads it."""
    for name, tensor in found.items():
        if not any(name in operator.inputs for operator in model.operators):
            model = _without(model, name)
        model = _exchanged(model, name, tensor.name)
    return model


def with_inputs(lowering: Lowering, model: FixedModel, asked: Ports) -> FixedModel:
    """The model whose inputs hold bytes where that is asked for: at the scale that calibration gave them."""
    for name in of_bytes(asked, "inputs", lowering.graph):
        recorded = lowering.recorded(name)
        firsts = [one for one in model.operators if one.kind == "quantize" and one.inputs == (name,)]
        first = next((one for one in firsts if _alike(model.tensors[one.outputs[0]], recorded)), None)
        port = f"{name}/codes" if first is None else first.outputs[0]
        tensors = {**model.tensors, port: replace(recorded, name=port)}
        operators = [one for one in model.operators if one is not first]
        unread = () if first is None else first.constants.values()
        constants = {key: values for key, values in model.constants.items() if key not in unread}
        if any(name in one.inputs for one in operators):
            own, values = f"{name}/floats", line(recorded.scale, -recorded.zero_point * recorded.scale)
            roles = {role: f"{own}/{role}" for role in values}
            constants |= {roles[role]: value for role, value in values.items()}
            origin = next(one.origin for one in operators if name in one.inputs)
            operators.insert(0, FixedOperator("dequantize", own, (port,), (name,), {}, roles, origin, "cpu"))
        else:
            del tensors[name]
        model = replace(model, operators=tuple(operators), constants=constants, tensors=tensors)
        model = _exchanged(model, name, port)
    return model


def _alike(a: QuantizedTensor, b: QuantizedTensor) -> bool:
    return (a.scale, a.zero_point, a.shape) == (b.scale, b.zero_point, b.shape)


def _without(model: FixedModel, name: str) -> FixedModel:
    """The model without the tensor, and what converts bytes to it."""
    gone = [one for one in model.operators if one.kind == "dequantize" and one.outputs == (name,)]
    unread = {constant for operator in gone for constant in operator.constants.values()}
    return replace(
        model,
        operators=tuple(one for one in model.operators if one not in gone),
        tensors={key: tensor for key, tensor in model.tensors.items() if key != name},
        constants={key: values for key, values in model.constants.items() if key not in unread},
    )


def _exchanged(model: FixedModel, outer: str, inner: str) -> FixedModel:
    """`inner` is called `outer`, and what was called so has another name."""
    other = f"{outer}/floats"
    names = {inner: outer, outer: other}

    def renamed(listed: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(names.get(name, name) for name in listed)

    return replace(
        model,
        tensors={
            names.get(key, key): replace(t, name=names.get(key, key)) for key, t in model.tensors.items()
        },
        constants={names.get(key, key): value for key, value in model.constants.items()},
        operators=tuple(
            replace(one, inputs=renamed(one.inputs), outputs=renamed(one.outputs)) for one in model.operators
        ),
    )
