"""`--input [NAME=]FILE` -> samples: the arrays of each of a model's inputs, one sample after another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from modelbuild.artifacts.layouts import Layouts, from_source, shape_in_source
from modelbuild.artifacts.runner import Port
from modelbuild.errors import ModelbuildError, did_you_mean
from modelbuild.quantize.ports import means_itself
from modelbuild.samples.files import TENSOR_SUFFIXES
from modelbuild.samples.loader import gather_files, load, load_codes
from modelbuild.samples.preprocess import Preprocess

Arrays = dict[str, NDArray[np.generic]]
PLAIN = Preprocess()


@dataclass(frozen=True)
class Feed:
    """For each sample, the file of each input."""

    samples: tuple[Mapping[str, Path], ...]


def parse(texts: Sequence[str], ports: Sequence[Port], base: Path) -> Feed:
    """What the options name: a file is one sample, a folder or glob its files in sorted order; an input given
    several times has the samples of all, in that order.

    Without NAME the files serve the only input; an .npz serves all. Raises ModelbuildError for an unknown
    input, one that no option feeds, and inputs with different numbers of samples."""
    names = [port.name for port in ports]
    chosen: dict[str, list[Path]] = {}
    for text in texts:
        name, path = _split(text, names)
        files = gather_files(path, base)
        for fed in [name] if name else _unnamed(files, names):
            chosen.setdefault(fed, []).extend(files)
    missing = [name for name in names if name not in chosen]
    if missing:
        raise ModelbuildError(
            f"nothing is given for the input `{missing[0]}`", advice=f"add --input {missing[0]}=FILE"
        )
    counts = {len(files) for files in chosen.values()}
    if len(counts) > 1:
        listed = ", ".join(f"{name} has {len(files)}" for name, files in chosen.items())
        raise ModelbuildError(
            "the inputs have different numbers of samples",
            why=listed,
            advice="give each input as many files",
        )
    return Feed(tuple({name: chosen[name][index] for name in names} for index in range(counts.pop())))


def _split(text: str, names: Sequence[str]) -> tuple[str, str]:
    name, equals, path = text.partition("=")
    if not equals:
        return "", text
    if name in names:
        return name, path
    if Path(text).exists():
        return "", text
    raise ModelbuildError(
        f"the model has no input `{name}`",
        where=f"--input {text}",
        why=f"its inputs are {', '.join(names)}",
        advice=did_you_mean(name, names) or f"write --input {names[0]}=FILE",
    )


def _unnamed(files: Sequence[Path], names: Sequence[str]) -> Sequence[str]:
    if len(names) == 1 or all(path.suffix.lower() == ".npz" for path in files):
        return names
    raise ModelbuildError(
        f"the model has {len(names)} inputs: {', '.join(names)}",
        where=str(files[0]),
        advice=f"say which one it is: --input {names[0]}=FILE",
    )


def arrays(
    feed: Feed,
    ports: Sequence[Port],
    preprocess: Mapping[str, Preprocess],
    raw: bool,
    layouts: Layouts = MappingProxyType({}),
) -> Iterator[Arrays]:
    """Each sample's tensors: real numbers, or with `raw` integers as the model holds them (.npy and .npz).

    An input that takes a source's codes or raw pixels takes arrays of those without `raw`, too. The files of
    arrays of an input in `layouts` have the source's layout; pictures have none of their own."""
    for sample in feed.samples:
        yield {port.name: _array(sample[port.name], port, preprocess, raw, layouts) for port in ports}


def _array(
    path: Path, port: Port, preprocess: Mapping[str, Preprocess], raw: bool, layouts: Layouts
) -> NDArray[np.generic]:
    is_tensor = path.suffix.lower() in TENSOR_SUFFIXES
    if raw and not is_tensor:
        raise ModelbuildError(
            "--raw takes integers as the model holds them",
            where=str(path),
            advice="give an .npy or .npz file, or leave --raw out and let the picture be preprocessed",
        )
    quantized = None if raw else port.quantized
    codes = quantized is not None and means_itself(quantized)
    dtype = np.dtype(port.dtype if codes or quantized is None else np.float32)
    read = load_codes if codes else load
    if is_tensor and port.name in layouts:
        found = read(path, port.name, shape_in_source(port.shape), dtype, PLAIN)
        return from_source(port.name, found, layouts)
    return read(path, port.name, port.shape, dtype, preprocess.get(port.name, PLAIN))
