"""Which layers are translated, by what."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from modelbuild.importers.keras import activations, elements, shaping, windows, wrappers
from modelbuild.importers.keras.call import Call

_GONE = (
    "ActivityRegularization", "AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise",
    "RandomBrightness", "RandomContrast", "RandomFlip", "RandomRotation", "RandomTranslation", "RandomZoom",
    "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D",
)  # fmt: skip
_LAYERS: Mapping[str, Callable[[Call], None]] = {
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
OPERATORS: Mapping[str, Callable[[Call], None]] = {
    **_LAYERS,
    "TimeDistributed": wrappers.each_step(_LAYERS),
}
