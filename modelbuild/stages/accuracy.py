"""Measures of accuracy that bounds ask for, beside top-k: what they need, and how a stage opens them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any

from modelbuild.build import progress
from modelbuild.build.action import FileInput
from modelbuild.stages.request import ModelRequest, Samples, Source

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modelbuild.artifacts.scoring import Scoring
    from modelbuild.quantize.accuracy import Measure

    Shapes = Mapping[str, tuple[int, ...]]

ROLES = "function/"  # what the roles of the files of users' functions begin with


def inputs(request: ModelRequest) -> dict[str, Source]:
    """The files of the functions, each under its path: where they lie decides what they import."""
    asked = [*request.functions, *([] if request.boxes is None else [request.boxes])]
    return {f"{ROLES}{path}": FileInput(path) for function in asked for path in function.files}


def parameters(request: ModelRequest, samples: Samples) -> dict[str, Any]:
    """The functions and what they are held against; nothing where no bound asks for any."""
    if request.boxes is None and not request.functions:
        return {}
    found: dict[str, Any] = {"functions": [function.spec for function in request.functions]}
    if request.boxes is not None:
        found["boxes"] = request.boxes.spec
    return {"measures": {**found, "labels": None if samples.labels is None else list(samples.labels)}}


def unkeyed(request: ModelRequest) -> dict[str, Any]:
    """How long a call of a function may take, which changes no value; nothing where there is none."""
    asked = request.boxes is not None or request.functions
    return {"timeout_seconds": request.settings["verify"]["timeout_seconds"]} if asked else {}


def classes(samples: Samples) -> list[int] | None:
    """The class of each sample, where the labels are classes."""
    from modelbuild.samples.labels import CLASSES, kind_of

    labels = samples.labels
    return list(labels) if labels is not None and kind_of(labels) == CLASSES else None


@contextmanager
def opened(
    given: Mapping[str, Path], parameters: Mapping[str, Any], shapes: Shapes
) -> Iterator[Callable[[], Sequence[Measure]]]:
    """What makes the measures of one form of the model; they work until the end of the context. `shapes` are
    those of the model's inputs."""
    asked = parameters.get("measures")
    if asked is None:
        yield tuple
        return
    from modelbuild.artifacts.postprocess import Postprocess
    from modelbuild.artifacts.scoring import Scoring
    from modelbuild.quantize.accuracy import Boxes

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        root = _tree(given, folder / "functions")
        limits = {"hidden": _project(given), "timeout_seconds": parameters["timeout_seconds"]}
        makers: list[Callable[[], Measure]] = []
        if "boxes" in asked:
            _require_boxes(asked["labels"])
            there = _boxes(given, parameters, shapes)
            postprocess = stack.enter_context(Postprocess(asked["boxes"], root, **limits))
            makers.append(lambda: Boxes(postprocess, there))
        for spec in asked["functions"]:
            scoring = stack.enter_context(Scoring(spec, root, **limits))
            makers.append(_maker(spec, scoring, folder, parameters))
        yield lambda: [make() for make in makers]


def _require_boxes(labels: Sequence[Any]) -> None:
    from modelbuild.errors import ModelbuildError
    from modelbuild.quantize.goals import some_box

    if not some_box(labels):
        raise ModelbuildError(
            "there is no box in the samples that mean average precision is to be measured on",
            why="no class has anything to be found, so that every model would be equally good",
            advice="label samples that show something, or take the bounds on `map` out",
        )


def _maker(
    spec: str, scoring: Scoring, folder: Path, parameters: Mapping[str, Any]
) -> Callable[[], OfFunction]:
    labels = parameters["measures"]["labels"]
    return lambda: OfFunction(
        spec, scoring, Path(tempfile.mkdtemp(dir=folder)), parameters["samples"], labels
    )


def _tree(given: Mapping[str, Path], folder: Path) -> Path:
    """Copies of the functions' files, as they lie to each other; the project's own folder among them."""
    paths = {role.removeprefix(ROLES): path for role, path in given.items() if role.startswith(ROLES)}
    above = max((sum(part == ".." for part in PurePosixPath(name).parts) for name in paths), default=0)
    root = folder.joinpath(*["project"] * (above + 1))
    root.mkdir(parents=True)
    for name, path in sorted(paths.items()):
        copy = root / name
        copy.resolve().parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    return root


