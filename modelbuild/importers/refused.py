"""Operators of ONNX files that no chip can run or no importer can know, why, and what to do."""

from __future__ import annotations

from collections.abc import Mapping

from onnx import NodeProto

from modelbuild.errors import ModelbuildError
from modelbuild.importers.reasons import CONTROL_FLOW, RANDOM

_SEQUENCE = "sequences, optionals and maps have no fixed size"
_STRINGS = "no NPU handles text"
_DYNAMIC = "its scale is found while it runs; an NPU's are fixed when the model is built"
_BLOCKS = "its scales stand for blocks of values"
_FUSED = "it stands for several layers at once, quantized in between"
_QUANTIZER = "it is a quantizer's own operator, whose meaning is not in the file"
_FOREIGN = "only the standard ONNX operators are supported"

OPERATORS: Mapping[str, str] = {
    **dict.fromkeys(("Loop", "Scan", "SequenceMap"), CONTROL_FLOW),
    **dict.fromkeys(("ConcatFromSequence", "SequenceAt", "SequenceConstruct", "SequenceEmpty"), _SEQUENCE),
    **dict.fromkeys(("SequenceErase", "SequenceInsert", "SequenceLength", "SplitToSequence"), _SEQUENCE),
    **dict.fromkeys(("Optional", "OptionalGetElement", "OptionalHasElement"), _SEQUENCE),
    **dict.fromkeys(("RegexFullMatch", "StringConcat", "StringNormalizer", "StringSplit"), _STRINGS),
    **dict.fromkeys(("TfIdfVectorizer", "ImageDecoder"), _STRINGS),
    **dict.fromkeys(("Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike"), RANDOM),
    **dict.fromkeys(("RandomUniform", "RandomUniformLike"), RANDOM),
    **dict.fromkeys(("DynamicQuantizeLinear", "ConvInteger", "MatMulInteger"), _DYNAMIC),
}
# Of other domains: onnxruntime's (com.microsoft) and those of quantizers.
_OTHERS: Mapping[str, str] = {
    **dict.fromkeys(("DynamicQuantizeMatMul", "DynamicQuantizeLSTM", "MatMulIntegerToFloat"), _DYNAMIC),
    **dict.fromkeys(("MatMulNBits", "MatMulBnb4", "GatherBlockQuantized", "QMoE"), _BLOCKS),
    **dict.fromkeys(("QAttention", "QEmbedLayerNormalization", "QOrderedAttention"), _FUSED),
}
_ADVICE: Mapping[str, str] = {
    CONTROL_FLOW: "export one branch alone, or cut it off before the import",
    _SEQUENCE: "export the model with tensors alone: stack what is of one size, or give each an output",
    _STRINGS: "cut this step off, and do it before the model runs: `edit: [{cut: {inputs: [...]}}]`",
    _DYNAMIC: "quantize statically, with QuantizeLinear and DequantizeLinear, or give the float model",
    RANDOM: "export the model in inference mode: `model.eval()`",
    _BLOCKS: "export with scales per channel, or give the float model",
    _FUSED: "quantize in the QDQ form, or give the float model",
    _QUANTIZER: "export its quantization as QuantizeLinear and DequantizeLinear, or give the float model",
    _FOREIGN: "export the model without operators of its own, and without a runtime's optimizations",
}


def refuse(node: NodeProto) -> None:
    """Raises where `node` is none that an importer could read, naming it."""
    label = f"{node.op_type} `{node.name}`"
    if node.domain in ("", "ai.onnx"):
        reason = OPERATORS.get(node.op_type)
        if reason is not None:
            raise ModelbuildError(f"{label} is not supported", why=reason, advice=_ADVICE[reason])
        return
    kind = _QUANTIZER if "quant" in node.op_type.lower() else _FOREIGN
    reason = _OTHERS.get(node.op_type, kind)
    raise ModelbuildError(
        f"{label} belongs to the operator domain `{node.domain}`", why=reason, advice=_ADVICE[reason]
    )
