"""What became of deep tiling is told: taken, or why not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.chips.recipe import Recipe
from modelbuild.errors import ModelbuildError
from modelbuild.npu import compiler
from modelbuild.npu.compiler import CompiledModel, compile_model
from modelbuild.npu.deep_tiling import CODE, DeepTiling
from modelbuild.npu.emitted import Emitted
from modelbuild.npu.limits import OverMemory
from modelbuild.npu.planning.does_not_fit import DoesNotFit
from modelbuild.npu.planning.plan import Plan
from modelbuild.npu.planning.planner import plan
from tests.npu.small_models import Maker
from tests.npu.strategies import recipe

RECIPE = recipe()
DEEP = {"tiling": "deep", "sram_bytes": 1 << 13}


def with_room(bytes_: int) -> Recipe:
    container = RECIPE.container.model_copy(update={"max_model_bytes": bytes_})
    return RECIPE.model_copy(update={"container": container})


def chain() -> FixedModel:
    """Two convolutions whose map in between does not stay whole on the chip."""
    maker = Maker(x=(1, 8, 64, 16))
    maker.conv("a", "x", 16, 3, 1, 1)
    maker.conv("b", "a", 16, 3, 1, 1)
    maker.conv("y", "b", 4, 3, 1, 1)
    return maker.model("y")


def alone() -> FixedModel:
    maker = Maker(x=(1, 4, 8, 8))
    maker.conv("y", "x", 4)
    return maker.model("y")


def moved(compiled: CompiledModel) -> int:
    return sum(layer.dram_read + layer.dram_write + layer.weight_bytes for layer in compiled.layers)


def larger(monkeypatch: pytest.MonkeyPatch, bytes_: int) -> None:
    """Deep plans take so many bytes of working memory more."""

    def planned(*arguments: Any, deep: bool = False, **options: Any) -> Plan:
        made = plan(*arguments, deep=deep, **options)
        if not deep:
            return made
        assert made.maps is not None
        return replace(made, maps=replace(made.maps, working=made.maps.working + bytes_))

    monkeypatch.setattr(compiler, "plan", planned)


def test_nothing_is_said_where_it_is_not_wanted() -> None:
    assert compile_model(chain(), RECIPE, {"sram_bytes": 1 << 13}).deep is None


@pytest.mark.parametrize("wanted", [True, False])
def test_taken(wanted: bool) -> None:
    found = compile_model(chain(), RECIPE, DEEP, bytes_wanted=wanted)
    assert (found.tiling, found.deep) == ("deep", DeepTiling(taken=True))
    assert found.deep is not None and found.deep.findings() == ()
    assert found.cycles < compile_model(chain(), RECIPE, {**DEEP, "tiling": "default"}).cycles


def test_no_better() -> None:
    found, default = (compile_model(alone(), RECIPE, {"tiling": tiling}) for tiling in ("deep", "default"))
    assert replace(found, deep=None) == default
    assert found.deep is not None
    said = found.deep.to_json()
    assert (said["taken"], said["reason"]) == (False, "no_better")
    assert (said["cycles"], said["moved"]) == (default.cycles, moved(default))
    assert said["message"] == f"deep tiling changes nothing: {default.cycles:,} cycles, as by default"
    (finding,) = found.deep.findings()
    assert (finding.code, finding.severity, finding.message) == (CODE, "note", said["message"])


def test_slower(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plans change their roles: what is wanted deep is the slower one."""
    monkeypatch.setattr(
        compiler, "plan", lambda *given, deep=False, **more: plan(*given, deep=not deep, **more)
    )
    found = compile_model(chain(), RECIPE, DEEP)
    assert found.tiling == "default" and found.deep is not None and found.deep.reason == "no_better"
    assert found.deep.cycles is not None and found.deep.cycles > found.cycles
    assert found.deep.message == (
        f"deep tiling is not taken: it takes {found.deep.cycles:,} cycles and moves {found.deep.moved:,} "
        f"bytes, the default {found.cycles:,} and {moved(found):,}"
    )


