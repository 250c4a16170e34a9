"""What a PyTorch file holds, told from its directory and the names in its pickle; nothing in it is run."""

from __future__ import annotations

import io
import pickletools
import zipfile
from collections.abc import Iterator
from pathlib import Path

_MAX_PICKLE = 8 << 20  # of a large model it is a few hundred KiB: weights lie in members of their own
# Modules whose names weights alone have in their pickle, and no module of a network.
_PLAIN = {"collections", "torch", "torch._utils", "torch.storage", "torch.serialization"}
_PLAIN |= {"builtins", "__builtin__", "_codecs", "numpy", "numpy.core.multiarray", "numpy._core.multiarray"}


def lines(path: Path) -> tuple[str, ...]:
    """The Python lines that make `model` of the file: a TorchScript or exported program, a pickled module, or
    weights alone; where the file cannot be read, those of a pickled module."""
    name = repr(path.name)
    load = f"torch.load({name}, map_location='cpu', weights_only=False)"
    try:
        with zipfile.ZipFile(path) as archive:
            return _of_archive(archive, name, load)
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError, EOFError, RuntimeError):
        return (f"model = {load}",)


def _of_archive(archive: zipfile.ZipFile, name: str, load: str) -> tuple[str, ...]:
    members = {member.rpartition("/")[2]: member for member in archive.namelist()}
    if any("/code/" in member for member in archive.namelist()):
        return (f"model = torch.jit.load({name}, map_location='cpu')",)
    if {"serialized_exported_program.json", "model.json"} & members.keys():
        return (f"model = torch.export.load({name}).module()",)
    if "data.pkl" not in members:
        return (f"model = {load}",)
    with archive.open(members["data.pkl"]) as stream:
        classes = list(_classes(stream.read(_MAX_PICKLE)))
    networks = [entry for entry in classes if entry.rpartition(".")[0] not in _PLAIN]
    if not networks:
        return (
            "model = YourModel()  # the class that the weights were trained in",
            f"state = {load.replace('weights_only=False', 'weights_only=True')}",
            "model.load_state_dict(state)",
        )
    foreign = [entry for entry in networks if not entry.startswith("torch.")]
    return (f"model = {load}" + (f"  # needs {foreign[0]} to be importable" if foreign else ""),)


def _classes(data: bytes) -> Iterator[str]:
    """`module.name` of everything that the pickle would call or make."""
    try:
        for opcode, argument, _ in pickletools.genops(io.BytesIO(data)):
            if opcode.name == "GLOBAL":
                yield str(argument).replace(" ", ".")
    except Exception:  # a damaged pickle ends in whatever it makes the reader stumble over
        return
