"""A kmodel as `inspect` shows it: its head; what is inside modules is not decoded."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from modelbuild.formats import kmodel_header


def describe(path: Path) -> dict[str, Any]:
    """Version, target, modules or layers. Errors: ModelbuildError with the offset."""
    found = kmodel_header.decode(path.read_bytes())
    layout = f" ({found.layout} layout)" if found.layout else ""
    return {
        "version": f"{found.version}{layout}",
        "silicon": True,
        "chip": found.target,
        "flags": found.flags,
        "checksums": [],
        "models": [
            {
                "id": None,
                "name": None,
                "version": None,
                "inputs": [_tensor(tensor) for tensor in found.inputs],
                "outputs": [_tensor(tensor) for tensor in found.outputs],
                "layers": found.layers or None,
                "main_memory": found.main_memory or None,
                "constants": found.constants or None,
                "modules": [asdict(module) for module in found.modules],
                "unread_bytes": found.unread,
            }
        ],
    }


def _tensor(tensor: kmodel_header.KmodelTensor) -> dict[str, Any]:
    return {
        "name": None,
        "shape": list(tensor.shape),
        "dtype": tensor.dtype or None,
        "address": tensor.address,
        "size": tensor.size,
    }
