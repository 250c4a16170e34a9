"""Writing ONNX as PyTorch's exporters do: shape arithmetic and all, with a dynamic batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from onnx import FunctionProto, NodeProto, TensorProto, helper, numpy_helper


class Exporter:
    """Collects nodes. `torchscript` puts constants into Constant nodes, `dynamo` makes initializers."""

    def __init__(self, opset: int, dynamo: bool = False) -> None:
        self.opset, self.dynamo = opset, dynamo
        self.nodes: list[NodeProto] = []
        self.initializers: list[TensorProto] = []
        self.functions: list[FunctionProto] = []

    def __call__(self, op: str, *inputs: str, outputs: int = 1, **attributes: Any) -> str:
        """A node; the name of its first output."""
        number = len(self.nodes)
        stem = f"{op.lower()}_{number}" if self.dynamo else f"/model/{op}_{number}_output_"
        made = [f"{stem}{index}" for index in range(outputs)]
        name = f"node_{op}_{number}" if self.dynamo else f"/model/{op}_{number}"
        self.nodes.append(helper.make_node(op, list(inputs), made, name, **attributes))
        return made[0]

    def made(self) -> list[str]:
        """The outputs of the last node."""
        return list(self.nodes[-1].output)

    def constant(self, value: Any, dtype: Any = np.int64) -> str:
        """A constant."""
        array = np.asarray(value, dtype)
        if not self.dynamo:
            return self("Constant", value=numpy_helper.from_array(array))
        name = f"val_{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(array, name))
        return name

    def size(self, x: str, axis: int) -> str:
        """`x.size(axis)`: a scalar, or of one element from the newer exporter."""
        if self.dynamo:
            return self("Shape", x, start=axis, end=axis + 1)
        return self("Gather", self("Shape", x), self.constant(axis), axis=0)

    def list(self, *items: str | int) -> str:
        """A list of sizes, given and computed, as one tensor."""
        parts = [self.constant([item]) if isinstance(item, int) else self.vector(item) for item in items]
        return self("Concat", *parts, axis=0)

    def vector(self, scalar: str) -> str:
        """A size as a tensor of one element."""
        if self.dynamo:
            return self("Reshape", scalar, self.constant([-1]), allowzero=0)
        return self.unsqueeze(scalar, 0)

    def unsqueeze(self, x: str, axis: int) -> str:
        """`x.unsqueeze(axis)`."""
        if self.opset < 13:
            return self("Unsqueeze", x, axes=[axis])
        return self("Unsqueeze", x, self.constant([axis]))

    def cast(self, x: str, kind: int) -> str:
        """`x.to(kind)`."""
        return self("Cast", x, to=kind)

    def saved(self, folder: Path, result: str, shape: list[int | str]) -> Path:
        """The model x -> y as a file."""
        self.nodes.append(helper.make_node("Identity", [result], ["y"], "last"))
        ports = [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, shape),
            helper.make_tensor_value_info("y", TensorProto.FLOAT, None),
        ]
        graph = helper.make_graph(self.nodes, "main_graph", ports[:1], ports[1:], self.initializers)
        opsets = [helper.make_opsetid("", self.opset)]
        opsets += [helper.make_opsetid(domain, 1) for domain in {item.domain for item in self.functions}]
        producer = {"producer_name": "pytorch", "producer_version": "2.5.0"}
        model = helper.make_model(
            graph, opset_imports=opsets, ir_version=8, functions=self.functions, **producer
        )
        (folder / "model.onnx").write_bytes(model.SerializeToString())
        return folder / "model.onnx"
