"""One program of several."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelbuild.artifacts.programs import Program, choose, programs
from modelbuild.errors import ModelbuildError


def program(name: str, number: int | None) -> Program:
    return Program(name, b"", b"", b"", number)


def test_a_name_that_several_have_is_refused_with_their_ids() -> None:
    found = [program("digits", 32769), program("digits", 7), program("7", 9), program("faces", 8)]
    with pytest.raises(ModelbuildError) as caught:
        choose(found, "digits", "a.nef")
    problem = caught.value.problems[0]
    assert problem.what == "the package holds 2 models that are `digits`"
    assert problem.why == "digits (id 32769), digits (id 7)" and "--model ID" in problem.advice
    with pytest.raises(ModelbuildError, match="2 models that are `7`"):
        choose(found, "7", "a.nef")
    assert choose(found, "0x8001", "a.nef") is found[0] and choose(found, "faces", "a.nef") is found[3]


@pytest.mark.parametrize("kind", ["nef", "mpk"])
def test_what_cannot_be_read_is_named(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"no package of any kind")
    with pytest.raises(ModelbuildError) as caught:
        programs(path, kind)
    assert caught.value.problems[0].where.startswith(f"{path}")
