"""`SOURCE_DATE_EPOCH`: a number of seconds, or an error that names it."""

from __future__ import annotations

import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.formats.source_date import LATEST, VARIABLE, source_date


@pytest.mark.parametrize(
    ("told", "time"), [("", 0), ("0", 0), ("1700000000", 1_700_000_000), (str(LATEST), LATEST)]
)
def test_seconds_since_1970(told: str, time: int) -> None:
    assert source_date({VARIABLE: told}) == time


def test_it_may_be_missing() -> None:
    assert source_date({}) == 0


@pytest.mark.parametrize("told", ["now", "-1", "1.5", " 1", "1e9", str(LATEST + 1), "9" * 40, "٣", "0x10"])
def test_anything_else_is_an_error_that_names_it(told: str) -> None:
    with pytest.raises(ModelbuildError, match="SOURCE_DATE_EPOCH") as caught:
        source_date({VARIABLE: told})
    assert caught.value.exit_code == 2
