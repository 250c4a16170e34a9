"""A small file of each kind that `inspect` and `diff` know, and how it is altered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto, helper, numpy_helper

from modelbuild.artifacts.packing import FORMATS
from modelbuild.chips.load import load_recipe
from modelbuild.formats import sealed
from modelbuild.formats.sealed_keys import Secrets
from modelbuild.quantize import fixed_onnx
from tests.arithmetic.dice import Dice
from tests.arithmetic.random_models import BUILDERS
from tests.artifacts.test_packing import packed
from tests.formats import archive_sources, kmodel_sources
from tests.formats.fuzzing import Dress
from tests.formats.mutations import WORDS, Mutation, json_values, protobuf, tar_headers, words
from tests.formats.test_fuzz import mpk_member, small_mpk
from tests.formats.test_fuzz_archives import SMALL_ZIP, repaired, repaired_zip, unpacked_mpk, with_right_sums
from tests.formats.test_vendor_nef import FILES
from tests.importers.tflite.builder import Quantized, TFLite


@dataclass(frozen=True)
class Sample:
    """A file by its name, how it is aimed at, and what repairs it."""

    name: str
    make: Callable[[], bytes]
    aim: Callable[[bytes], Mutation] = WORDS
    dress: Dress = bytes


@cache
def onnx_model() -> bytes:
    """A convolution, quantized weights, a constant, a branch, a function of its own, weights elsewhere."""
    rng = np.random.default_rng(1)
    away = TensorProto(name="away", data_type=TensorProto.FLOAT, dims=[4, 4], raw_data=bytes(64))
    onnx.external_data_helper.set_external_data(away, "gone.bin", 0, 64)
    away.ClearField("raw_data")
    branch = helper.make_graph(
        [helper.make_node("Relu", ["m"], ["r"])],
        "then",
        [],
        [helper.make_tensor_value_info("r", TensorProto.FLOAT, None)],
    )
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], name="conv", strides=[1, 1], pads=[1, 1, 1, 1]),
        helper.make_node("Reshape", ["c", "shape"], ["flat"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"], axis=0),
        helper.make_node("MatMul", ["flat", "d"], ["m"]),
        helper.make_node("Constant", [], ["yes"], value=numpy_helper.from_array(np.array(True))),
        helper.make_node("If", ["yes"], ["b"], then_branch=branch, else_branch=branch),
        helper.make_node("Twice", ["b"], ["y"], domain="own"),
        helper.make_node("Transpose", ["away"], ["t"], perm=[1, 0]),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2, 4, 4])],
        [
            helper.make_tensor_value_info("y", TensorProto.FLOAT, None),
            helper.make_tensor_value_info("t", TensorProto.FLOAT, [4, 4]),
        ],
        [
            numpy_helper.from_array(rng.normal(size=(3, 2, 3, 3)).astype(np.float32), "w"),
            numpy_helper.from_array(np.array([-1, 48]), "shape"),
            numpy_helper.from_array(rng.integers(-9, 9, (48, 2), np.int8), "q"),
            numpy_helper.from_array(np.full(48, 0.5, np.float32), "s"),
            numpy_helper.from_array(np.zeros(48, np.int8), "z"),
            away,
        ],
    )
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    body = [helper.make_node("Add", ["p", "p"], ["o"])]
    twice = helper.make_function("own", "Twice", ["p"], ["o"], body, imports[:1])
    model = helper.make_model(
        graph, opset_imports=imports, ir_version=9, functions=[twice], producer_name="test"
    )
    helper.set_model_props(model, {"author": "somebody"})
    return bytes(model.SerializeToString())


@cache
def tflite_model() -> bytes:
    """A quantized convolution, a reshape and a product with float weights."""
    model = TFLite()
    x = model.tensor("x", [1, 4, 4, 2], "int8", Quantized([0.5], [3]), signature=[-1, 4, 4, 2])
    weights = np.arange(3 * 3 * 3 * 2, dtype=np.int8).reshape(3, 3, 3, 2)
    w = model.constant("w", weights, Quantized([0.1, 0.2, 0.3], [0, 0, 0]))
    bias = model.constant("b", np.array([1, -2, 3], np.int32))
    c = model.tensor("c", [1, 4, 4, 3], "int8", Quantized([0.25], [-1]))
    shape = model.constant("shape", np.array([1, 48], np.int32))
    flat, y = model.tensor("flat", [1, 48]), model.tensor("y", [1, 2])
    full = model.constant("full", np.linspace(-1, 1, 96, dtype=np.float32).reshape(2, 48))
    model.add("CONV_2D", [x, w, bias], [c], {0: ("b", 0), 1: ("i", 1), 2: ("i", 1), 3: ("b", 0)})
    model.add("RESHAPE", [c, shape], [flat])
    model.add("FULLY_CONNECTED", [flat, full, -1], [y])
    model.add("CUSTOM", [y], [y], custom="Own")
    return model.build([x], [y])


@cache
def fixed_model() -> bytes:
    return fixed_onnx.to_bytes(BUILDERS["conv"](Dice(3)))


def fixed_text() -> bytes:
    """What the file of a fixed model says of it in JSON."""
    model = onnx.ModelProto.FromString(fixed_model())
    return next(item.value for item in model.metadata_props if item.key == fixed_onnx.MODEL_KEY).encode()


def with_right_digest(data: bytes) -> bytes:
    """A fixed model whose digest is that of its integers, as far as it can be read."""
    try:
        model = onnx.ModelProto.FromString(data)
        properties = {item.key: item for item in model.metadata_props}
        text = properties[fixed_onnx.MODEL_KEY].value
        stored = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
        named = {name: values for name, values in stored.items() if f'"{name}"' in text}
        properties[fixed_onnx.DIGEST_KEY].value = fixed_onnx._digest(text, named)
    except (DecodeError, KeyError, ValueError, TypeError, AttributeError):  # text that is none is bytes
        return data
    return bytes(model.SerializeToString())


def with_text(text: bytes) -> bytes:
    """The fixed model with another text, and the digest of that."""
    model = onnx.ModelProto.FromString(fixed_model())
    for item in model.metadata_props:
        if item.key == fixed_onnx.MODEL_KEY:
            item.value = text.decode("utf-8", "replace")
    return with_right_digest(bytes(model.SerializeToString()))


@cache
def own(chip: str) -> bytes:
    """A package of a compiled convolution for modelbuild's simulator."""
    container = load_recipe(chip).container
    one = packed("net", 40000 if container.format == "nef" else None, chip)
    (data,) = FORMATS[container.format].pack([one], container).values()
    return data


