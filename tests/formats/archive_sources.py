"""Archives as other programs write them, for the tests: Python's own tarfile and zipfile, and numpy."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Mapping, Sequence

import numpy as np
import yaml


def tarred(
    *entries: tarfile.TarInfo, packing: str = "w:gz", kind: int = tarfile.PAX_FORMAT, fill: bytes = b"\0"
) -> bytes:
    """A tar of these entries; files hold `fill` over and over."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=packing, format=kind) as file:  # type: ignore[call-overload]
        for entry in entries:
            content = fill * entry.size if entry.isreg() else b""
            file.addfile(entry, io.BytesIO(content[: entry.size]) if entry.isreg() else None)
    return buffer.getvalue()


def files_tarred(files: Mapping[str, bytes], packing: str = "w:gz", **values: object) -> bytes:
    """A tar of files, with further fields of their headers, as a vendor's tool makes one."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=packing) as file:  # type: ignore[call-overload]
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for key, value in values.items():
                setattr(info, key, value)
            file.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def entry(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0, **values: object) -> tarfile.TarInfo:
    """A header for `tarred`."""
    found = tarfile.TarInfo(name)
    found.type, found.size = kind, size
    for key, value in values.items():
        setattr(found, key, value)
    return found


def zipped(files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A ZIP of files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        for name, data in files.items():
            file.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data, method)
    return buffer.getvalue()


ARRAYS = {
    "weights": np.arange(72, dtype=np.int8).reshape(3, 3, 2, 1, 4),
    "shift": np.arange(4, dtype=np.uint8),
    "spare": np.ones((2, 2), np.float32),
}
NODES: Sequence[Mapping[str, object]] = (
    {"name": "quantize_0", "ir": {"op": "quantize", "attrs": {"channel_params": [[255.0, -128]]}}},
    {
        "name": "MLA_0",
        "ir": {
            "node_type": "subgraph",
            "nodes": [
                {
                    "name": "conv_1",
                    "input_names": ["placeholder_0"],
                    "ir": {
                        "quant": {
                            "op": "conv",
                            "scale": 2.5,
                            "zero_point": 1,
                            "per_channel": True,
                            "requant": {"shift": "shift"},
                            "weight_quant_data": "weights",
                        }
                    },
                }
            ],
        },
    },
    {"name": "odd", "ir": {"something": "else"}},
)


def npz(arrays: Mapping[str, object] = ARRAYS) -> bytes:
    """Arrays as numpy stores them."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def sima_yaml(nodes: Sequence[Mapping[str, object]] = NODES) -> bytes:
    """A list of documents, one with nodes, as the acceptance tests of sima-neat/qat read them."""
    return yaml.safe_dump([{"version": 1}, {"name": "net", "nodes": list(nodes)}]).encode()


def sima(text: bytes | None = None, arrays: bytes | None = None) -> bytes:
    """A .sima."""
    return zipped(
        {"net.yaml": sima_yaml() if text is None else text, "net.npz": npz() if arrays is None else arrays}
    )
