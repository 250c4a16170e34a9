"""A kmodel as `inspect` shows it: the documented object, the code, and the listing of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from modelbuild.artifacts.inspect import inspect
from modelbuild.artifacts.inspectors.kmodel_listing import listing
from modelbuild.artifacts.tree import render
from modelbuild.errors import ModelbuildError
from tests.formats import kmodel_sources as sources
from tests.formats.kmodel_sources import integer, lea, store, tensor


def inspected(tmp_path: Path, data: bytes, *, disassemble: bool = False) -> dict[str, Any]:
    path = tmp_path / "net.kmodel"
    path.write_bytes(data)
    found = inspect(path, disassemble=disassemble)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    return found


@pytest.mark.parametrize("name", sources.ALL)
def test_the_object(name: str, tmp_path: Path) -> None:
    data = sources.ALL[name]()
    found = inspected(tmp_path, data)
    assert (found["format"], found["size"], found["silicon"]) == ("kmodel", len(data), True)
    assert found["version"].startswith(name[0])
    assert all(set(check) == {"what", "ok", "why"} and check["ok"] for check in found["checks"])
    assert sum(part["size"] for part in found["parts"]) == len(data)
    assert set(found["models"][0]) >= {"id", "name", "version", "inputs", "outputs"}
    assert "disassembly" not in found
    assert render(found).startswith("format: kmodel\n")


def test_layers_and_dimensions(tmp_path: Path) -> None:
    layers = inspected(tmp_path, sources.version3())["models"][0]["layer_list"]
    assert layers[0] == {
        "index": 0,
        "what": "k210_conv",
        "offset": 76,
        "size": 424,
        "input": [3, 16, 16],
        "output": [4, 16, 16],
        "kernel": 3,
        "depthwise": False,
        "pool": "bypass",
    }
    found = inspected(tmp_path, sources.ALL["7 long dimensions"]())
    assert found["dimensions"] == "nncase 3.3"
    assert found["models"][0]["inputs"][0]["shape"] == [1, 3, None, 320]
    assert inspected(tmp_path, sources.later(6))["dimensions"] is None


def test_a_layer_that_the_kpu_cannot_run_is_a_check_that_fails(tmp_path: Path) -> None:
    data = bytearray(sources.version3())
    registers = data.index(sources.registers(3, 4, 16, 16))
    data[registers + 4 * 8] |= 0xF0  # a pool that there is none of
    (check,) = inspected(tmp_path, bytes(data))["checks"]
    assert check == {
        "what": "layers within the limits of the KPU",
        "ok": False,
        "why": "layer 0: pool 15 is none of 0 to 9",
    }


def test_the_code_of_version_5(tmp_path: Path) -> None:
    code = inspected(tmp_path, sources.version5(), disassemble=True)["disassembly"]
    assert code["shown"] == ["1.9.0"] and "1.6.0" in code["clean"] and code["agree"] is True
    quantize, call, dequantize = (
        item for item in code["functions"][0]["instructions"] if item["name"].startswith("tensor.")
    )
    assert quantize["operands"]["rshape_src"] == {"register": 0, "value": [1, 3, 16, 16]}
    assert quantize["stack"] == {
        "input": {"location": "input", "offset": 0},
        "output": {"location": "data", "offset": 0},
        "scale": 127.5,
        "bias": 3.0,
    }
    assert call["operands"] == {"function_id": 0, "module_id": 1, "num_src": 1, "num_dst": 1}
    assert dequantize["operands"]["in_datatype"] == "uint8"
    upload, layer, download = code["functions"][1]["instructions"]
    assert (upload["name"], download["operands"]["input"]["location"]) == ("kpu_upload", "kpu")
    assert (layer["registers"]["ic"], layer["registers"]["arg_x"], layer["problems"]) == (3, -128, [])
    assert layer["batch_norm"]["channels"] == 3 and layer["batch_norm"]["mul"] == [1000, 1002]
    assert layer["activation"]["pieces"] == 16 and layer["activation"]["add"] == [0, 15]
    assert layer["reserved"] == {}
    assert code["layers"] == []


def test_the_layers_of_versions_3_and_4(tmp_path: Path) -> None:
    for data, index, name in ((sources.version3(), 0, "k210_conv"), (sources.version4(), 1, "kpu_conv2d")):
        code = inspected(tmp_path, data, disassemble=True)["disassembly"]
        assert code["functions"] == [] and code["clean"] == [] and code["agree"] is None
        layer = code["layers"][index]
        assert (layer["name"], layer["registers"]["oc"], layer["weights"]["size"]) == (name, 4, 108)
        assert layer["batch_norm"]["add"] == [-8, -5]


def test_numbers_that_json_has_none_for_are_text(tmp_path: Path) -> None:
    bounds = b"\0\0\x80\xff" + b"\0\0\x80\x7f"  # minus and plus infinity
    code = store(0, (4,)) + lea(0, 0) * 2 + lea(1, 0) + tensor(1, bytes((9, 0, 0, 0, 0, 0, 0, 0)) + bounds)
    found = inspected(tmp_path, sources.version5(code=code), disassemble=True)["disassembly"]
    line = found["functions"][0]["instructions"][-1]
    assert (line["operands"]["fused_clamp_low"], line["operands"]["fused_clamp_high"]) == ("-inf", "inf")


def test_the_listing(tmp_path: Path) -> None:
    code = inspected(tmp_path, sources.version5(), disassemble=True)["disassembly"]
    lines = listing(code).splitlines()
    assert lines[0] == "disassembly:"
    assert lines[1].startswith("  read cleanly by the tables of nncase 1.9.0, ")
    assert not any(line.startswith("  not by that of") for line in lines)
    assert any(line.endswith("other releases (-v says why)") for line in lines)
    whole = listing(code, whole=True).splitlines()
    assert any(line.startswith("  not by that of 1.5.0, 1.4.0: at 0x") for line in whole)
    start = code["functions"][0]["offset"]
    assert f"    0x{start:06x}  lea_buffer           address=input+0" in lines
    assert any(line.endswith("stshape              register=r0[1,3,16,16]") for line in lines)
    assert any("registers: int_en=0" in line for line in lines)
    assert all(len(line) <= 130 for line in lines)


def test_the_listing_says_what_is_not_known(tmp_path: Path) -> None:
    found = inspected(tmp_path, sources.version5(code=integer(1) + b"\xff"), disassemble=True)
    text = listing(found["disassembly"])
    assert "  read cleanly by no table\n" in text
    assert "unknown, 1 bytes: there is no opcode 0xff" in text
    closed = inspected(tmp_path, sources.later(7), disassemble=True)["disassembly"]
    assert "unknown, 54 bytes: its code is not decoded" in listing(closed, whole=True)
    assert listing(closed).splitlines()[1:] == [
        "  2 functions, 74 bytes: unknown; its code is not decoded (-v lists them)"
    ]


def test_only_a_kmodel_is_disassembled(tmp_path: Path) -> None:
    path = tmp_path / "net.kmodel"
    path.write_bytes(b"TFL3" * 8)
    with pytest.raises(ModelbuildError, match="only a kmodel can be disassembled"):
        inspect(path, disassemble=True)
