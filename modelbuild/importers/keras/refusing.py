"""Why a layer is not translated, and what to do: a function, a state, a wrapper, or a class of the user's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

from modelbuild.errors import did_you_mean
from modelbuild.importers.keras.call import CUT, Call
from modelbuild.importers.keras.config import Layer

_KERAS = ("keras.", "tf_keras.", "tensorflow.keras", "tensorflow.python.keras")
_CODE = "its calculation is Python code, which is not in the file"
_STATE = "it runs once for each step of a sequence; an NPU program is one pass"
_MASK = "it marks steps of a sequence for layers that run once for each; an NPU program is one pass"
_PICTURES = "it prepares pictures or texts, and no translation of it is built in"
_QUANTIZED = "it quantizes while the model trains (tensorflow_model_optimization)"
_TFLITE = (
    "convert the model with `tf.lite.TFLiteConverter.from_keras_model(model)` and give the .tflite file, "
    "which keeps its scales"
)
_PRUNED = "it is left over from training with tensorflow_model_optimization"

# Class -> why it is not translated, what to do ("" for the lines that export to ONNX).
REFUSED: Mapping[str, tuple[str, str]] = {
    "Lambda": (_CODE, ""),
    "Masking": (_MASK, CUT),
    **dict.fromkeys(("LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional", "ConvLSTM2D"), (_STATE, CUT)),
    **dict.fromkeys(("CuDNNLSTM", "CuDNNGRU", "ConvLSTM1D", "ConvLSTM3D"), (_STATE, CUT)),
    **dict.fromkeys(("QuantizeWrapper", "QuantizeWrapperV2", "QuantizeLayer"), (_QUANTIZED, _TFLITE)),
    "PruneLowMagnitude": (_PRUNED, "save `tfmot.sparsity.keras.strip_pruning(model)` instead"),
    "ClusterWeights": (_PRUNED, "save `tfmot.clustering.keras.strip_clustering(model)` instead"),
    **dict.fromkeys(("TextVectorization", "StringLookup", "IntegerLookup", "Hashing"), (_PICTURES, CUT)),
}
# Layers of Keras itself that are in neither table; files before Keras 3 do not say whose a class is.
_OTHERS = frozenset((
    "AdditiveAttention", "Attention", "CategoryEncoding", "CenterCrop", "Conv3DTranspose", "Discretization",
    "EinsumDense", "Embedding", "GroupNormalization", "GroupQueryAttention", "Highway", "LocallyConnected1D",
    "LocallyConnected2D", "Maxout", "MaxoutDense", "MultiHeadAttention", "RMSNormalization",
    "SpectralNormalization", "StackedRNNCells", "TensorFlowOpLayer", "UnitNormalization",
))  # fmt: skip


def refuse(call: Call, known: Mapping[str, object]) -> NoReturn:
    """Raises for a layer that is not translated; `known` are those that are."""
    layer = call.step.layer
    if layer.own and layer.kind in known:
        call.fail("is not supported", why=call.step.call.problem, advice=export(call))
    if layer.kind in REFUSED:
        why, advice = REFUSED[layer.kind]
        call.fail("is not supported", why=why, advice=advice or export(call))
    if layer.kind in _OTHERS and (not layer.module or _of_keras(layer.module)):
        call.fail(
            "is not supported", why="no translation of this layer of Keras is built in", advice=export(call)
        )
    near = did_you_mean(layer.kind, known) if layer.kind not in known and len(layer.kind) < 80 else ""
    call.fail(
        "is not supported",
        why=f"its class {_origin(layer)} is not one of Keras's: {_CODE}",
        advice=f"{near} Otherwise {export(call)}" if near else export(call),
    )


def _origin(layer: Layer) -> str:
    facts = [f"of the module `{layer.module[:80]}`"] if layer.module and not _of_keras(layer.module) else []
    if layer.registered and layer.registered != layer.kind:
        facts.append(f"registered as `{layer.registered[:80]}`")
    return " ".join([f"`{layer.kind[:80]}`", *facts])


def _of_keras(module: str) -> bool:
    return f"{module}.".startswith(_KERAS)


def export(call: Call) -> str:
    """The lines that make an ONNX file of the model where its code is installed, or cutting."""
    layer, stem = call.step.layer, call.file.rpartition(".")[0] or "model"
    own = layer.kind.isidentifier() and not layer.function and layer.kind not in REFUSED
    argument = (
        f", custom_objects={{{layer.kind!r}: {layer.kind}}}" if own and layer.kind not in _OTHERS else ""
    )
    if call.version >= 3:
        lines = (
            "import keras",
            f"model = keras.models.load_model({call.file!r}{argument})",
            f"model.export('{stem}.onnx', format='onnx')",
        )
    else:
        lines = (
            "import tensorflow as tf, tf2onnx",
            f"model = tf.keras.models.load_model({call.file!r}{argument})",
            f"tf2onnx.convert.from_keras(model, opset=17, output_path='{stem}.onnx')",
        )
    listed = "".join(f"\n         {line}" for line in lines)
    return f"{CUT}; or export the model to ONNX where its code and tf2onnx are installed:{listed}"
