"""The integers of one KPU layer: weights, batch normalization, the table of segments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.fixed_model import Parameter, QuantizedTensor
from modelbuild.kpu.lowering.functions import Function
from modelbuild.kpu.quantizing import fit_segments


class Codes(NamedTuple):
    """Integer weights [O, I, k, k] (int8, symmetric), a scale and a bias (in steps of the input's scale times
    the weights') an output channel."""

    weight: NDArray[np.integer]
    scales: NDArray[np.float64]
    bias: NDArray[np.integer]


def layer_constants(
    codes: Codes,
    x: QuantizedTensor,
    y: QuantizedTensor,
    function: Function,
    depthwise: bool,
    pool: str,
) -> tuple[dict[str, Parameter], Mapping[str, NDArray[Any]]]:
    """Parameters and constants of `kpu_conv` but for the pool."""
    w = codes.weight.astype(np.int64)
    zx = x.zero_point
    rows = w.reshape(len(w), -1)
    low = np.minimum(rows*(0-zx), rows*(255-zx)).sum(1) + codes.bias
    high = np.maximum(rows*(0-zx), rows*(255-zx)).sum(1) + codes.bias
    f = x.scale * codes.scales
    top = max((np.abs(low)*f).max(), (np.abs(high)*f).max())
    v_scale = max(top/2.0**33, f.max()/2**21, np.abs(f*codes.bias).max()/2.0**30.9)
    mul=[];shift=[];add=[]
    for fo,b in zip(f, codes.bias):
        r=fo/v_scale; s=0
        while s<15 and r*2**(s+1)<2**23-1: s+=1
        mul.append(int(round(r*2**s))); shift.append(s); add.append(int(round(fo*float(b)/v_scale)))
    lo=int(((low*f)/v_scale).min())-4; hi=int(((high*f)/v_scale).max())+4
    seg=fit_segments(function, lo, hi, v_scale, y)
    k=w.shape[2]
    return ({"kernel":k,"depthwise":int(depthwise),"pad_value":zx,"arg_x":-128,"shift_x":0,"arg_w":-zx,"shift_w":0,"arg_add":k*k*128*zx},
      {"weight":(w+128).astype(np.uint8),"bn_multiplier":np.array(mul,np.int32),"bn_add":np.array(add,np.int64).astype(np.int32),"bn_shift":np.array(shift,np.uint8),
       "segment_start":seg.start,"segment_multiplier":seg.multiplier,"segment_shift":seg.shift,"segment_add":seg.add})
