"""The time that archives give their members: `SOURCE_DATE_EPOCH`, as reproducible-builds.org defines it."""

from __future__ import annotations

from collections.abc import Mapping

from modelbuild.errors import ModelbuildError

VARIABLE = "SOURCE_DATE_EPOCH"
LATEST = 8**11 - 1  # what the header of a tar has room for


def source_date(environment: Mapping[str, str]) -> int:
    """Seconds since 1970; 0 where the variable is not set or empty. Errors: ModelbuildError naming it."""
    told = environment.get(VARIABLE, "")
    if not told:
        return 0
    if not (told.isascii() and told.isdigit() and len(told) <= 12 and int(told) <= LATEST):
        raise ModelbuildError(
            f"{VARIABLE} is {told[:40]!r}, which is no number of seconds since 1970",
            where=VARIABLE,
            why=f"whole numbers from 0 to {LATEST} have a place in an archive",
            advice="set it as `git log -1 --format=%ct` prints it, or leave it unset",
        )
    return int(told)
