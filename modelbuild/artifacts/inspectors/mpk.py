"""An MPK as `inspect` shows it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modelbuild.artifacts.inspectors.nef import program
from modelbuild.artifacts.packing.mpk_sizes import other_sizes
from modelbuild.errors import ModelbuildError
from modelbuild.formats import elf, mpk
from modelbuild.npu.program import interface


def describe(path: Path) -> dict[str, Any]:
    """Members, plugins, sections and checks. Errors: ModelbuildError for what the reader refuses."""
    found = mpk.read(path.read_bytes())
    return {
        "version": found.toolchain_version,
        "silicon": found.silicon,
        "toolchain_version": found.toolchain_version,
        "source": found.model_path,
        "source_checksum": found.model_checksum,
        "desired_batch": found.desired_batch,
        "actual_batch": found.actual_batch,
        "checksums": [],
        "checks": [
            {"what": item.what, "ok": item.ok, "detail": item.detail}
            for item in (*found.checks, *_sizes(found))
        ],
        "members": [{"name": item.name, "size": item.size, "sha256": item.sha256} for item in found.members],
        "inputs": [_node(node, found.actual_batch) for node in found.input_nodes],
        "outputs": [_node(node, found.actual_batch) for node in found.output_nodes],
        "plugins": [
            {"name": item.name, "processor": item.processor, "kernel": item.kernel or None}
            for item in sorted(found.plugins, key=lambda item: item.sequence)
        ],
        "program": found.program,
        "sections": [
            {"name": item.name, "size": item.size, "stored": item.kind != elf.NOBITS}
            for item in found.sections
        ],
        "models": [_model(found)],
    }


def _model(found: mpk.Mpk) -> dict[str, Any]:
    model: dict[str, Any] = {
        "id": None,
        "name": found.name,
        "version": None,
        "inputs": [_tensor(tensor) for tensor in found.inputs],
        "outputs": [_tensor(tensor) for tensor in found.outputs],
        "cycles": found.cycles,
        "command_bytes": len(found.command),
        "weight_bytes": len(found.weight),
        "host_bytes": len(found.host),
        "layers": [{"name": span.name, "cycles": span.cycles} for span in found.layers],
    }
    if not found.silicon:
        model["program"] = program(found.command)
    return model


def _tensor(tensor: mpk.MpkTensor) -> dict[str, Any]:
    return {
        "name": tensor.name,
        "shape": list(tensor.shape),
        "dtype": tensor.scalar,
        "scale": tensor.scale,
        "zero_point": tensor.zero_point,
    }


def _node(node: mpk.MpkNode, batch: int) -> dict[str, Any]:
    """A node's shape is that of one frame, its size counts those of a batch: `frames` says how many."""
    frames = {"frames": batch} if batch > 1 and node.shape else {}
    dtype = node.dtype or None
    return {"name": node.name, "shape": list(node.shape), "dtype": dtype, **frames, "size": node.size}


def _sizes(found: mpk.Mpk) -> list[mpk.MpkCheck]:
    """Of a package of ours: whether it tells the tensors that the program has."""
    if found.silicon:
        return []
    try:
        wrong = other_sizes(found, interface(found.command))
    except ModelbuildError:
        return []  # `program` says why it cannot be read
    return [mpk.MpkCheck("sizes are those of the program's tensors", not wrong, "; ".join(wrong))]
