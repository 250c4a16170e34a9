"""A fixed model and the part after the chip that lies beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelbuild import api
from modelbuild.errors import ModelbuildError
from modelbuild.quantize import fixed_onnx
from tests.artifacts.test_inspect import reshape_model


def test_a_part_that_cannot_be_read_says_how_to_do_without_it(tmp_path: Path) -> None:
    fixed, post = tmp_path / "net.fixed.onnx", tmp_path / "net_post.onnx"
    fixed.write_bytes(fixed_onnx.to_bytes(reshape_model()))
    post.write_bytes(b"garbage")
    with pytest.raises(ModelbuildError) as caught:
        api.open_file(fixed)
    problem = caught.value.problems[0]
    assert "net_post.onnx" in f"{problem.where} {problem.what}" and "--no-tail" in problem.advice
    assert [port.name for port in api.open_file(fixed, tail=False).inputs] == ["x"]
