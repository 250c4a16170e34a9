"""The files that stages leave and take: JSON in one canonical form, samples read by role."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.build import progress
from modelbuild.errors import ModelbuildError, Problem
from modelbuild.graph.model import Graph
from modelbuild.quantize.ports import means_itself
from modelbuild.samples.loader import load, load_codes
from modelbuild.samples.preprocess import Preprocess, from_settings
from modelbuild.stages.request import SAMPLE_ROLES, sample_role

if TYPE_CHECKING:
    from modelbuild.graph.after_chip import AfterChip

Schema = TypeVar("Schema", bound=BaseModel)
PLAIN = Preprocess()
Arrays = dict[str, NDArray[np.generic]]


def write_json(path: Path, value: Any) -> None:
    """Sorted keys, two spaces, a newline at the end."""
    text = json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
    path.write_bytes(text.encode() + b"\n")


def read_json(path: Path) -> Any:
    """The inverse of `write_json`."""
    return json.loads(path.read_bytes())


def check_digest(source: Path, wanted: str | None) -> None:
    """Refuses a source whose SHA-256 is not the one that the manifest demands."""
    if wanted is None:
        return
    with source.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != wanted:
        raise ModelbuildError(
            f"the source has the SHA-256 {found}",
            where=source.name,
            why=f"the manifest demands {wanted}",
            advice="restore the file, or write the new digest if the change is wanted",
        )


def class_names(path: Path, output: str, shape: tuple[int, ...] | None) -> list[str]:
    """The names in a text file, one a line: as many as the output has values. `shape` is None of an output
    that tells classes by their numbers: there may be any number of them."""
    try:
        names = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise ModelbuildError("the class names are not UTF-8 text", where=str(path)) from None
    if shape is not None and len(names) != math.prod(shape):
        raise ModelbuildError(
            f"{len(names)} class names for {math.prod(shape)} classes",
            where=str(path),
            why=f"the output `{output}` is {list(shape)}",
            advice="write a name on each line, in the order of the classes",
        )
    return names


def validated(schema: type[Schema], data: Any) -> Schema:
    """JSON data, as it came through an action's parameters, as the typed object it was."""
    return schema.model_validate_json(json.dumps(data))


class SampleFiles:
    """The samples, each input loaded and preprocessed as the manifest declares, when it is asked for.

    Reports progress, in `passes` over all of them.
    """

    def __init__(
        self,
        inputs: Mapping[str, Path],
        count: int,
        graph: Graph,
        preprocess: Mapping[str, Any],
        passes: int,
    ) -> None:
        ports = {name: (graph.shapes[name], graph.dtypes[name]) for name in graph.inputs}
        settings = {name: from_settings(given) for name, given in preprocess.items()}
        self._read = partial(_sample, inputs, ports=ports, settings=settings)
        self._count, self._passes, self._read_so_far = count, passes, 0
        self._report()

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: int) -> Arrays:
        found = self._read(number)
        self._read_so_far += 1
        self._report()
        return found

    def _report(self) -> None:
        progress.report(self._read_so_far, self._passes * self._count, f"sample in {self._passes} passes")


def read_samples(
    inputs: Mapping[str, Path], count: int, graph: Graph, preprocess: Mapping[str, Any]
) -> Iterator[Arrays]:
    """The samples one after another, as `SampleFiles` has them; reports progress."""
    ports = {name: (graph.shapes[name], graph.dtypes[name]) for name in graph.inputs}
    return progress.told(_samples(inputs, count, ports, preprocess), 0, count, "sample")


def read_after_chip(post: Path | None) -> AfterChip | None:
    """The part of a model that runs after the chip, if it has one."""
    if post is None:
        return None
    from modelbuild.graph import onnx_io
    from modelbuild.graph.after_chip import AfterChip

    return AfterChip(onnx_io.read(post))


def first_samples(
    inputs: Mapping[str, Path], count: int, graph: Graph, preprocess: Mapping[str, Any]
) -> list[Arrays]:
    """The first `count` samples as `read_samples` gives them; no progress is told."""
    ports = {name: (graph.shapes[name], graph.dtypes[name]) for name in graph.inputs}
    return list(_samples(inputs, count, ports, preprocess))


def fixed_samples(
    inputs: Mapping[str, Path],
    count: int,
    model: FixedModel,
    preprocess: Mapping[str, Any],
    after: AfterChip | None = None,
) -> Iterator[Arrays]:
    """As `read_samples`, in float, for the inputs of a fixed-point model and of what runs after the chip;
    inputs of raw pixels or of a source's codes take arrays of those."""
    tensors = [model.tensors[name] for name in model.inputs]
    codes = {tensor.name for tensor in tensors if means_itself(tensor)}
    ports = {t.name: (t.shape, t.dtype if t.name in codes else np.dtype(np.float32)) for t in tensors}
    if after is not None:
        further = after.further_inputs([*model.inputs, *model.outputs])
        ports |= {name: (shape, np.dtype(dtype)) for name, (shape, dtype) in further.items()}
    return progress.told(_samples(inputs, count, ports, preprocess, codes), 0, count, "sample")


def _samples(
    inputs: Mapping[str, Path],
    count: int,
    ports: Mapping[str, Any],
    preprocess: Mapping[str, Any],
    codes: Collection[str] = (),
) -> Iterator[Arrays]:
    settings = {name: from_settings(given) for name, given in preprocess.items()}
    for index in range(count):
        yield _sample(inputs, index, ports, settings, codes)


def _sample(
    inputs: Mapping[str, Path],
    index: int,
    ports: Mapping[str, Any],
    settings: Mapping[str, Preprocess],
    codes: Collection[str] = (),
) -> Arrays:
    return {
        name: (load_codes if name in codes else load)(
            sample_file(inputs, index, name, len(ports)), name, shape, dtype, settings.get(name, PLAIN)
        )
        for name, (shape, dtype) in ports.items()
    }


def unreadable(
    inputs: Mapping[str, Path], count: int, graph: Graph, preprocess: Mapping[str, Any]
) -> list[Problem]:
    """What is wrong with the samples that cannot be read as `read_samples` would, the first of each."""
    ports = {name: (graph.shapes[name], graph.dtypes[name]) for name in graph.inputs}
    settings = {name: from_settings(given) for name, given in preprocess.items()}
    found: list[Problem] = []
    for index in progress.told(iter(range(count)), 0, count, "sample"):
        try:
            _sample(inputs, index, ports, settings)
        except ModelbuildError as error:
            found.append(error.problems[0])
    return found


def named_inputs(inputs: Mapping[str, Path]) -> set[str]:
    """The inputs that samples have files for by name."""
    names = {
        role.removeprefix(SAMPLE_ROLES).partition("/")[2] for role in inputs if role.startswith(SAMPLE_ROLES)
    }
    return names - {""}


def sample_file(inputs: Mapping[str, Path], index: int, name: str, ports: int) -> Path:
    """The file of one input of one sample; a file that stands for no input by name serves the only one, and
    an .npz serves all."""
    named = inputs.get(sample_role(index, name))
    if named is not None:
        return named
    shared = inputs.get(sample_role(index, ""))
    if shared is not None and (ports == 1 or shared.suffix.lower() == ".npz"):
        return shared
    raise ModelbuildError(
        f"the input `{name}` has no samples",
        where=f"inputs.{name}",
        why=f"the model has {ports} inputs, and the sample set names no files for this one",
        advice=f"write the set as `inputs: {{{name}: {{files: …}}, …}}`, "
        "or use .npz files with the inputs' names as keys",
    )
