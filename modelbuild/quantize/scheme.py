"""nncase's QuantScheme.json: ranges and number formats of tensors by name, read and written.

The format is that of kendryte/nncase, docs/MixQuant.md: {"Version", "Model", "Outputs": [{"Name", "DataType",
"DataRange": [{"Min", "Max", "IsFull"}], "DataRangeMode"}]}.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from modelbuild.errors import ModelbuildError
from modelbuild.graph.model import Graph
from modelbuild.quantize.equalized import Equalization
from modelbuild.quantize.mixed_bits import layers
from modelbuild.quantize.mixed_settings import NodeFormats
from modelbuild.quantize.plan import Plan, make_plan
from modelbuild.quantize.record import Record, TensorRecord
from modelbuild.quantize.record_checks import check_record
from modelbuild.quantize.scheme_names import OWN_FORMATS, Stated, at, quantized, require_all, stated
from modelbuild.quantize.settings import LARGEST, Settings
from modelbuild.quantize.split_record import of_record

VERSION = "1.0"
TYPES = {"u8": "int8", "i8": "int8", **OWN_FORMATS}
FLOATS = ("f16", "f32")
WIDE = "int16"
_LARGEST = 64 << 20  # bytes of a file
_NAME = re.compile(r'"Name"\s*:\s*"')

_FORM = "correct it, or take one that `quantize: {export_scheme: by_tensor}` writes"

Range = tuple[float, float]


@dataclass(frozen=True)
class Entry:
    """One tensor of a scheme: its type, and one range, or one a channel."""

    type: str
    ranges: tuple[Range, ...]
    by_channel: bool
    line: int | None = None  # of the file


class _Wrong(ValueError):
    """What is wrong with the entry of this place."""

    def __init__(self, place: int, why: str) -> None:
        super().__init__(why)
        self.place = place


def read(path: Path) -> dict[str, Entry]:
    """Tensor -> what the scheme says of it. Raises (exit 2) on a file that is none, naming the tensor."""
    lines: list[int] = []
    try:
        if path.stat().st_size > _LARGEST:
            raise ValueError(f"it has more than {_LARGEST} bytes")
        text = path.read_bytes().decode("utf-8-sig")
        found = _parsed(text, path)
        if found["Version"] != VERSION:
            raise ValueError(f"version {found['Version']!r}; this version reads {VERSION}")
        lines = _lines(text, len(found["Outputs"]))
        return _entries(found["Outputs"], lines)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        line = lines[error.place] if isinstance(error, _Wrong) and lines else None
        raise ModelbuildError(
            "this is not a QuantScheme", where=at(str(path), line), why=_why(error), advice=_FORM
        ) from error


def _parsed(text: str, path: Path) -> Any:
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise ModelbuildError(
            "this is not a QuantScheme",
            where=f"{path}:{error.lineno}:{error.colno}",
            why=f"it is no JSON: {error.msg[:1].lower()}{error.msg[1:]}",
            advice=_FORM,
        ) from None
    if not isinstance(found, dict) or not isinstance(found.get("Outputs", []), list):
        raise ValueError("it is no mapping with a list `Outputs`")
    return found


def _why(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"{error.args[0]!r} is missing"
    if isinstance(error, TypeError):
        return "a value of it is of another kind than the format has"
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)


def _lines(text: str, count: int) -> list[int]:
    """The line of each entry's name; none where not each of them has one name."""
    lines, line, end = [], 1, 0
    for match in _NAME.finditer(text):
        line += text.count("\n", end, match.start())
        end = match.start()
        lines.append(line)
    return lines if len(lines) == count else []


def _entries(outputs: Sequence[Mapping[str, Any]], lines: Sequence[int]) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    places: dict[str, int] = {}
    for place, each in enumerate(outputs):
        name = str(each["Name"])
        if name in places:
            raise _Wrong(place, f"{name} stands twice: Outputs[{places[name]}] and Outputs[{place}]")
        places[name] = place
        try:
            found[name] = replace(_entry(each), line=lines[place] if lines else None)
        except ValueError as error:
            raise _Wrong(place, str(error)) from error
    return found


def _entry(given: Mapping[str, Any]) -> Entry:
    name, mode = given["Name"], given["DataRangeMode"]
    try:
        ranges = tuple((float(each["Min"]), float(each["Max"])) for each in given["DataRange"])
    except OverflowError:
        ranges = ((-math.inf, math.inf),)
    if mode not in ("by_tensor", "by_channel") or given["DataType"] not in (*TYPES, *FLOATS):
        raise ValueError(f"{name}: {mode!r} or {given['DataType']!r} is unknown")
    if not ranges or (mode == "by_tensor" and len(ranges) != 1):
        raise ValueError(f"{name}: {len(ranges)} ranges {mode}")
    for low, high in ranges:
        if low > high:
            raise ValueError(f"{name}: Min {low:g} is above Max {high:g}")
        if not (low >= -LARGEST and high <= LARGEST):
            raise ValueError(f"{name}: {low:g} to {high:g} is no range of finite float32 numbers")
    return Entry(str(given["DataType"]), ranges, mode == "by_channel")


