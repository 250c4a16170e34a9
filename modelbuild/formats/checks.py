"""Rules that a file keeps or breaks, beside its checksums."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """One rule, and whether it is kept; `why` says where it is not, and is empty where it is."""

    what: str
    ok: bool
    why: str = ""


def checked(what: str, ok: bool, why: str) -> Check:
    """The check of a rule; `why` counts where it is not kept."""
    return Check(what, ok, "" if ok else why)


def unless(what: str, why: str) -> Check:
    """The check of a rule that is kept where there is no reason why not."""
    return Check(what, not why, why)
