"""The file of a fixed model: equal when read back, deterministic, runnable, and refused when damaged."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.errors import ModelbuildError
from modelbuild.quantize import fixed_onnx
from tests.arithmetic.dice import Dice
from tests.arithmetic.random_models import BUILDERS
from tests.hypotheses import examples
from tests.quantize.cases import make, normal, one_node


def assert_equal(a: FixedModel, b: FixedModel) -> None:
    assert replace(a, constants={}) == replace(b, constants={})
    assert list(a.constants) == list(b.constants)
    for name, values in a.constants.items():
        assert values.dtype == b.constants[name].dtype
        np.testing.assert_array_equal(values, b.constants[name])


MODEL = make(one_node("Conv", (1, 6, 7, 8), w=normal(5, 6, 3, 3), b=normal(5)), "kl720").fixed
DATA = fixed_onnx.to_bytes(MODEL)


@pytest.mark.parametrize("kind", sorted(BUILDERS))
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), bits=st.sampled_from([8, 16]))
def test_every_operator_reads_back_equal_and_is_valid_onnx(kind: str, seed: int, bits: int) -> None:
    model = BUILDERS[kind](Dice(seed, bits))
    data = fixed_onnx.to_bytes(model)
    assert_equal(fixed_onnx.from_bytes(data), model)
    assert fixed_onnx.to_bytes(fixed_onnx.from_bytes(data)) == data
    onnx.checker.check_model(onnx.load_model_from_string(data), full_check=True)


def test_what_is_fused_stays_so() -> None:
    fused = replace(MODEL, operators=tuple(replace(each, fused=True) for each in MODEL.operators))
    assert_equal(fixed_onnx.from_bytes(fixed_onnx.to_bytes(fused)), fused)
    assert b'"fused"' not in DATA and b'"fused":true' in fixed_onnx.to_bytes(fused)


def test_metadata_survives(tmp_path: Path) -> None:
    model = replace(MODEL, name="näme", metadata={"preprocess": '{"mean": 127}', "labels": "[]"})
    fixed_onnx.write(model, tmp_path / "m.fixed.onnx")
    assert_equal(fixed_onnx.read(tmp_path / "m.fixed.onnx"), model)


def test_the_file_says_what_it_is() -> None:
    proto = onnx.load_model_from_string(DATA)
    properties = {entry.key: entry.value for entry in proto.metadata_props}
    assert properties["modelbuild.arithmetic"] == "multiplier_shift@1"
    assert {"QuantizeLinear", "DequantizeLinear", "Conv"} <= {node.op_type for node in proto.graph.node}
    weight = next(item for item in proto.graph.initializer if item.name == "node/weight")
    np.testing.assert_array_equal(onnx.numpy_helper.to_array(weight), MODEL.constants["node/weight"])
    stored = json.loads(properties["modelbuild.fixed"])
    multipliers = dict(stored["constants"])["node/multiplier"][2]
    assert multipliers == MODEL.constants["node/multiplier"].tolist()
    assert proto.graph.input[0].name == "x" and proto.graph.output[0].name == "y"


@examples(300)
@given(at=st.integers(0, len(DATA) - 1), bit=st.integers(0, 7))
def test_a_flipped_bit_is_refused_or_harmless(at: int, bit: int) -> None:
    damaged = bytearray(DATA)
    damaged[at] ^= 1 << bit
    try:
        assert_equal(fixed_onnx.from_bytes(bytes(damaged)), MODEL)
    except ModelbuildError as error:
        assert error.exit_code == 2


@examples(60)
@given(size=st.integers(0, len(DATA) - 1))
def test_a_truncated_file_is_refused(size: int) -> None:
    with pytest.raises(ModelbuildError):
        fixed_onnx.from_bytes(DATA[:size], "m.fixed.onnx")


def test_other_files_are_refused(tmp_path: Path) -> None:
    plain = onnx.load_model_from_string(DATA)
    del plain.metadata_props[:]
    with pytest.raises(ModelbuildError, match="not a fixed-point model of modelbuild"):
        fixed_onnx.from_bytes(plain.SerializeToString())
    with pytest.raises(ModelbuildError, match="cannot read"):
        fixed_onnx.read(tmp_path / "missing.onnx")


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"name": 3}', "[" * 100000])
def test_broken_metadata_is_refused(text: str) -> None:
    proto = onnx.load_model_from_string(DATA)
    for entry in proto.metadata_props:
        if entry.key == "modelbuild.fixed":
            entry.value = text
    with pytest.raises(ModelbuildError, match="cannot be read"):
        fixed_onnx.from_bytes(proto.SerializeToString())


def test_an_invalid_model_is_not_written() -> None:
    with pytest.raises(ModelbuildError):
        fixed_onnx.to_bytes(replace(MODEL, outputs=("nowhere",)))


def test_the_file_is_as_its_page_says() -> None:
    """Read by docs/format-fixed-onnx.md alone: the keys of the JSON, and the digest."""
    page = (Path(__file__).parents[2] / "docs/format-fixed-onnx.md").read_text(encoding="utf-8")
    proto = onnx.load_model_from_string(DATA)
    properties = {entry.key: entry.value for entry in proto.metadata_props}
    content = json.loads(properties["modelbuild.fixed"])
    whole, operator = page.split("An operator is an object:")
    assert set(content) == _keys(whole.split("## The JSON")[1])
    assert all(set(item) == _keys(operator.split("## What is drawn")[0]) for item in content["operators"])
    hashed = hashlib.sha256(properties["modelbuild.fixed"].encode())
    initializers = {item.name: numpy_helper.to_array(item) for item in proto.graph.initializer}
    for name in sorted(name for name, stored in content["constants"] if stored is None):
        values = initializers[name]
        for part in (name, str(values.dtype), str(values.shape)):
            hashed.update(b"\0" + part.encode())
        hashed.update(b"\0" + values.tobytes())
    assert properties["modelbuild.digest"] == hashed.hexdigest()
    assert set(properties) == _keys(page.split("## The JSON")[0])


def _keys(text: str) -> set[str]:
    """The names in the first column of a table."""
    rows = re.findall(r"^\| (`[^|]+`) \|", text, re.M)
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)} - {"metadata_props"}
