"""Toolchains by name, and that the stages of one fit together."""

from __future__ import annotations

from importlib import import_module

import pytest

from modelbuild import __version__, toolchains
from modelbuild.errors import ModelbuildError
from modelbuild.stages.request import SHARED
from modelbuild.toolchains import builtin


@pytest.mark.parametrize("name", ["builtin", "builtin@0.1"])
def test_a_version_may_follow_the_name(name: str) -> None:
    assert toolchains.named(name) is builtin


@pytest.mark.parametrize("name", ["", "ktc", "nncase@1.9", "Builtin"])
def test_one_that_is_not_there(name: str) -> None:
    with pytest.raises(ModelbuildError) as caught:
        toolchains.named(name)
    assert caught.value.exit_code == 2
    (problem,) = caught.value.problems
    assert f"`{name}`" in problem.what and problem.advice == "use one of: builtin"


@pytest.mark.parametrize("name", toolchains.TOOLCHAINS)
def test_every_stage_is_there(name: str) -> None:
    toolchain = toolchains.named(name)
    for stage in {*toolchain.STAGES, *toolchain.STAGES_OF_FIXED, *toolchain.PACKAGE_STAGES}:
        module = import_module(f"modelbuild.stages.{stage}")
        assert callable(module.run) and callable(module.inputs) and callable(module.parameters)
        assert isinstance(module.VERSION, str) and isinstance(module.LIBRARIES, tuple)
    assert set(toolchain.STAGES) >= SHARED


def test_a_new_release_is_another_toolchain() -> None:
    assert builtin.fingerprint() == f"builtin/{__version__}"
    assert set(builtin.LEVELS) == {"float", "fixed", "hardware"}
