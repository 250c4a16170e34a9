"""A fixed-point model as `inspect` shows it, with the quantization record beside it."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from modelbuild.artifacts.inspect import inspect
from modelbuild.artifacts.tree import render
from modelbuild.errors import ModelbuildError
from modelbuild.quantize import fixed_onnx
from modelbuild.quantize import record as records
from modelbuild.quantize.record import Record, TensorRecord
from tests.arithmetic.dice import Dice
from tests.arithmetic.kpu.cases import BUILDERS
from tests.artifacts.test_inspect import reshape_model

RECORD = Record(
    "m",
    "multiplier_shift@1",
    "activations=int8 weights=int8 symmetric=no scale=free per_channel=yes",
    "mse",
    7,
    (
        TensorRecord("x", "input", 8, True, 0.5, 3, -1.0, 1.0, "mse", 40.0),
        TensorRecord("y", "output", 8, True, 0.5, 3, -1.0, 1.0, "shared", 41.0),
    ),
    {"bias": {"conv": (1, 2)}},
)


def test_number_formats_and_the_digest(tmp_path: Path) -> None:
    fixed_onnx.write(reshape_model(), tmp_path / "m.fixed.onnx")
    found = inspect(tmp_path / "m.fixed.onnx")
    assert found["formats"]["tensors"] == {"int8": 2}
    assert [check["ok"] for check in found["checks"]] == [True, True]
    assert found["record"] is None


def test_altered_integers_are_shown_and_told(tmp_path: Path) -> None:
    """The digest is a check: what can be read is shown."""
    data = fixed_onnx.to_bytes(reshape_model())
    digest = data.index(b"modelbuild.digest") + 40
    (tmp_path / "m.fixed.onnx").write_bytes(data[:digest] + bytes([data[digest] ^ 1]) + data[digest + 1 :])
    found = inspect(tmp_path / "m.fixed.onnx")
    assert found["checks"][0] == {
        "what": "the integers have the digest that the file carries",
        "ok": False,
        "why": "its integers do not match the digest that it carries",
    }
    assert found["arithmetic"] == "multiplier_shift@1" and found["models"][0]["operators"] == {"reshape": 1}
    with pytest.raises(ModelbuildError, match="cannot be read"):
        fixed_onnx.read(tmp_path / "m.fixed.onnx")


def test_of_integers_that_cannot_be_read_the_drawing_is_shown(tmp_path: Path) -> None:
    data = fixed_onnx.to_bytes(reshape_model()).replace(b"reshape", b"reshave")
    (tmp_path / "m.fixed.onnx").write_bytes(data)
    found = inspect(tmp_path / "m.fixed.onnx")
    assert found["checks"][0]["ok"] is False and found["checks"][0]["why"]
    assert [value["name"] for value in found["models"][0]["inputs"]] == ["x"]
    assert "arithmetic" not in found


def test_altered_bytes_give_an_object_or_our_error(tmp_path: Path) -> None:
    data, dice = fixed_onnx.to_bytes(reshape_model()), random.Random(7)
    path = tmp_path / "m.fixed.onnx"
    shown = 0
    for _ in range(300):
        altered = bytearray(data)
        for _ in range(dice.randrange(1, 3)):
            altered[dice.randrange(len(altered))] = dice.randrange(256)
        path.write_bytes(bytes(altered))
        try:
            found = inspect(path)
        except ModelbuildError as error:
            assert error.exit_code == 2
        else:
            shown += found["format"] == "fixed_onnx" and not found["checks"][0]["ok"]
            assert json.loads(json.dumps(found, allow_nan=False)) == found and render(found)
    assert shown > 50


def test_floats_have_no_scale(tmp_path: Path) -> None:
    fixed_onnx.write(BUILDERS["dequantize"](Dice(1)), tmp_path / "m.fixed.onnx")
    found = inspect(tmp_path / "m.fixed.onnx")
    (x,), (y,) = found["models"][0]["inputs"], found["models"][0]["outputs"]
    assert (x["dtype"], x["scale"], x["zero_point"]) == ("uint8", 0.125, 7)
    assert (y["dtype"], y["scale"], y["zero_point"]) == ("float32", None, None)
    assert found["arithmetic"] == "kpu@1" and found["formats"]["tensors"] == {"float32": 1, "uint8": 1}


def test_the_record_beside_it_is_summed_up(tmp_path: Path) -> None:
    fixed_onnx.write(reshape_model(), tmp_path / "m.fixed.onnx")
    records.write(RECORD, tmp_path / "m.quant.txt")
    told = inspect(tmp_path / "m.fixed.onnx")["record"]
    assert (told["file"], told["method"], told["samples"], told["lines"]) == ("m.quant.txt", "mse", 7, 2)
    assert told["methods"] == {"mse": 1, "shared": 1}
    assert told["corrections"] == {"bias": 1}
    assert not told["edited"]


def test_a_record_that_cannot_be_read_is_no_obstacle(tmp_path: Path) -> None:
    fixed_onnx.write(reshape_model(), tmp_path / "m.fixed.onnx")
    (tmp_path / "m.quant.txt").write_text("no record")
    told = inspect(tmp_path / "m.fixed.onnx")["record"]
    assert told["file"] == "m.quant.txt" and told["unreadable"]