def _project(given: Mapping[str, Path]) -> Path | None:
    """The folder that the functions' paths are relative to, or of files above it the one above: where all
    lies that they could import without being in any key."""
    for role, path in given.items():
        if role.startswith(ROLES):
            own = [part for part in PurePosixPath(role.removeprefix(ROLES)).parts if part != ".."]
            return path.absolute().parents[len(own) - 1]
    return None


def _boxes(
    given: Mapping[str, Path], parameters: Mapping[str, Any], shapes: Shapes
) -> list[list[dict[str, Any]]]:
    """The boxes of each sample in pixels of the model's input."""
    from modelbuild.samples import images
    from modelbuild.samples.boxes import picture_size, placed
    from modelbuild.samples.preprocess import from_settings
    from modelbuild.stages.files import PLAIN, sample_file

    declared = {name: from_settings(settings) for name, settings in parameters["preprocess"].items()}
    use = "evaluation" if "evaluation" in parameters else "calibration"  # of which goals are held
    moved = []
    for index, boxes in enumerate(parameters["measures"]["labels"]):
        for name, shape in shapes.items():
            path = sample_file(given, index, name, len(shapes))
            if path.suffix.lower() in images.SUFFIXES and len(shape) in (3, 4):
                p = declared.get(name, PLAIN)
                height, width = shape[-2:] if p.layout == "NCHW" else shape[-3:-1]
                size = picture_size(path)
                _refuse_shares(parameters["measures"]["labels"], use)
                _refuse_outside(boxes, size, index, use)
                boxes = placed(boxes, size, p, (height, width))
                break
        moved.append(list(boxes))
    return moved


_FORM = "boxes are [left, top, right, bottom] in pixels of the picture, from its upper left corner"


def _refuse_shares(labels: Sequence[Sequence[Mapping[str, Any]]], use: str) -> None:
    """Boxes that all lie within the first pixel are shares of width and height."""
    from modelbuild.errors import ModelbuildError

    if all(0.0 <= end <= 1.0 for boxes in labels for box in boxes for end in box["box"]):
        raise ModelbuildError(
            f"all boxes of the labels of the {use} samples lie between 0 and 1",
            where=use,
            why=_FORM,
            advice="multiply by width and height",
        )


def _refuse_outside(boxes: Sequence[Mapping[str, Any]], size: tuple[int, int], index: int, use: str) -> None:
    """A box with more than half of its area outside of its picture is of another one, or in other words."""
    from modelbuild.errors import ModelbuildError

    height, width = size
    for box in boxes:
        left, top, right, bottom = box["box"]
        across = min(right, width) - max(left, 0.0)
        down = min(bottom, height) - max(top, 0.0)
        inside = across * down if across >= 0.0 and down >= 0.0 else -1.0
        if inside < (right - left) * (bottom - top) / 2:
            raise ModelbuildError(
                f"the label {box['box']} of {use} sample {index + 1} lies outside of its picture, which is "
                f"{width} x {height}",
                where=use,
                why=_FORM,
                advice="see whether it is left, top, width, height, or of a picture of another size",
            )


@dataclass
class OfFunction:
    """A measure of the user's: outputs go to files, a row a sample, which the function gets in the end."""

    spec: str
    scoring: Scoring
    folder: Path
    samples: int
    labels: Sequence[Any] | None
    section: str = "functions"
    _files: dict[str, IO[bytes]] = field(default_factory=dict)
    _shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def add(self, outputs: Mapping[str, NDArray[Any]], inputs: Mapping[str, NDArray[Any]]) -> None:
        """Writes one more row of each output."""
        import numpy as np

        for name, value in outputs.items():
            row = np.ascontiguousarray(value, np.float32)
            if name not in self._files:
                self._shapes[name] = (self.samples, *(row.shape[1:] if row.shape[:1] == (1,) else row.shape))
                self._files[name] = (self.folder / f"{len(self._files)}.npy").open("wb")
                header = {"descr": "<f4", "fortran_order": False, "shape": self._shapes[name]}
                np.lib.format.write_array_header_1_0(self._files[name], header)
            self._files[name].write(row.tobytes())

    def values(self) -> dict[str, float]:
        """Calls the function; the files go."""
        for stream in self._files.values():
            stream.close()
        paths = {name: Path(stream.name) for name, stream in self._files.items()}
        progress.report(0, 1, self.spec)
        try:
            return {self.spec: self.scoring(paths, self._shapes, self.labels)}
        finally:
            shutil.rmtree(self.folder)
