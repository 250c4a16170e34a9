"""The search for cycles of garbage is as it was when a command is over."""

from __future__ import annotations

import gc

import pytest

from modelbuild.build import cycles


def test_what_was_set_comes_back_whatever_happens() -> None:
    before = gc.get_threshold()
    with pytest.raises(KeyError), cycles.seldom():
        assert gc.get_threshold() == (cycles.SELDOM, *before[1:])
        raise KeyError
    assert gc.get_threshold() == before