def test_faster_but_more_is_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither of the two may be worse."""
    monkeypatch.setattr(Emitted, "moved", property(lambda found: {"default": 500, "deep": 501}[found.tiling]))
    default = compile_model(chain(), RECIPE, {**DEEP, "tiling": "default"})
    found = compile_model(chain(), RECIPE, DEEP)
    assert (found.tiling, found.command) == ("default", default.command)
    assert found.deep is not None and found.deep.reason == "no_better" and found.deep.moved == 501
    assert found.deep.cycles is not None and found.deep.cycles < found.cycles
    assert found.deep.message.endswith(f"moves 501 bytes, the default {found.cycles:,} and 500")


def test_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    def planned(*arguments: Any, deep: bool = False, **options: Any) -> Plan:
        if deep:
            raise DoesNotFit(9000, 1)
        return plan(*arguments, **options)

    monkeypatch.setattr(compiler, "plan", planned)
    found = compile_model(chain(), RECIPE, DEEP)
    assert found.tiling == "default" and found.deep is not None
    said = found.deep.to_json()
    assert (said["reason"], said["needed"], said["available"]) == ("does_not_fit", 9000, 8192)
    text = (
        "deep tiling is not taken: the smallest step of conv 'b' needs 9,000 bytes of SRAM, there are 8,192"
    )
    assert said["message"] == text
    (finding,) = found.deep.findings()
    assert (finding.severity, finding.message) == ("warning", text) and finding.advice


def test_what_fits_neither_way_is_an_error() -> None:
    with pytest.raises(ModelbuildError, match="bytes of SRAM"):
        compile_model(chain(), RECIPE, {**DEEP, "sram_bytes": 64})


@pytest.mark.parametrize("wanted", [True, False])
def test_a_plan_that_exceeds_dram_does_not_win_over_one_that_fits(
    monkeypatch: pytest.MonkeyPatch, wanted: bool
) -> None:
    default = compile_model(chain(), RECIPE, {**DEEP, "tiling": "default"})
    small = with_room(default.memory.dram_peak)
    larger(monkeypatch, 1 << 20)
    assert compile_model(chain(), RECIPE, DEEP).tiling == "deep"  # faster, and there is room
    found = compile_model(chain(), small, DEEP, bytes_wanted=wanted)
    assert (found.tiling, found.cycles) == ("default", default.cycles)
    assert found.deep is not None and found.deep.reason == "exceeds_dram"
    assert found.deep.needed is not None and found.deep.needed > 1 << 20
    assert found.deep.available == default.memory.dram_peak
    assert found.deep.message == (
        f"deep tiling is not taken: it needs {found.deep.needed:,} bytes of DRAM; a model on kl720 may take "
        f"{default.memory.dram_peak:,}"
    )
    assert found.deep.findings()[0].severity == "warning"


def test_a_deep_plan_that_fits_wins_over_a_default_that_does_not() -> None:
    default = compile_model(chain(), RECIPE, {**DEEP, "tiling": "default"})
    deep = compile_model(chain(), RECIPE, DEEP)
    assert deep.memory.dram_peak < default.memory.dram_peak
    assert compile_model(chain(), with_room(deep.memory.dram_peak), DEEP).tiling == "deep"
    with pytest.raises(OverMemory):
        compile_model(chain(), with_room(deep.memory.dram_peak - 1), DEEP)


def test_where_neither_fits_the_slower_plan_does_not_win(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plans change their roles, and what is wanted by default needs more DRAM."""

    def planned(*arguments: Any, deep: bool = False, **options: Any) -> Plan:
        made = plan(*arguments, deep=not deep, **options)
        assert made.maps is not None
        more = 0 if deep else 1 << 20
        return replace(made, maps=replace(made.maps, working=made.maps.working + more))

    monkeypatch.setattr(compiler, "plan", planned)
    default = compile_model(chain(), RECIPE, {**DEEP, "tiling": "default"})
    found = compile_model(chain(), with_room(1024), DEEP, bytes_wanted=False)
    assert (found.tiling, found.cycles) == ("default", default.cycles)
    assert found.deep is not None and found.deep.reason == "no_better"


def test_where_neither_fits_the_faster_plan_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    larger(monkeypatch, 1 << 20)
    found = compile_model(chain(), with_room(1024), DEEP, bytes_wanted=False)
    assert found.tiling == "deep" and found.deep == DeepTiling(taken=True)
