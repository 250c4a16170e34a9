"""TFLite operators that no NPU program can hold, each with its reason and what the user can do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from modelbuild.errors import ModelbuildError
from modelbuild.importers.reasons import CONTROL_FLOW, RANDOM
from modelbuild.importers.tflite.model import Operator

_STATE = "it keeps a state from one run to the next"
_TABLES = "it looks things up in tables of text or of any size"
_SHAPES = "the shape of its result depends on the data"
_COMPLEX = "complex numbers are not supported"
_REASONS: Mapping[str, str] = {
    **dict.fromkeys(("IF", "WHILE", "CALL", "CALL_ONCE", "DELEGATE"), CONTROL_FLOW),
    **dict.fromkeys(("LSTM", "RNN", "SVDF", "UNIDIRECTIONAL_SEQUENCE_LSTM"), _STATE),
    **dict.fromkeys(("UNIDIRECTIONAL_SEQUENCE_RNN", "BIDIRECTIONAL_SEQUENCE_LSTM"), _STATE),
    **dict.fromkeys(("BIDIRECTIONAL_SEQUENCE_RNN", "VAR_HANDLE", "READ_VARIABLE"), _STATE),
    **dict.fromkeys(("ASSIGN_VARIABLE",), _STATE),
    **dict.fromkeys(("EMBEDDING_LOOKUP_SPARSE", "HASHTABLE_LOOKUP"), _TABLES),
    **dict.fromkeys(("HASHTABLE", "HASHTABLE_FIND", "HASHTABLE_IMPORT", "HASHTABLE_SIZE"), _TABLES),
    **dict.fromkeys(("LSH_PROJECTION", "SKIP_GRAM", "CONCAT_EMBEDDINGS"), _TABLES),
    **dict.fromkeys(("RANDOM_STANDARD_NORMAL", "RANDOM_UNIFORM", "MULTINOMIAL"), RANDOM),
    **dict.fromkeys(("NON_MAX_SUPPRESSION_V4", "NON_MAX_SUPPRESSION_V5", "UNIQUE", "WHERE"), _SHAPES),
    **dict.fromkeys(("RFFT2D", "IMAG", "REAL", "COMPLEX_ABS"), _COMPLEX),
}
_ADVICE: Mapping[str, str] = {
    CONTROL_FLOW: "convert one branch alone, or cut the model before it",
    _STATE: "convert the layer unrolled (Keras: `unroll=True`), or cut the model before it",
}


def refusal(operator: Operator, reads: Sequence[str]) -> ModelbuildError:
    """The error for an operator without a rule; `reads` are the tensors before it, where to cut."""
    label = f"{operator.op} `{operator.name}`"
    cut = f"cut the model before it: `edit: [{{cut: {{outputs: [{', '.join(reads) or '...'}]}}}}]`"
    if operator.op == "CUSTOM":
        return _custom(operator, cut)
    if operator.op.startswith("STABLEHLO"):
        return ModelbuildError(
            f"{label} is not supported",
            why="TFLite itself runs few StableHLO operators",
            advice="convert the model to TFLite's own operators",
        )
    if operator.op.startswith("operator "):
        return ModelbuildError(
            f"`{operator.name}` is made by {operator.op}, which is not known",
            why="the file is damaged, or newer than this version of modelbuild",
        )
    reason = _REASONS.get(operator.op, "there is no rule for it")
    return ModelbuildError(f"{label} is not supported", why=reason, advice=_ADVICE.get(reason, cut))


def _custom(operator: Operator, cut: str) -> ModelbuildError:
    label = f"the custom operator {operator.custom or 'without a name'} (`{operator.name}`)"
    if operator.custom.startswith("Flex"):
        return ModelbuildError(
            f"{label} is not supported",
            why="it is TensorFlow's own operator, which only TensorFlow can run",
            advice="convert without `tf.lite.OpsSet.SELECT_TF_OPS`, or " + cut,
        )
    if operator.custom == "TFLite_Detection_PostProcess":
        return ModelbuildError(
            f"{label} is not supported",
            why="it decodes and sorts boxes on the host's processor",
            advice=f"{cut}, and do its work after `modelbuild run`",
        )
    return ModelbuildError(f"{label} is not supported", why="what it does is not in the file", advice=cut)
