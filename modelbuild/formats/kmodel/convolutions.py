"""Convolution layers of the KPU as versions 3 and 4 store them: registers and tables somewhere in a body."""

from __future__ import annotations

from dataclasses import dataclass

from modelbuild.formats.flatbuffer import damaged
from modelbuild.formats.kmodel import kpu_registers, kpu_tables
from modelbuild.formats.kmodel.model import Convolution, Span
from modelbuild.formats.kmodel.records import NAME, words
from modelbuild.formats.parts import Part


def registers(data: bytes, offset: int) -> tuple[int, ...]:
    """The twelve registers at `offset`."""
    return words(data, offset, f"{kpu_registers.COUNT}Q")


def sizes(found: tuple[int, ...], *, eight_bit: bool) -> tuple[int, int]:
    """Bytes of the batch normalization and of the weights."""
    fields = kpu_registers.decode(found)
    weights = kpu_registers.weight_count(fields) * (1 if eight_bit else 2)
    return kpu_tables.BATCH_NORM_BYTES * fields["oc"], 0 if fields["bypass"] else weights


def parts(layer: Convolution, place: int, what: str) -> list[Part]:
    """The pieces in the file: the registers at `place`, and the tables."""
    return [
        Part(place, kpu_registers.SIZE, f"{what}: registers"),
        Part(layer.batch_norm.offset, layer.batch_norm.size, f"{what}: batch normalization"),
        Part(layer.activation.offset, layer.activation.size, f"{what}: activation"),
        Part(layer.weights.offset, layer.weights.size, f"{what}: weights"),
    ]


@dataclass
class Budget:
    """Bytes of tables that layers may have in all. Offsets may point at the same bytes from many layers, so a
    small file could unfold into a huge one."""

    left: int

    def spend(self, layer: Convolution) -> Convolution:
        """The layer, its tables counted."""
        self.left -= layer.batch_norm.size + layer.activation.size + layer.weights.size
        if self.left < 0:
            raise damaged(
                "the tables of its layers overlap so that it would unfold without bound",
                NAME,
                layer.batch_norm.offset,
            )
        return layer


def budget(data: bytes) -> Budget:
    """What the layers of this file may have."""
    return Budget(4 * len(data) + 65_536)


def inside(span: Span, data: bytes, what: str) -> Span:
    """The span, which must lie in the file."""
    if span.offset < 0 or span.end > len(data):
        raise damaged(
            f"its {what} of {span.size} bytes would end at {span.end}, after its {len(data)} bytes",
            NAME,
            max(span.offset, 0),
        )
    return span
