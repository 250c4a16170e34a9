"""Models to put into MPKs, for the tests."""

from __future__ import annotations

from modelbuild.formats.mpk import MpkSource, MpkTensor


def source(**changes: object) -> MpkSource:
    """A model of one input, two outputs and a layer on the CPU."""
    values: dict[str, object] = {
        "name": "digits",
        "model_path": "/srv/somewhere/models/digits.onnx",
        "model_checksum": "0123abcd",
        "program_suffix": ".elf",
        "command": bytes(range(200)),
        "weight": bytes(range(256)) * 3,
        "host": b"host code",
        "inputs": (MpkTensor("image", (1, 1, 8, 8), 8, True, 0.25, -128),),
        "outputs": (
            MpkTensor("scores", (1, 10), 8, True, 0.5, 3),
            MpkTensor("map", (1, 4, 2, 2), 16, True, 0.125, 0),
        ),
        "layers": (("conv_1", 100), ("view", 0), ("fc", 7)),
        "toolchain_version": "modelbuild/9.9.9",
        "desired_batch": 1,
        "actual_batch": 1,
        "host_operators": ("softmax",),
        "input_ranges": {"image": (0.0, 1.0)},
        "preprocess": {"image": {"mean": 127, "std": 128}},
    }
    return MpkSource(**{**values, **changes})  # type: ignore[arg-type]
