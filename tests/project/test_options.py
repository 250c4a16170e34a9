"""What the words of a command line mean for a build."""

from __future__ import annotations

import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.project.options import DEFAULT, BuildOptions


def test_those_that_a_command_has() -> None:
    assert BuildOptions.of({}) == DEFAULT
    given = {"jobs": 3, "memory": "2G", "until": "lower", "locked": True, "names": [], "func": print}
    assert BuildOptions.of(given) == BuildOptions(jobs=3, memory=2 << 30, until="lower", locked=True)


@pytest.mark.parametrize("jobs", [0, -1])
def test_jobs_that_build_nothing(jobs: int) -> None:
    with pytest.raises(ModelbuildError, match=f"^-j {jobs} cannot build anything") as caught:
        BuildOptions.of({"jobs": jobs})
    assert caught.value.exit_code == 2


def test_memory_that_is_no_size() -> None:
    with pytest.raises(ModelbuildError):
        BuildOptions.of({"memory": "much"})
