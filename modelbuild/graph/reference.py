"""Loading an ONNX file for a run: onnxruntime, also where the file is newer than it; else onnx's reference.

The set of operators that the installed onnx knows grows before onnxruntime's: a newer file is run under the
newest set in which its operators have the same form, or by onnx's own evaluator.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from onnx import ModelProto, TensorProto, ValueInfoProto, defs

from modelbuild.graph.model import Array

IR_VERSION = 10  # every onnxruntime >= 1.18 reads it; the versions since add types, which no graph here has
_OLDER_SETS = (26, 21, 17)  # onnxruntime 1.31 knows 26, and not each operator whose definition is of set 22

_OF_FLOAT8 = ("saturate", "round_mode")  # how Cast rounds to types that no graph here has


def older(model: ModelProto) -> Iterable[ModelProto]:
    """Copies of `model` that mean the same to an older or stricter runtime, the newest first.

    Data outside of the file stay there.
    """
    version = max((item.version for item in model.opset_import if item.domain in ("", "ai.onnx")), default=1)
    sets = [version, *(item for item in _OLDER_SETS if item < version and _same(model, version, item))]
    for lower in sets:
        copy = ModelProto()
        copy.CopyFrom(model)
        copy.ir_version = min(copy.ir_version, IR_VERSION)
        _forget_claims(copy)
        for node in copy.graph.node:
            kept = [item for item in node.attribute if lower >= version or item.name not in _OF_FLOAT8]
            del node.attribute[:]
            node.attribute.extend(kept)
        for entry in copy.opset_import:
            if entry.domain in ("", "ai.onnx"):
                entry.version = lower
        yield copy


def _forget_claims(model: ModelProto) -> None:
    """Drops what a runtime may stumble over and need not know: names of nodes, shapes that are claimed."""
    graph = model.graph
    del graph.value_info[:]
    for node in graph.node:
        node.ClearField("name")
    for value in graph.output:
        value.type.tensor_type.ClearField("shape")


def _same(model: ModelProto, newer: int, lower: int) -> bool:
    """Whether every operator of `model` has the same form in both sets."""
    used = {node.op_type for node in model.graph.node if node.domain in ("", "ai.onnx")}
    return not model.functions and all(_form(op, newer) == _form(op, lower) for op in used)


def _form(op: str, version: int) -> object:
    if not defs.has(op, version):
        return version
    schema = defs.get_schema(op, version)
    attributes = {
        name: str(item.default_value) for name, item in schema.attributes.items() if name not in _OF_FLOAT8
    }
    return attributes, [item.name for item in schema.inputs], [item.name for item in schema.outputs]


@dataclass(frozen=True)
class _Port:
    """As onnxruntime describes an input or output."""

    name: str
    shape: Sequence[object]
    type: str


class ReferenceSession:
    """onnx's own evaluator with the methods of an onnxruntime session that are used here."""

    def __init__(self, model: ModelProto) -> None:
        from onnx.reference import ReferenceEvaluator  # which hardly any model needs

        self._evaluator = ReferenceEvaluator(model)
        constants = {item.name for item in model.graph.initializer}
        self._inputs = [_port(value) for value in model.graph.input if value.name not in constants]
        self._outputs = [_port(value) for value in model.graph.output]

    def get_inputs(self) -> list[_Port]:
        """Name, shape and type of each input."""
        return self._inputs

    def get_outputs(self) -> list[_Port]:
        """Name, shape and type of each output."""
        return self._outputs

    def run(self, names: Sequence[str], inputs: Mapping[str, Array]) -> list[Array]:
        """The outputs `names`."""
        return [np.asarray(item) for item in self._evaluator.run(list(names), dict(inputs))]


def _port(value: ValueInfoProto) -> _Port:
    tensor = value.type.tensor_type
    kind = TensorProto.DataType.Name(tensor.elem_type).lower()
    shape = [dim.dim_value if dim.HasField("dim_value") else dim.dim_param for dim in tensor.shape.dim]
    return _Port(value.name, shape, f"tensor({kind})")
