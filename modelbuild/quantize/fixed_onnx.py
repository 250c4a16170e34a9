"""Fixed models as ONNX files in QDQ form: Netron opens them, onnxruntime runs them.

What decides the bits, the integers, is in `metadata_props` and the initializers; docs/format-fixed-onnx.md.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError, EncodeError
from onnx import TensorProto, helper, numpy_helper

from modelbuild.arithmetic.fixed_model import FixedModel, Integers
from modelbuild.arithmetic.validation import validate
from modelbuild.errors import ModelbuildError
from modelbuild.quantize import fixed_json
from modelbuild.quantize.qdq import emit

OPSET = 21  # the first whose QuantizeLinear knows 16 bits
IR_VERSION = 10
ARITHMETIC_KEY = "modelbuild.arithmetic"
MODEL_KEY = "modelbuild.fixed"
DIGEST_KEY = "modelbuild.digest"


def write(model: FixedModel, path: Path) -> None:
    """The same model gives the same bytes. Raises where the model is no valid one, or above 2 GB."""
    path.write_bytes(to_bytes(model))


def to_bytes(model: FixedModel) -> bytes:
    """The file's content."""
    validate(model)
    drawn = emit(model)
    text = fixed_json.encode(model, frozenset(drawn.constants))
    graph = helper.make_graph(
        drawn.nodes,
        model.name or "model",
        [_port(model, name) for name in model.inputs],
        [_port(model, name) for name in model.outputs],
        initializer=drawn.initializers,
    )
    proto = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="modelbuild",
    )
    stored = {name: model.constants[name] for name in drawn.constants}
    for key, value in (
        (ARITHMETIC_KEY, model.arithmetic),
        (DIGEST_KEY, _digest(text, stored)),
        (MODEL_KEY, text),
    ):
        proto.metadata_props.add(key=key, value=value)
    try:
        return bytes(proto.SerializeToString(deterministic=True))
    except (EncodeError, ValueError) as error:
        raise ModelbuildError(f"the model {model.name!r} is above 2 GB", why=str(error)) from error


def read(path: Path) -> FixedModel:
    """The model in the file, equal to the one that was written. Raises on any other or damaged file."""
    try:
        return from_bytes(path.read_bytes(), str(path))
    except OSError as error:
        raise ModelbuildError("cannot read the fixed-point model", where=str(path), why=str(error)) from error


def from_bytes(data: bytes, where: str = "") -> FixedModel:
    """The model in `data`; `where` names its source in errors."""
    model, why = survey(data, where)
    if model is None or why:
        raise _damaged(where, why)
    return model


def survey(data: bytes, where: str = "") -> tuple[FixedModel | None, str]:
    """The model in `data`, None where it cannot be read, and what is wrong with it, else "". Raises
    ModelbuildError for what is no fixed-point model at all."""
    try:
        proto = onnx.load_model_from_string(data)
    except (DecodeError, ValueError) as error:
        raise _damaged(where, f"it is no ONNX file ({error})") from error
    properties = {entry.key: entry.value for entry in proto.metadata_props}
    if MODEL_KEY not in properties:
        raise ModelbuildError(
            "this ONNX file is not a fixed-point model of modelbuild",
            where=where,
            why=f"its metadata has no {MODEL_KEY!r}",
        )
    try:
        stored = {item.name: _array(item) for item in proto.graph.initializer}
        model = fixed_json.decode(properties[MODEL_KEY], stored)
        kept = {name: stored[name] for name in model.constants if name in stored}
        digest = _digest(properties[MODEL_KEY], kept)
    except (KeyError, TypeError, ValueError, RecursionError, OverflowError, AttributeError) as error:
        return None, f"{type(error).__name__}: {error}"
    matches = digest == properties.get(DIGEST_KEY) and model.arithmetic == properties.get(ARITHMETIC_KEY)
    why = "" if matches else "its integers do not match the digest that it carries"
    try:
        validate(model)
    except ModelbuildError as error:
        return None, why or str(error)
    return model, why


def _damaged(where: str, why: str) -> ModelbuildError:
    advice = "take the file from its source again, or build the model again"
    return ModelbuildError("the fixed-point model cannot be read", where=where, why=why, advice=advice)


def _array(tensor: TensorProto) -> Integers:
    """An initializer as integers (those of floats are for onnxruntime alone and stay unused)."""
    if tensor.data_location == TensorProto.EXTERNAL:
        raise ValueError(f"the initializer {tensor.name!r} lies outside the file")
    return numpy_helper.to_array(tensor)


def _port(model: FixedModel, name: str) -> onnx.ValueInfoProto:
    tensor = model.tensors[name]
    element = helper.np_dtype_to_tensor_dtype(tensor.dtype) if tensor.whole else TensorProto.FLOAT
    return helper.make_tensor_value_info(name, element, tensor.shape)


def _digest(text: str, constants: dict[str, Integers]) -> str:
    """SHA-256 over the JSON and every stored constant: name, type, shape, little-endian bytes."""
    hashed = hashlib.sha256(text.encode())
    for name in sorted(constants):
        values = constants[name]
        hashed.update(f"\0{name}\0{values.dtype}\0{values.shape}\0".encode())
        hashed.update(values.astype(values.dtype.newbyteorder("<")).tobytes())
    return hashed.hexdigest()
