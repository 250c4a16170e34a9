"""Variables of the builder's environment that a worker has for one task: secrets, that nobody inherits."""

from __future__ import annotations

import os
from collections.abc import Mapping

_lent: Mapping[str, str] = {}


def lend(variables: Mapping[str, str]) -> None:
    """From now on these, and none that were lent before. They are not in `os.environ`, so that what a stage
    starts does not get them."""
    global _lent
    _lent = dict(variables)


def environment() -> Mapping[str, str]:
    """This process's environment, with what is lent to it."""
    return {**os.environ, **_lent}
