"""Which layers are translated, by what, and which are refused, why."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from modelbuild.importers.keras import activations, elements, shaping, windows
from modelbuild.importers.keras.call import CUT, Call

_GONE = (
    *("ActivityRegularization", "AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise"),
    *(
        "RandomBrightness",
        "RandomContrast",
        "RandomFlip",
        "RandomRotation",
        "RandomTranslation",
        "RandomZoom",
    ),
    *("SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"),
)
OPERATORS: Mapping[str, Callable[[Call], None]] = {
    **dict.fromkeys(_GONE, shaping.gone),
    **{name: activations.layer(function) for name, function in activations.LAYERS.items()},
    **{f"Conv{axes}D": windows.convolution(axes) for axes in (1, 2, 3)},
    **{f"Conv{axes}DTranspose": windows.transposed(axes) for axes in (1, 2)},
    **{f"DepthwiseConv{axes}D": windows.depthwise(axes) for axes in (1, 2)},
    **{f"SeparableConv{axes}D": windows.separable(axes) for axes in (1, 2)},
    **{f"MaxPooling{axes}D": windows.pool("MaxPool", axes) for axes in (1, 2, 3)},
    **{f"AveragePooling{axes}D": windows.pool("AveragePool", axes) for axes in (1, 2, 3)},
    **{f"GlobalMaxPooling{axes}D": windows.global_pool("GlobalMaxPool", axes) for axes in (1, 2, 3)},
    **{f"GlobalAveragePooling{axes}D": windows.global_pool("GlobalAveragePool", axes) for axes in (1, 2, 3)},
    **{f"ZeroPadding{axes}D": shaping.padding(axes) for axes in (1, 2, 3)},
    **{f"Cropping{axes}D": shaping.cropping(axes) for axes in (1, 2, 3)},
    **{f"UpSampling{axes}D": shaping.upsampling(axes) for axes in (1, 2, 3)},
    "Activation": activations.activation,
    "Add": elements.merge("Add"),
    "Average": elements.merge("Add", average=True),
    "BatchNormalization": elements.batch_normalization,
    "Concatenate": elements.concatenate,
    "Dense": elements.dense,
    "Dot": elements.dot,
    "Flatten": shaping.flatten,
    "LayerNormalization": elements.layer_normalization,
    "Maximum": elements.merge("Max"),
    "Minimum": elements.merge("Min"),
    "Multiply": elements.merge("Mul"),
    "Normalization": elements.normalization,
    "PReLU": activations.prelu,
    "Permute": shaping.permute,
    "RepeatVector": shaping.repeat_vector,
    "Rescaling": elements.rescaling,
    "Reshape": shaping.reshape,
    "Resizing": shaping.resizing,
    "Subtract": elements.subtract,
}

# Arithmetic on tensors outside of layers, by the name of the operation.
OPERATIONS: Mapping[str, Callable[[Call], None]] = {
    "Add": elements.arithmetic("Add"),
    "Divide": elements.arithmetic("Div"),
    "Multiply": elements.arithmetic("Mul"),
    "Subtract": elements.arithmetic("Sub"),
    "TrueDivide": elements.arithmetic("Div"),
}

_CODE = "its calculation is Python code, which is not in the file"
_STATE = "it runs once for each step of a sequence; an NPU program is one pass"
_TENSORS = "it is an operation on tensors outside of layers, whose arguments are Python values"
_EXPORT = "export the model to ONNX (`python -m tf2onnx.convert`), or cut the model before it"

# Class -> (why it is refused, what to do)
REFUSED: Mapping[str, tuple[str, str]] = {
    **dict.fromkeys(("Lambda", "TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer"), (_CODE, _EXPORT)),
    **dict.fromkeys(("LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional", "ConvLSTM2D"), (_STATE, CUT)),
    **dict.fromkeys(("CuDNNLSTM", "CuDNNGRU", "ConvLSTM1D", "ConvLSTM3D"), (_STATE, CUT)),
}
CUSTOM = (_CODE, _EXPORT)
OPERATION = (_TENSORS, _EXPORT)
