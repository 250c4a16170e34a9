"""How many examples hypothesis tries."""

from __future__ import annotations

from typing import Any

from hypothesis import settings

ALL = 100  # what a test that says nothing tries in the long run


def examples(count: int, **more: Any) -> settings:
    """So many in the long run; in the short one the share of them that its profile has (conftest.py)."""
    return settings(max_examples=max(1, count * settings.default.max_examples // ALL), **more)
