"""Stage `check_samples`: read every sample as the model will get it, and hold labels against its classes.

Asked for by `modelbuild check` only: a build meets the same errors where it reads the samples, the list of
class names and the user's quantization record or scheme.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelbuild.build.action import FileInput, Resources
from modelbuild.stages.accuracy import classes
from modelbuild.stages.request import ModelRequest, Samples, Source

if TYPE_CHECKING:
    from modelbuild.errors import Problem

VERSION = "2"
LIBRARIES = ("numpy", "onnx", "pillow")
RESOURCES = Resources(memory=192 << 20, memory_per_input_byte=2.0, counted=("model",))
USES = ("calibration", "evaluation")
MOST = 10  # files that cannot be read, of which each is told
ALIKE = 3  # of those that cannot be for one reason


def inputs(request: ModelRequest) -> dict[str, Source]:
    """The normalised model, for its inputs and outputs, and the files of both sample sets."""
    files = {
        f"{use}/{role}": source
        for use, samples in _used(request).items()
        for role, source in samples.roles().items()
    }
    scheme = request.settings["quantize"].get("scheme") if request.record is None else None
    others = {"labels": request.labels, "record": request.record, "scheme": scheme}
    named = {role: FileInput(path) for role, path in others.items() if path is not None}
    return {"model": request.output("normalise", "model.onnx"), **named, **files}


def parameters(request: ModelRequest) -> dict[str, Any]:
    """Preprocessing, and of each set the number of samples and their labels."""
    return {
        "preprocess": request.preprocess,
        "sets": {
            use: {
                "samples": len(samples.files),
                "labels": classes(samples),
            }
            for use, samples in _used(request).items()
        },
    }


def _used(request: ModelRequest) -> dict[str, Samples]:
    """The sets that differ: an evaluation on the calibration samples is no second one."""
    found = {use: getattr(request, use) for use in USES if getattr(request, use) is not None}
    if "evaluation" in found and found["evaluation"].optimistic:
        del found["evaluation"]
    return found


def run(inputs: Mapping[str, Path], parameters: Mapping[str, Any], out: Path) -> None:
    """Leaves `samples.json`: how many samples of each set were read."""
    from modelbuild.errors import ModelbuildError
    from modelbuild.graph import onnx_io
    from modelbuild.graph.whole_numbers import is_whole
    from modelbuild.quantize import record as records
    from modelbuild.quantize import scheme
    from modelbuild.quantize.verify import check_labels
    from modelbuild.stages.files import class_names, unreadable, write_json

    graph = onnx_io.read(inputs["model"])
    counts = {}
    first = graph.outputs[0]
    whole = is_whole(graph, first)
    for use, given in parameters["sets"].items():
        own = {
            role.removeprefix(f"{use}/"): path for role, path in inputs.items() if role.startswith(f"{use}/")
        }
        counts[use] = given["samples"]
        wrong = unreadable(own, given["samples"], graph, parameters["preprocess"])
        if wrong:
            raise ModelbuildError.of(_of_set(use, wrong))
        if given["labels"] is not None:
            check_labels(given["labels"], first, graph.shapes[first], whole=whole)
    if "labels" in inputs:
        class_names(inputs["labels"], first, None if whole else graph.shapes[first])
    if "record" in inputs:
        records.read(inputs["record"])
    if "scheme" in inputs:
        scheme.read(inputs["scheme"])
    write_json(out / "samples.json", counts)


def _of_set(use: str, problems: Sequence[Problem]) -> list[Problem]:
    """The first problems, and the first of those that are alike, each with the set that its file is in and
    what to do, and how many more there are."""
    alike = Counter(one._replace(where="", why="") for one in problems)  # a why may have the file's numbers
    left, told = Counter(alike), 0
    listed: list[Problem] = []
    for one in problems:
        kind = one._replace(where="", why="")
        number = alike[kind] - left[kind] + 1
        left[kind] -= 1
        if number > ALIKE or len(listed) == MOST:
            continue
        advice = one.advice or f"mend the file, or take it out of the set that `{use}` names"
        more = alike[kind] - ALIKE if number == ALIKE else 0
        told += 1 + more
        why = ": ".join(filter(None, (f"it is a sample of `{use}`", one.why)))
        files = f"{more} more file{'' if more == 1 else 's'}"
        told_of = f"{advice}; the same is wrong with {files}" if more else advice
        listed.append(one._replace(why=why, advice=told_of))
    if len(problems) > told:
        last = listed[-1]
        listed[-1] = last._replace(advice=f"{last.advice}; {len(problems) - told} more cannot be read")
    return listed
