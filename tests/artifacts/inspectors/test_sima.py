""".sima as `inspect` shows it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from modelbuild.artifacts.inspect import inspect
from modelbuild.artifacts.tree import render
from tests.formats import archive_sources


@pytest.mark.parametrize("name", ["net.sima", "net.fp32.sima", "whatever"])
def test_nodes_arrays_and_quantization(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(archive_sources.sima())
    found = inspect(path)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert (found["format"], found["silicon"], found["quantized"]) == ("sima", None, True)
    [model] = found["models"]
    assert model["operators"] == {"conv": 1, "quantize": 1, "subgraph": 1, "unknown": 1}
    assert [(item["name"], item["size"], item["named_by_a_node"]) for item in model["arrays"]] == [
        ("weights", 72, True),
        ("shift", 4, True),
        ("spare", 16, False),
    ]
    assert model["quantization"][1] == {
        "name": "MLA_0/conv_1",
        "op": "conv",
        "scale": 2.5,
        "zero_point": 1,
        "per_channel": True,
        "arrays": {"quant.requant.shift": "shift", "quant.weight_quant_data": "weights"},
    }
    assert [member["name"] for member in found["members"]] == ["net.yaml", "net.npz"]
    assert all(check["ok"] for check in found["checks"])
    assert sum(part["size"] for part in found["parts"]) == path.stat().st_size
    assert "conv 1" in render(found)


def test_what_cannot_be_read_is_a_check(tmp_path: Path) -> None:
    path = tmp_path / "net.sima"
    path.write_bytes(archive_sources.sima(text=b"[", arrays=b"none"))
    found = inspect(path)
    assert [check["what"] for check in found["checks"] if not check["ok"]] == [
        "the description of the network is read",
        "the arrays of net.npz are read",
    ]
    assert found["quantized"] is None and len(found["members"]) == 2
