"""Which layer types are translated, by what, and which are refused, why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from modelbuild.importers.caffe import detection, elementwise, shaping, windows
from modelbuild.importers.caffe.elementwise import Operator, plain


@dataclass(frozen=True)
class Translation:
    """How a type becomes ONNX nodes, and the name of the message that holds its parameters."""

    operator: Operator
    parameters: str


def _named(operator: Operator, *names: str) -> dict[str, Translation]:
    return {name: Translation(operator, f"{_snake(name)}_param") for name in names}


def _snake(name: str) -> str:
    return _PARAMETERS.get(name) or "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


# Types whose message is not their name in snake case.
_PARAMETERS: Mapping[str, str] = {
    "AbsVal": "absval", "ArgMax": "argmax", "BN": "bn", "BatchNorm": "batch_norm",
    "ConvolutionDepthwise": "convolution", "Deconvolution": "convolution",
    "DepthwiseConvolution": "convolution", "ELU": "elu", "LRN": "lrn",
    "MVN": "mvn", "Normalize": "norm", "PReLU": "prelu", "ReLU": "relu", "ReLU6": "relu6", "TanH": "tanh",
}  # fmt: skip

OPERATORS: Mapping[str, Translation] = {
    **_named(plain("Abs"), "AbsVal"),
    **_named(plain("Sigmoid"), "Sigmoid"),
    **_named(plain("Softplus"), "BNLL"),
    **_named(plain("Tanh"), "TanH"),
    **_named(detection.mean_variance, "MVN"),
    **_named(detection.normalize, "Normalize"),
    **_named(detection.prior_boxes, "PriorBox"),
    **_named(elementwise.batch_normalization, "BatchNorm"),
    **_named(elementwise.stored_normalization, "BN"),
    **_named(elementwise.bias, "Bias"),
    **_named(elementwise.clip, "Clip"),
    **_named(elementwise.copies, "Dropout", "Split"),
    **_named(elementwise.eltwise, "Eltwise"),
    **_named(elementwise.elu, "ELU"),
    **_named(elementwise.exponential, "Exp"),
    **_named(elementwise.logarithm, "Log"),
    **_named(elementwise.mish, "Mish"),
    **_named(elementwise.power, "Power"),
    **_named(elementwise.prelu, "PReLU"),
    **_named(elementwise.relu, "ReLU"),
    **_named(elementwise.relu6, "ReLU6"),
    **_named(elementwise.scale, "Scale"),
    **_named(elementwise.swish, "Swish"),
    **_named(elementwise.threshold, "Threshold"),
    **_named(shaping.arg_max, "ArgMax"),
    **_named(shaping.concat, "Concat"),
    **_named(shaping.crop, "Crop"),
    **_named(shaping.flatten, "Flatten"),
    **_named(shaping.interpolate, "Interp"),
    **_named(shaping.permute, "Permute"),
    **_named(shaping.reduction, "Reduction"),
    **_named(shaping.reorganise, "Reorg"),
    **_named(shaping.reshape, "Reshape"),
    **_named(shaping.shuffle_channels, "ShuffleChannel"),
    **_named(shaping.slices, "Slice"),
    **_named(shaping.softmax, "Softmax"),
    **_named(shaping.tile, "Tile"),
    **_named(shaping.upsample, "Upsample"),
    **_named(windows.convolution, "Convolution"),
    **_named(windows.deconvolution, "Deconvolution"),
    **_named(windows.depthwise, "ConvolutionDepthwise", "DepthwiseConvolution"),
    **_named(windows.inner_product, "InnerProduct"),
    **_named(windows.local_response, "LRN"),
    **_named(windows.pooling, "Pooling"),
}

_DATA = "it reads training data; a network to deploy has Input layers"
_LOSS = "it measures how training goes; a network to deploy has none"
_BOXES = "the number of boxes that it leaves depends on the picture"
_REGIONS = "where it looks is found in the picture by other layers, which one fixed program cannot follow"
_STATE = "it remembers what came before, which one pass of an NPU cannot"
_CODE = "its calculation is program code beside the network"
_CUT = "cut the model before it: `edit: [{cut: {outputs: [...]}}]`"
_DEPLOY = "give the prototxt made for deployment (`deploy.prototxt`)"
_INPUT = 'put `layer { type: "Input" top: ... input_param { shape: ... } }` in its place'

# Type -> why it cannot be, and what to do.
REFUSED: Mapping[str, tuple[str, str]] = {
    **dict.fromkeys(
        ("Data", "ImageData", "HDF5Data", "MemoryData", "WindowData", "DummyData"), (_DATA, _INPUT)
    ),
    **dict.fromkeys(("AnnotatedData", "VideoData", "Parameter"), (_DATA, _INPUT)),
    **dict.fromkeys(("Accuracy", "SoftmaxWithLoss", "EuclideanLoss", "HingeLoss"), (_LOSS, _DEPLOY)),
    **dict.fromkeys(("InfogainLoss", "ContrastiveLoss", "MultinomialLogisticLoss"), (_LOSS, _DEPLOY)),
    **dict.fromkeys(("SigmoidCrossEntropyLoss", "SmoothL1Loss", "MultiBoxLoss"), (_LOSS, _DEPLOY)),
    **dict.fromkeys(("DetectionEvaluate", "HDF5Output"), (_LOSS, _DEPLOY)),
    **dict.fromkeys(("DetectionOutput", "Proposal", "Filter"), (_BOXES, _CUT)),
    **dict.fromkeys(("ROIPooling", "ROIAlign", "PSROIPooling", "PSROIAlign", "ROIWarping"), (_REGIONS, _CUT)),
    **dict.fromkeys(("LSTM", "RNN", "Recurrent", "LSTMUnit"), (_STATE, _CUT)),
    "Python": (_CODE, _CUT),
}
