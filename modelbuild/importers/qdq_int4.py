"""Constants of 4 bits that a DequantizeLinear reads: stored as 8 bits, of which they use sixteen codes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from onnx import ModelProto, TensorProto, numpy_helper

from modelbuild.errors import ModelbuildError

_WIDER: Mapping[int, type[np.generic]] = {TensorProto.INT4: np.int8, TensorProto.UINT4: np.uint8}


def widen(model: ModelProto) -> None:
    """Replaces them in `model`. Activations of 4 bits stay, and are refused by their type; raises for a
    tensor whose data do not fit its shape."""
    graph = model.graph
    read = {name for node in graph.node if node.op_type == "DequantizeLinear" for name in node.input}
    made = {name for node in graph.node if node.op_type != "DequantizeLinear" for name in node.input}
    for tensor in graph.initializer:
        narrow = tensor.data_type in _WIDER and tensor.data_location != TensorProto.EXTERNAL
        if narrow and tensor.name in read - made:
            try:
                values = numpy_helper.to_array(tensor)
            except (ValueError, TypeError, OverflowError) as error:
                raise ModelbuildError(f"the tensor `{tensor.name}` is damaged: {error}") from error
            wide = values.astype(_WIDER[tensor.data_type])
            tensor.CopyFrom(numpy_helper.from_array(wide, tensor.name))
