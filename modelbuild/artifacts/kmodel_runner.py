"""A kmodel of version 5 as something that runs, by the simulator of the KPU and the stack machine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild import input_file
from modelbuild.arithmetic.fixed_model import QuantizedTensor, float_tensor
from modelbuild.artifacts import layouts
from modelbuild.artifacts.given_preprocessing import by_input
from modelbuild.artifacts.layouts import Layouts
from modelbuild.artifacts.packing import Described
from modelbuild.artifacts.packing.kmodel import SUFFIX
from modelbuild.artifacts.runner import Array, Arrays, Port
from modelbuild.errors import ModelbuildError, in_file
from modelbuild.kpu.named import KEY, Named
from modelbuild.kpu.simulator import load
from modelbuild.kpu.simulator.events import Simulation
from modelbuild.quantize.equalized import factors_in
from modelbuild.quantize.split_graph import Pieces
from modelbuild.quantize.split_record import pieces_in
from modelbuild.samples.preprocess import Preprocess, from_settings

MOST_JSON = 16 << 20
ALL = ("*",)  # operations whose tensors are kept
_BITS = {
    "uint8": (8, False),
    "int8": (8, True),
    "int16": (16, True),
    "int32": (32, True),
    "int64": (64, True),
}
NOT_WRITTEN = "it reads memory that nothing wrote, which reads as zeros, as in the vendor's simulator"
NO_NAMES = "of its layers nothing is compared: a kmodel has no names, and no .json beside it tells them"


class KmodelRunner:
    """The program, simulated from its bytes alone. A kmodel has no names: they are those `described`,
    or input0, output0 and so on. `notes` is what a run has to be told with."""

    level = "hardware"

    def __init__(self, data: bytes, name: str, described: Described | None = None) -> None:
        self.name = name
        self._machine = load(data)
        self.is_described = described is not None
        self.notes: list[str] = []
        metadata = {} if described is None else described.metadata
        self._metadata = metadata
        self._named = _named(metadata)
        self.preprocess: Mapping[str, Preprocess] = _declared(metadata, "preprocess")
        self.in_model: Mapping[str, Preprocess] = _declared(metadata, "in_model")
        self.layouts: Layouts = layouts.recorded(metadata)
        told = ((), ()) if described is None else (described.inputs, described.outputs)
        sides = zip(("input", "output"), (self._machine.inputs, self._machine.outputs), told, strict=True)
        self.inputs, self.outputs = (
            tuple(_ports(side, ports, tensors if described else None)) for side, ports, tensors in sides
        )

    def run(self, inputs: Mapping[str, Array], layers: bool = False) -> Arrays:
        """The outputs; with `layers` what operations make on the way, where its names are known."""
        given = [
            np.ascontiguousarray(inputs[port.name]).reshape(own.shape)
            for port, own in zip(self.inputs, self._machine.inputs, strict=True)
        ]
        named = self._named if layers else None
        if layers and named is None:
            self._note(NO_NAMES)
        found = self._run(given, ALL if named else ())
        seen = {} if named is None else named.seen(found.events).values
        return {
            **seen,
            **{
                port.name: values.reshape(port.shape)
                for port, values in zip(self.outputs, found.outputs, strict=True)
            },
        }

    def _run(self, given: list[NDArray[Any]], keep: tuple[str, ...]) -> Simulation:
        """Strictly, where the file allows that."""
        if NOT_WRITTEN in self.notes:
            return self._machine.run(given, keep, strict=False)
        try:
            return self._machine.run(given, keep)
        except ModelbuildError as error:
            first = error
        try:
            found = self._machine.run(given, keep, strict=False)
        except ModelbuildError:
            raise in_file(first, f"{self.name}{SUFFIX}") from None
        self._note(NOT_WRITTEN)
        return found

    def _note(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)

    def tensors(self) -> Mapping[str, QuantizedTensor]:
        """How the tensors are quantized whose names are known."""
        ports = (*self.inputs, *self.outputs)
        inner = {} if self._named is None else self._named.tensors
        return {
            **{name: tensor for name, tensor in inner.items() if not tensor.floating},
            **{port.name: port.quantized for port in ports if port.quantized is not None},
        }

    def factors(self) -> Mapping[str, NDArray[np.float32]]:
        """Those that travel with the model."""
        return factors_in(self._metadata)

    def pieces(self) -> Mapping[str, Pieces]:
        """Those that travel with the model."""
        return pieces_in(self._metadata)


def open_kmodel(
    path: Path, data: bytes, name: str, preprocess: Mapping[str, Preprocess] = MappingProxyType({})
) -> KmodelRunner:
    """The kmodel with what `<name>.json` beside the file tells, if a build has left it there; else with
    `preprocess`, by input or under "" for all. Raises for one that belongs to another kmodel."""
    told = description(path.with_name(f"{name}.json"))
    if told is not None and preprocess:
        raise ModelbuildError(
            "this file carries its own preprocessing",
            where=str(path),
            why=f"{name}.json beside it tells it",
            advice="leave the preprocessing out",
        )
    made = KmodelRunner(data, name, told)
    if preprocess:
        names = [port.name for port in made.inputs]
        made.preprocess = {**dict.fromkeys(names, Preprocess()), **by_input(preprocess, names, path)}
        made.is_described = True
    return made


def beside(path: Path) -> Path:
    """Where a build leaves what the kmodel at `path` cannot hold."""
    return path.with_name(f"{path.name.removesuffix(SUFFIX)}.json")


def description(path: Path) -> Described | None:
    """What a build or a pack has left beside a kmodel; nothing where that is a file of the user's own."""
    return _read(path) if path.is_file() else None