def applied(
    settings: Settings, scheme: Mapping[str, Entry], graph: Graph, plan: Plan, where: str = ""
) -> Settings:
    """The settings with what the scheme says of activations, and which weights have 16 or 4 bits by it; what
    they say themselves wins.

    Ranges of weights stay those of the weights, and those of functions that have one their own. `strict`:
    raises (exit 2) for a tensor that the scheme lacks, and for a name in it that the model lacks. Always for
    floats, for activations by channel, and for a range of one number, in which activations are lost.
    `where`: the file, for errors.
    """
    tensors = quantized(graph, plan)
    if settings.strict:
        require_all(scheme, graph, plan, where)
    own = stated(settings, graph, plan)
    typed = {name: scheme[name] for name in tensors if name in scheme and plan.root(name) not in own.tensors}
    used = {name: scheme[name] for name in tensors if name in scheme and plan.root(name) not in plan.natural}
    _require_types(typed, where)
    _require_ranges(used, where)
    named = {plan.root(name) for name in settings.ranges}
    ranges: dict[str, Range] = {}  # of those that share a scale, the owner's, else the first
    for name in sorted(used, key=lambda name: plan.root(name) != name):
        if plan.root(name) not in named:
            ranges.setdefault(plan.root(name), used[name].ranges[0])
    wide = [name for name, entry in typed.items() if TYPES[entry.type] == WIDE]
    inputs = {name: WIDE for name in wide if name in graph.inputs}
    nodes = {name: NodeFormats(WIDE) for name in wide if name not in graph.inputs}
    for name, form in _of_weights(scheme, graph, plan, own, where).items():
        nodes[name] = replace(nodes.get(name, NodeFormats()), weights=form)
    for name, formats in settings.nodes.items():
        said = {key: value for key, value in asdict(formats).items() if value is not None}
        nodes[name] = replace(nodes.get(name, NodeFormats()), **said)
    return replace(
        settings,
        ranges={**ranges, **settings.ranges},
        inputs={**inputs, **settings.inputs},
        nodes=nodes,
    )


def _require_types(typed: Mapping[str, Entry], where: str) -> None:
    for name, entry in typed.items():
        if entry.type in (*FLOATS, "i4"):
            raise _impossible(name, entry.type, at(where, entry.line))


def _require_ranges(used: Mapping[str, Entry], where: str) -> None:
    for name, entry in used.items():
        if entry.by_channel:
            raise _impossible(name, "a range for each channel", at(where, entry.line))
        low, high = entry.ranges[0]
        if low == high:
            raise ModelbuildError(
                f"the scheme has {low:g} to {high:g} for {name!r}, which is no range",
                where=at(where, entry.line),
                why="one code would stand for all that the tensor holds",
                advice="give both ends, or take it out: its range is then chosen from the samples",
            )


def _impossible(name: str, what: str, where: str) -> ModelbuildError:
    return ModelbuildError(
        f"the scheme wants {what} for {name!r}",
        where=where,
        why="activations are integers of 8 or 16 bits, with one range for each tensor",
        advice="edit its line, or take it out",
    )


def _of_weights(
    scheme: Mapping[str, Entry], graph: Graph, plan: Plan, own: Stated, where: str
) -> dict[str, str]:
    """Node -> the format of its weights, where the scheme says 16 or 4 bits and nothing else does. Raises for
    floats."""
    found = {}
    for layer in layers(graph, plan):
        name = layer.weights
        entry = None if name is None or name in own.weights else scheme.get(name)
        if entry is not None and entry.type in FLOATS:
            raise ModelbuildError(
                f"the scheme wants {entry.type} for the weights {name!r}",
                where=at(where, entry.line),
                why="fixed-point models hold integers",
                advice="edit its line, or take it out",
            )
        if entry is not None and entry.type in OWN_FORMATS:
            found[layer.node] = OWN_FORMATS[entry.type]
    return found


def written(record: Record, graph: Graph, *, by_channel: bool) -> str:
    """The record as a scheme. Weights have a range by channel, or one by tensor. Raises (exit 2 for a record
    of the user's) where it is of another model.

    Ranges are those of the float model's tensors: where channels are equalised, that of the channel which has
    the widest, so that the scheme holds for whoever reads it, without the factors.
    """
    graph = of_record(graph, record).graph
    plan = make_plan(graph)
    check_record(graph, plan, record)
    widest = _widest(record, graph, plan)
    outputs = [_output(line, graph, by_channel, widest.get(line.name, 1.0)) for line in record.tensors]
    return json.dumps({"Version": VERSION, "Model": None, "Outputs": outputs}, indent=2) + "\n"


def _widest(record: Record, graph: Graph, plan: Plan) -> dict[str, float]:
    """Tensor -> the largest factor of its channels and of those that share its scale."""
    equalized = Equalization.read(graph, plan, record.corrections.get("equalize", {}))
    factors = {name: equalized.of(name) for name in plan.tensors(graph)}
    own = {name: 1.0 if each is None else float(each.max()) for name, each in factors.items()}
    shared: dict[str, float] = {}
    for name, largest in own.items():
        shared[plan.root(name)] = max(shared.get(plan.root(name), 0.0), largest)
    return {name: shared[plan.root(name)] for name in own}


def _output(line: TensorRecord, graph: Graph, by_channel: bool, factor: float) -> dict[str, Any]:
    sign = "i" if line.signed else "u"
    split = line.kind == "weight" and by_channel
    if line.kind == "weight":
        weights = graph.constants[line.name]
        rows = weights.reshape(len(weights) if split else 1, -1)
        ranges = [(float(row.min()), float(row.max())) for row in rows]
    else:
        ranges = [(line.low * factor, line.high * factor)]
    return {
        "Name": line.name,
        "DataType": f"{sign}{line.bits}",
        "DataRange": [{"Min": low, "Max": high, "IsFull": False} for low, high in ranges],
        "DataRangeMode": "by_channel" if split else "by_tensor",
    }