def sealed_nef() -> bytes:
    return sealed.seal(FILES["2020"], Secrets(bytes(range(16)), b"file"), "nef")


anywhere = words(step=1)
SAMPLES: Mapping[str, Sample] = {
    "onnx": Sample("m.onnx", onnx_model, protobuf),
    "fixed onnx": Sample("m.fixed.onnx", fixed_model, protobuf, with_right_digest),
    "fixed onnx, its text": Sample("m.fixed.onnx", fixed_text, json_values, with_text),
    "tflite": Sample("m.tflite", tflite_model),
    "nef, vendor's flatbuffer": Sample("m.nef", lambda: FILES["flatbuffer 720 absolute"]),
    "nef, vendor's kne": Sample("m.nef", lambda: FILES["kne"]),
    "nef, our own": Sample("m.nef", lambda: own("kl720")),
    "kmodel 3": Sample("m.kmodel", kmodel_sources.version3),
    "kmodel 5": Sample("m.kmodel", kmodel_sources.version5),
    "kmodel 7": Sample("m.kmodel", lambda: kmodel_sources.later(7)),
    "mpk": Sample("m_mpk.tar.gz", small_mpk, anywhere, with_right_sums),
    "mpk, right sums": Sample("m_mpk.tar.gz", unpacked_mpk, tar_headers, repaired),
    "mpk, our own": Sample("m_mpk.sim.tar.gz", lambda: own("modalix"), anywhere, with_right_sums),
    "tar": Sample(
        "m.tar", lambda: archive_sources.files_tarred({"a": b"1" * 99, "b": b"2"}, packing="w"), tar_headers
    ),
    "zip": Sample("m.zip", lambda: SMALL_ZIP, anywhere, repaired_zip),
    "sima": Sample("m.sima", archive_sources.sima, anywhere, repaired_zip),
    "elf": Sample("m.elf", lambda: mpk_member("digits_stage1_mla.elf")),
    "bie": Sample("m.kdp520.bie", lambda: bytes(range(1, 256)) * 2),
    "sealed": Sample("m.nef", sealed_nef),
}
