"""The tensor functions of the stack machine, as the kernels of nncase 1.9 compute them on x86-64."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from modelbuild.kpu.simulator.call import Call
from modelbuild.kpu.simulator.functions import (
    choices,
    conversions,
    detection,
    elementwise,
    images,
    moves,
    picks,
    randoms,
    recurrent,
    reductions,
    sums,
    windows,
)

FUNCTIONS: Mapping[str, Callable[[Call], None]] = {
    "batch_to_space": moves.batch_to_space,
    "binary": elementwise.binary,
    "broadcast": moves.broadcast,
    "compare": elementwise.compare,
    "compress": picks.compress,
    "conv2d": windows.conv2d,
    "convert": conversions.convert,
    "copy": moves.copy,
    "cumsum": sums.cumsum,
    "dequantize": conversions.dequantize,
    "gather": picks.gather,
    "gather_elements": picks.gather_elements,
    "gather_nd": picks.gather_nd,
    "gru": recurrent.gru,
    "hardmax": choices.hardmax,
    "layer_normalization": sums.layer_normalization,
    "lut1d": picks.lut1d,
    "matmul": sums.matmul,
    "onehot": picks.onehot,
    "pad": moves.pad,
    "quantize": conversions.quantize,
    "random_normal": randoms.normal,
    "random_uniform": randoms.uniform,
    "reduce": reductions.reduce,
    "reduce_arg": choices.reduce_arg,
    "reduce_prod": reductions.reduce_prod,
    "reduce_window2d": windows.reduce_window2d,
    "resize_image": images.resize_image,
    "roi_align": images.roi_align,
    "sigmoid": elementwise.sigmoid,
    "slice": moves.slice_,
    "softmax": sums.softmax,
    "space_to_batch": moves.space_to_batch,
    "ternary": elementwise.ternary,
    "tflite_detection_postprocess": detection.postprocess,
    "topk": choices.topk,
    "transpose": moves.transpose,
    "trilu": moves.trilu,
    "unary": elementwise.unary,
}
