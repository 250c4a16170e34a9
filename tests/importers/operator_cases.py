"""A small model for every operator that can be imported, in each of its versions from set 7 on."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

F, I64, I32, BOOL = np.float32, np.int64, np.int32, np.bool_


@dataclass(frozen=True)
class X:
    """An input of the model."""

    shape: tuple[int, ...] = (1, 2, 4, 4)
    dtype: Any = F


@dataclass(frozen=True)
class Case:
    """One node: `inputs` are X, arrays (constants) or None (absent); legal in sets since to until - 1."""

    op: str
    inputs: tuple[Any, ...] = (X(),)
    attributes: dict[str, Any] = field(default_factory=dict)
    since: int = 1
    until: int = 999
    outputs: int = 1

    def versions(self) -> list[int]:
        """The operator sets in which the operator has another definition than in the one before."""
        known = standard_sets().get(self.op, [])
        in_force = max((version for version in known if version <= 7), default=7)
        found = {max(version, 7) for version in known if version >= in_force}
        ends = {max(self.since, 7)} if self.since > min(found, default=7) else set[int]()
        return sorted(version for version in found | ends if self.since <= version < self.until)


@cache
def standard_sets() -> dict[str, list[int]]:
    """Of every standard operator the operator sets that define it anew."""
    found: dict[str, list[int]] = {}
    for schema in onnx.defs.get_all_schemas_with_history():
        if not schema.domain and not schema.deprecated:
            found.setdefault(schema.name, []).append(schema.since_version)
    return {name: sorted(versions) for name, versions in found.items()}


def saved(folder: Path, case: Case, opset: int) -> Path:
    """The model of `case` as a file."""
    names, ports, constants = [], [], []
    for index, value in enumerate(case.inputs):
        name = "" if value is None else f"i{index}"
        names.append(name)
        if isinstance(value, X):
            kind = helper.np_dtype_to_tensor_dtype(np.dtype(value.dtype))
            ports.append(helper.make_tensor_value_info(name, kind, value.shape))
        elif value is not None:
            constants.append(numpy_helper.from_array(np.asarray(value), name))
    made = [f"y{index}" for index in range(case.outputs)]
    node = helper.make_node(case.op, names, made, "n", **case.attributes)
    results = [onnx.ValueInfoProto(name=name) for name in made]
    graph = helper.make_graph([node], "g", ports, results, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    for value in inferred.graph.output:
        if not value.type.tensor_type.elem_type:
            value.type.tensor_type.elem_type = TensorProto.FLOAT
    path = folder / f"{case.op}_{opset}.onnx"
    path.write_bytes(inferred.SerializeToString())
    return path


def w(*shape: int) -> Any:
    """Weights."""
    return (np.arange(np.prod(shape), dtype=F).reshape(shape) % 7 - 3) / 4


def ints(*values: int) -> Any:
    """A constant of int64."""
    return np.array(values, I64)


def each(ops: str, *inputs: Any, **attributes: Any) -> list[Case]:
    """One case for each of `ops`."""
    return [Case(op, inputs or (X(),), attributes) for op in ops.split()]