def _named(metadata: Mapping[str, str]) -> Named | None:
    """What its operations make, where that is told."""
    return Named.from_text(metadata[KEY]) if KEY in metadata else None


def _declared(metadata: Mapping[str, str], key: str) -> dict[str, Preprocess]:
    return {name: from_settings(given) for name, given in json.loads(metadata.get(key, "{}")).items()}


def _ports(side: str, ports: Any, told: tuple[QuantizedTensor, ...] | None) -> list[Port]:
    if told is None:
        return [Port(f"{side}{number}", port.shape, str(port.dtype)) for number, port in enumerate(ports)]
    fits = [(tensor.shape, str(tensor.dtype)) for tensor in told]
    if fits != [(port.shape, str(port.dtype)) for port in ports]:
        raise ModelbuildError(
            f"the .json beside the kmodel tells other {side}s than it has",
            why=", ".join(f"{port.dtype} {list(port.shape)}" for port in ports),
            advice="build the package again, or move the .json away: names are input0, output0 then",
        )
    return [
        Port(tensor.name, tensor.shape, str(tensor.dtype), None if tensor.floating else tensor)
        for tensor in told
    ]


def _read(beside: Path) -> Described | None:
    """What `<model>.json` says; nothing where it is a file of the user's own."""
    try:
        told = json.loads(input_file.read(beside, MOST_JSON))
        inputs, outputs = (tuple(_tensor(item) for item in told[side]) for side in ("inputs", "outputs"))
        metadata = dict(told.get("metadata", {}))
        for key in ("preprocess", "in_model"):
            metadata[key] = json.dumps(
                {item["name"]: item[key] for item in told["inputs"] if item.get(key) is not None}
            )
        _named(metadata)
        return Described(told["chip"], told["arithmetic"], inputs, outputs, MappingProxyType(metadata))
    except (ModelbuildError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _tensor(told: Any) -> QuantizedTensor:
    name, shape = str(told["name"]), tuple(map(int, told["shape"]))
    if told["dtype"] == "float32":
        return float_tensor(name, shape)
    bits, signed = _BITS[told["dtype"]]
    return QuantizedTensor(name, shape, bits, signed, float(told["scale"]), int(told["zero_point"]))
