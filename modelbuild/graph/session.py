"""Running float graphs with onnxruntime: one thread, one sample at a time, any tensor on request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import onnxruntime
from google.protobuf.message import DecodeError

from modelbuild.errors import EXIT_FAILED, ModelbuildError
from modelbuild.graph import large, reference
from modelbuild.graph.model import Array, Graph, Shape
from modelbuild.graph.onnx_io import to_bytes

_ELEMENT_TYPES: Mapping[str, Any] = {
    "float": np.float32,
    "float16": np.float16,
    "double": np.float64,
    "bool": np.bool_,
    **{f"{sign}int{bits}": np.dtype(f"{sign}int{bits}") for sign in ("", "u") for bits in (8, 16, 32, 64)},
}
_MOST_COPIED = 2**28  # bytes of weights: to_bytes and onnxruntime hold up to four copies of them
# Of its optimisations: 1.31 folds a Pad with 0 into a MaxPool of negative values, and is no faster where a
# function is folded into a Conv.
_UNWANTED = ("Pad_Fusion", "ConvActivationFusion")


@dataclass(frozen=True)
class Many:
    """Many runs: the memory of one is kept for the next one, in whatever thread.

    `optimized`: with onnxruntime's own optimisations, above all another layout, but for `_UNWANTED`.
    """

    optimized: bool = False


class FloatSession:
    """A float model ready to run.

    `many` is for sessions that run often.

    `outputs` names the tensors to return: None for the model's own, "all" for every float tensor that a
    node makes, besides the model's own outputs. `origin` is the file of which `model` are the (changed)
    bytes: data outside of it lie beside it, and errors name it.
    """

    def __init__(
        self,
        model: Graph | Path | bytes,
        outputs: Sequence[str] | Literal["all"] | None = None,
        origin: Path | None = None,
        many: Many | None = None,
    ) -> None:
        origin = model if isinstance(model, Path) else origin
        self._label = model.name if isinstance(model, Graph) else str(origin or "the model")
        if isinstance(model, Graph):
            model = model if outputs is None else _with_outputs(model, outputs)
            model, self._fed = _without_large(model)
            source: str | bytes = to_bytes(model)
        else:
            self._fed = {}
            source = model if isinstance(model, bytes) else str(model)
            if isinstance(model, Path):
                source = source if outputs is None else _file_with_outputs(model, outputs)
        try:
            self._session = _opened(source, origin.parent if origin else None, many)
        except Exception as error:  # onnxruntime's exceptions share no base class but this
            raise self._failure("cannot load", error) from error
        self.inputs: dict[str, tuple[Shape | None, np.dtype[Any]]] = {
            item.name: (_static(item.shape), _dtype(item.name, item.type))
            for item in self._session.get_inputs()
            if item.name not in self._fed
        }
        self.outputs: tuple[str, ...] = tuple(item.name for item in self._session.get_outputs())

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Output name -> array. Raises naming an input that is missing or has another shape or type."""
        for name, (shape, dtype) in self.inputs.items():
            given = inputs.get(name)
            if given is None:
                raise ModelbuildError(f"the input `{name}` of `{self._label}` is missing")
            if given.dtype != dtype or (shape is not None and given.shape != shape):
                raise ModelbuildError(
                    f"the input `{name}` of `{self._label}` is {given.dtype} {list(given.shape)}",
                    why=f"it must be {dtype} {list(shape or ())}",
                )
        for name in inputs:
            if name not in self.inputs:
                raise ModelbuildError(
                    f"`{self._label}` has no input `{name}`", advice=f"its inputs: {', '.join(self.inputs)}"
                )
        try:
            found = self._session.run(list(self.outputs), {**inputs, **self._fed})
        except Exception as error:  # as above
            raise self._failure("cannot run", error) from error
        return dict(zip(self.outputs, found, strict=True))

    def _failure(self, what: str, error: Exception) -> ModelbuildError:
        reason = " ".join(str(error).split())[:500]
        return ModelbuildError(f"onnxruntime {what} `{self._label}`", why=reason, exit_code=EXIT_FAILED)


def _without_large(graph: Graph) -> tuple[Graph, dict[str, Array]]:
    """A graph of heavy weights with its large constants as inputs, which take no copy; and these."""
    if large.weights(graph.constants) <= _MOST_COPIED:
        return graph, {}
    fed = {name: array for name, array in graph.constants.items() if large.is_apart(array)}
    kept = {name: array for name, array in graph.constants.items() if name not in fed}
    changed = Graph(graph.name, graph.nodes, [*graph.inputs, *fed], graph.outputs, kept)
    changed.shapes, changed.dtypes, changed.opset = graph.shapes, graph.dtypes, graph.opset
    return changed, fed


