"""Altered files of every kind as `inspect` shows them: an object or the documented error."""

from __future__ import annotations

import json
import zlib

import pytest

from modelbuild.artifacts.inspect import inspect
from modelbuild.artifacts.inspectors import fixed_onnx
from modelbuild.artifacts.kinds import Kind
from modelbuild.artifacts.tree import render
from modelbuild.quantize import record as records
from modelbuild.report import inspected
from tests.formats import fuzzing
from tests.formats.fuzz_samples import SAMPLES, Sample, fixed_model
from tests.formats.fuzzing import LONG, SHORT, Case, Reader
from tests.formats.mutations import tokens
from tests.quantize.test_record import GOOD


def shown(sample: Sample) -> Reader:
    """The object, and for one input in sixteen the tree, the page, the nodes and the code, too."""

    def read(data: bytes) -> str:
        path = fuzzing.folder() / sample.name
        path.write_bytes(data)
        found = inspect(path)
        text = json.dumps(found, allow_nan=False)
        if zlib.crc32(data) % 16 == 0:
            assert json.loads(text) == found
            assert "\x1b" not in render(found)
            assert "\x1b" not in inspected.page(found, sample.name)
            if found["format"] in (Kind.ONNX, Kind.FIXED_ONNX, Kind.TFLITE):
                json.dumps(inspect(path, nodes=True))
            if found["format"] == Kind.KMODEL:
                json.dumps(inspect(path, disassemble=True))
        wrong = [
            item["what"] for key in ("checksums", "checks") for item in found.get(key, ()) if not item["ok"]
        ]
        return f"{found['format']}: {sorted(wrong)}"

    return read


def recorded(data: bytes) -> str:
    """A fixed model as before, beside the record."""
    path = fuzzing.folder() / "m.fixed.onnx"
    if not path.exists():
        path.write_bytes(fixed_model())
    path.with_name("m.quant.txt").write_bytes(data)
    told = inspect(path)["record"] if zlib.crc32(data) % 16 == 0 else fixed_onnx._record(path)
    assert told is not None
    json.dumps(told, allow_nan=False)
    if "unreadable" not in told:
        assert records.from_text(records.to_text(records.from_text(data.decode("utf-8-sig"))))
    return str(told.get("unreadable"))


CASES = {
    **{
        f"inspect {name}": Case(shown(sample), sample.make, sample.dress, sample.aim)
        for name, sample in SAMPLES.items()
    },
    "inspect fixed onnx, its record": Case(recorded, GOOD.encode, bytes, tokens),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("count", [SHORT, pytest.param(LONG, marks=pytest.mark.long)], ids=["short", "long"])
def test_mutations(name: str, count: int) -> None:
    assert fuzzing.check(CASES[name], count).read > 0


@pytest.mark.parametrize("name", CASES)
def test_every_truncation(name: str) -> None:
    fuzzing.truncated(CASES[name], 60)
