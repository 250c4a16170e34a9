"""Layers that no step of fits the memory on the chip, found before there are numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.chips.load import load_recipe
from modelbuild.errors import ModelbuildError
from modelbuild.npu.compiler import compile_model
from modelbuild.npu.sram_check import check_sram
from modelbuild.npu.too_little_sram import TooLittleSram
from tests.hypotheses import examples
from tests.npu.small_models import Maker
from tests.npu.strategies import grown, seeds

RECIPE = load_recipe("kl720")


def test_what_compile_would_say() -> None:
    maker = Maker(x=(1, 3, 8, 64))
    maker.conv("a", "x", 16, 3, 1, 1)
    maker.conv("b", "a", 16, 3, 1, 1)
    model = maker.model("b")
    assert check_sram(model, RECIPE, {}) == []
    (finding,) = check_sram(model, RECIPE, {"sram_bytes": 100})
    assert (finding.code, finding.severity) == ("MB117", "error")
    with pytest.raises(TooLittleSram) as caught:
        compile_model(model, RECIPE, {"sram_bytes": 100})
    (problem,) = caught.value.problems
    assert finding.message == f"{problem.what}: {problem.why}" and finding.advice == problem.advice
    assert "conv 'b'" in problem.what and "conv 'a'" in problem.why
    assert check_sram(replace(model, arithmetic="float32"), RECIPE, {"sram_bytes": 100}) == []


@examples(60)
@given(seed=seeds, sram=st.sampled_from([16, 64, 128, 256, 512, 1024, 4096]))
def test_it_is_found_where_compile_ends_with_it(seed: int, sram: int) -> None:
    model = grown(seed)
    found = check_sram(model, RECIPE, {"sram_bytes": sram})
    try:
        compile_model(model, RECIPE, {"sram_bytes": sram}, bytes_wanted=False)
    except TooLittleSram:
        assert found
    except ModelbuildError:
        pass
    else:
        assert found == []