def _opened(source: str | bytes, folder: Path | None, many: Many | None) -> Any:
    """A session. A file that onnxruntime is too old for runs as a copy, or by onnx's own evaluator.

    `folder` is where the data outside of a file's bytes lie.
    """
    try:
        return _session(source, folder if isinstance(source, bytes) else None, many)
    except Exception:  # as above
        found = None if folder is None else _opened_otherwise(source, folder)
        if found is None:
            raise
        return found


def _opened_otherwise(source: str | bytes, folder: Path) -> Any:
    if isinstance(source, bytes):
        model = onnx.load_model_from_string(source)
    else:
        model = onnx.load(source, load_external_data=False)
    for copy in reference.older(model):
        try:
            return _session(bytes(copy.SerializeToString()), folder)
        except Exception:  # as above; the caller tells the first one
            continue
    try:
        onnx.load_external_data_for_model(model, str(folder))
        return reference.ReferenceSession(model)
    except Exception:  # its evaluator raises what its authors thought of
        return None


def _session(source: str | bytes, folder: Path | None, many: Many | None = None) -> Any:
    options = _options()
    options.enable_cpu_mem_arena = many is not None
    if many is not None and many.optimized:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    if folder is not None:
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
    return onnxruntime.InferenceSession(
        source,
        sess_options=options,
        providers=["CPUExecutionProvider"],
        enable_fallback=0,
        disabled_optimizers=list(_UNWANTED),
    )


def _options() -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    # In the order of the graph, whose writer so decides which tensors are in memory at the same time.
    options.execution_order = onnxruntime.ExecutionOrder.PRIORITY_BASED
    # Its own fusions are not always right (`_UNWANTED`).
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.use_deterministic_compute = True
    options.log_severity_level = 4
    return options


def _with_outputs(graph: Graph, outputs: Sequence[str] | Literal["all"]) -> Graph:
    made = [name for node in graph.nodes for name in node.outputs if name]
    if outputs == "all":
        floats = [name for name in made if np.issubdtype(graph.dtypes[name], np.floating)]
        wanted = list(dict.fromkeys([*graph.outputs, *floats]))
    else:
        _all_known(graph.name, outputs, {*made, *graph.outputs})
        wanted = list(outputs)
    changed = Graph(graph.name, graph.nodes, graph.inputs, wanted, graph.constants)
    changed.shapes, changed.dtypes, changed.opset = graph.shapes, graph.dtypes, graph.opset
    return changed


def _file_with_outputs(path: Path, outputs: Sequence[str] | Literal["all"]) -> bytes:
    try:
        model = onnx.load(str(path), load_external_data=False)
    except (OSError, DecodeError) as error:
        raise ModelbuildError("this is not a readable ONNX file", where=str(path), why=str(error)) from error
    own = {value.name: value for value in model.graph.output}
    made = dict.fromkeys(name for node in model.graph.node for name in node.output if name)
    if outputs == "all":
        inferred = onnx.shape_inference.infer_shapes(model).graph.value_info
        floats = [v.name for v in inferred if v.type.tensor_type.elem_type == onnx.TensorProto.FLOAT]
        wanted = list(dict.fromkeys([*own, *floats]))
    else:
        _all_known(str(path), outputs, {*made, *own})
        wanted = list(outputs)
    del model.graph.output[:]
    model.graph.output.extend(own.get(name) or onnx.ValueInfoProto(name=name) for name in wanted)
    return bytes(model.SerializeToString())


def _all_known(label: str, outputs: Sequence[str], known: set[str]) -> None:
    for name in outputs:
        if name not in known:
            raise ModelbuildError(f"`{label}` makes no tensor `{name}`")


def _static(shape: Sequence[object]) -> Shape | None:
    """The shape as onnxruntime tells it. Of an input without any it tells that of a scalar: not known."""
    sizes = [size for size in shape if isinstance(size, int)]
    return tuple(sizes) if len(sizes) == len(shape) and sizes else None


def _dtype(name: str, described: str) -> np.dtype[Any]:
    element = described.removeprefix("tensor(").removesuffix(")")
    if element not in _ELEMENT_TYPES:
        raise ModelbuildError(f"the input `{name}` is a {described}, which is not supported")
    found: np.dtype[Any] = np.dtype(_ELEMENT_TYPES[element])
    return found
