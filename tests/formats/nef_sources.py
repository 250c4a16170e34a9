"""Models to put into NEFs, for the tests."""

from __future__ import annotations

from modelbuild.formats import nef
from modelbuild.formats.nef import CpuNode, NefSource, NefTensor

GENERATIONS = (
    ("520", "legacy520", 0x60000000),
    ("720", "legacy720", 0x80000000),
    ("720", "flatbuffer", 0x80000000),
    ("530", "flatbuffer", 0x80000000),
    ("630", "flatbuffer", 0x80000000),
    ("730", "kne", 0x80000000),
)


def source(number: int = 0, **changes: object) -> NefSource:
    """A model of two outputs; each number gives other bytes and sizes."""
    values: dict[str, object] = {
        "id": 32768 + number,
        "version": f"{0xA0F + number:04x}",
        "name": f"model_{number}",
        "command": bytes((7 * number + i) % 256 for i in range(37 + number)),
        "weight": bytes((11 * number + i) % 251 for i in range(91 + 5 * number)),
        "inputs": (NefTensor("image", (1, 3, 6, 10), 4, 7, 1.0, 0, 180),),
        "outputs": (
            NefTensor("scores", (1, 4, 3, 5), 4, 5, 1.25, 0, 60),
            NefTensor("boxes", (1, 10), 4, -2, 1.75, 64, 10),
        ),
        "input_size": 180 + number,
        "output_size": 74,
        "working_size": 1000 + 16 * number,
        "host": b"host" * number,
        "cpu_nodes": tuple(CpuNode(f"softmax_{i}", "Softmax") for i in range(number)),
    }
    return NefSource(**{**values, **changes})  # type: ignore[arg-type]


def build(platform: str, setup: str, base: int, *models: NefSource) -> bytes:
    """A NEF of these models."""
    return nef.build(platform, setup, base, models, "modelbuild/9.9.9", "modelbuild/9.9.9")
