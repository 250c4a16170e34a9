"""One sample file -> the tensor of one model input. The door of this room for sets and labels, too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike, NDArray

from modelbuild.errors import ModelbuildError
from modelbuild.samples import images
from modelbuild.samples.arrays import holds_integers, read_npy, read_npz
from modelbuild.samples.files import SUFFIXES, TENSOR_SUFFIXES, gather_files
from modelbuild.samples.labels import Label, read_labels
from modelbuild.samples.preprocess import Preprocess, apply
from modelbuild.samples.sample_set import Sample, SampleSet, pair, spread

__all__ = [
    "Label",
    "Sample",
    "SampleSet",
    "gather_files",
    "load",
    "load_codes",
    "pair",
    "read_labels",
    "spread",
]

Array = NDArray[np.generic]
Shape = tuple[int, ...]


def load(path: Path, input_name: str, shape: Shape, dtype: DTypeLike, preprocess: Preprocess) -> Array:
    """The tensor that `path` gives for the input `input_name`, of exactly `shape` and `dtype`.

    `.npy` and `.npz` (keys are input names) hold the tensor itself, with or without a leading batch of 1, and
    are not preprocessed. Pictures are; an integer `dtype` then needs whole values that fit. Every error names
    the file."""
    wanted: np.dtype[np.generic] = np.dtype(dtype)
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return read_npy(path, shape, wanted)
    if suffix == ".npz":
        return read_npz(path, input_name, shape, wanted)
    if suffix not in images.SUFFIXES:
        raise ModelbuildError(
            f"a sample cannot be a `{suffix or 'suffixless'}` file",
            where=str(path),
            why=f"known are {' '.join(sorted(SUFFIXES))}",
        )
    image = images.open_image(path)
    try:
        tensor = apply(image, preprocess, shape)
    except ModelbuildError as error:
        problem = error.problems[0]
        raise ModelbuildError(
            problem.what, where=str(path), why=problem.why, advice=problem.advice
        ) from error
    return _cast(tensor, wanted, path)


def load_codes(path: Path, input_name: str, shape: Shape, dtype: DTypeLike, preprocess: Preprocess) -> Array:
    """As `load`, for an input whose integers of `dtype` are the numbers that they stand for (raw pixels, a
    quantized source's codes): an array of integers gives those, anything else real numbers."""
    is_array = path.suffix.lower() in TENSOR_SUFFIXES
    chosen = dtype if is_array and holds_integers(path, input_name) else np.float32
    return load(path, input_name, shape, chosen, preprocess)


_ADVICE = {
    "uint8": "such an input usually takes pixels as they are: leave scale, mean and std out",
    "int8": "such an input usually takes pixels less 128: write `mean: 128`, without scale and std",
}


def _cast(tensor: NDArray[np.float32], dtype: np.dtype[np.generic], path: Path) -> Array:
    with np.errstate(invalid="ignore", over="ignore"):
        cast = tensor.astype(dtype)
    if dtype.kind != "f" and not np.array_equal(cast, tensor):
        raise ModelbuildError(
            f"the preprocessed picture does not fit {dtype.name}",
            where=str(path),
            why=f"its values go from {tensor.min():g} to {tensor.max():g} and must be whole numbers in range",
            advice=_ADVICE.get(
                dtype.name, "leave scale, mean and std out, so that pixels stay whole numbers"
            ),
        )
    return cast
