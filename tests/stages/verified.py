"""A model compiled, and its program held against it by the stage: set-up of tests of what that tells."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.chips.load import load_recipe
from modelbuild.npu.batch_compiler import compile_batch
from modelbuild.npu.compiler import CompiledModel
from modelbuild.quantize import fixed_onnx
from modelbuild.stages import verify_hardware

_NOTHING: Mapping[str, Any] = {}


def verified(
    model: FixedModel, folder: Path, batch: int | None = None, options: Mapping[str, Any] = _NOTHING
) -> dict[str, Any]:
    """hardware.json of a model."""
    return held(compiled(model, batch, options), model, folder)


def compiled(
    model: FixedModel, batch: int | None = None, options: Mapping[str, Any] = _NOTHING
) -> CompiledModel:
    """A model's program for a chip that takes batches."""
    return compile_batch(model, load_recipe("modalix"), options, batch)[0]


def held(program: CompiledModel, model: FixedModel, folder: Path) -> dict[str, Any]:
    """hardware.json of a program beside a model."""
    parts = {"command": program.command, "weights": program.weights, "host": program.host}
    for name, data in parts.items():
        (folder / name).write_bytes(data)
    (folder / "plan").write_text(json.dumps({"cycles": program.cycles}))
    fixed_onnx.write(model, folder / "fixed")
    roles = {name: folder / name for name in (*parts, "plan", "fixed")}
    verify_hardware.run(roles, {"preprocess": {}, "samples": 0, "random": True}, folder)
    found: dict[str, Any] = json.loads((folder / "hardware.json").read_bytes())
    return found
