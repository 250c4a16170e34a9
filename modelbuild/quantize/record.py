"""The quantization record: how every tensor of a model becomes integers, as a text table and corrections.

docs/quantization.md describes the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelbuild.quantize import record_reading, record_text
from modelbuild.quantize.number_format import radix_of
from modelbuild.quantize.record_places import Places
from modelbuild.quantize.record_sums import EDITED


@dataclass(frozen=True)
class TensorRecord:
    """One line. `scale` and `zero_point` are None where every channel has its own (weights)."""

    name: str
    kind: str  # input | activation | output | weight
    bits: int
    signed: bool
    scale: float | None
    zero_point: int | None
    low: float
    high: float
    method: str  # a range method | natural | shared | source | a rounding | edited
    snr_db: float | None  # of the tensor itself when it alone is quantized, estimated on its histogram
    output_snr_db: float | None = None  # of the model's outputs when it alone is quantized, as predicted

    @property
    def type(self) -> str:
        """int8, uint8, int16 ..."""
        return f"{'' if self.signed else 'u'}int{self.bits}"

    @property
    def radix(self) -> int | None:
        """r with 1 / scale = m * 2^r, 1 <= m < 2."""
        return None if self.scale is None else radix_of(self.scale)


@dataclass(frozen=True)
class Record:
    """`corrections` maps a kind of correction to integers a tensor: "bias" (added to the quantized bias,
    an output channel each), "clip" (weight range in 1/128 of the largest, an output channel each) and "round"
    (channel, bits, channel, bits ...: the weights that are rounded to the other neighbour, a bit each)."""

    model: str
    arithmetic: str
    format: str
    method: str
    samples: int
    tensors: tuple[TensorRecord, ...]
    corrections: Mapping[str, Mapping[str, tuple[int, ...]]] = field(default_factory=dict)
    edited: frozenset[str] = frozenset()  # lines but the table's that were edited by hand: "bias conv1"
    places: Places = field(default_factory=Places, compare=False)

    @property
    def is_edited(self) -> bool:
        """Whether anything of it was edited by hand, lines taken out included."""
        return bool(self.edited) or any(line.method == EDITED for line in self.tensors)

    def _of_all(self, form: str, weights: bool) -> str:
        """The format that all have, or `mixed`; inputs and outputs of the source's own codes do not count."""
        lines = [line for line in self.tensors if (line.kind == "weight") == weights]
        codes = {line.name for line in lines if line.method == "source" and line.scale == 1.0}
        return form if all(line.type == form for line in lines if line.name not in codes) else "mixed"

    def by_name(self) -> dict[str, TensorRecord]:
        """Tensor name -> its line."""
        return {tensor.name: tensor for tensor in self.tensors}

    def to_json(self) -> dict[str, Any]:
        """The object of quantize.json."""
        words = dict(part.split("=") for part in self.format.split())
        return {
            "method": self.method,
            "activations": self._of_all(words["activations"], weights=False),
            "weights": self._of_all(words["weights"], weights=True),
            "format": words,
            "samples": self.samples,
            "edited": self.is_edited,
            "tensors": [
                {
                    "name": tensor.name,
                    "kind": tensor.kind,
                    "bits": tensor.bits,
                    "signed": tensor.signed,
                    "scale": tensor.scale,
                    "zero_point": tensor.zero_point,
                    "radix": tensor.radix,
                    "low": tensor.low,
                    "high": tensor.high,
                    "method": tensor.method,
                    "edited": tensor.method == EDITED,
                    "snr_db": tensor.snr_db,
                    "output_snr_db": tensor.output_snr_db,
                }
                for tensor in self.tensors
            ],
        }


def write(record: Record, path: Path) -> None:
    """The record as text; the same record gives the same bytes."""
    path.write_bytes(to_text(record).encode())


def to_text(record: Record) -> str:
    """The file's text."""
    header = {
        "model": record.model,
        "arithmetic": record.arithmetic,
        "format": record.format,
        "method": record.method,
        "samples": str(record.samples),
    }
    rows = [
        (
            tensor.kind,
            tensor.type,
            tensor.scale,
            tensor.zero_point,
            tensor.radix,
            tensor.low,
            tensor.high,
            tensor.method,
            tensor.snr_db,
            tensor.output_snr_db,
            tensor.name,
        )
        for tensor in record.tensors
    ]
    return record_text.encode(header, rows, record.corrections, record.edited)


def read(path: Path, *, given: bool = True) -> Record:
    """A record from a file; errors name file and line. `given`: by the user, whose mistakes exit with 2."""
    return from_text(record_reading.load(path), str(path), given=given)


def from_text(text: str, where: str = "record", *, given: bool = True) -> Record:
    """A record from its text."""
    parsed = record_reading.decode(text, where)
    tensors = tuple(
        TensorRecord(row.name, row.kind, row.bits, row.signed, row.scale, row.zero_point, *row.rest)
        for row in parsed.rows
    )
    header = parsed.header
    return Record(
        header["model"],
        header["arithmetic"],
        header["format"],
        header["method"],
        parsed.samples,
        tensors,
        parsed.corrections,
        frozenset(parsed.edited),
        Places(where, parsed.places, given),
    )
