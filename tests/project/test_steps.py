"""Work that is told as actions are."""

from __future__ import annotations

import pytest

from modelbuild.build.result import Event
from modelbuild.project.steps import Steps


def test_what_runs_and_how_far_it_is() -> None:
    heard: list[Event] = []
    steps = Steps(heard.append, 2)
    with steps.step("a"):
        pass
    with steps.step("b") as told:
        told(3, 9, "group")
    assert [(each.kind, each.action, each.done, each.total) for each in heard] == [
        ("started", "a", 0, 2),
        ("finished", "a", 1, 2),
        ("started", "b", 1, 2),
        ("progress", "b", 1, 2),
        ("finished", "b", 2, 2),
    ]
    assert (heard[3].step, heard[3].steps, heard[3].what) == (3, 9, "group")
    assert [each.state for each in heard if each.kind == "finished"] == ["run", "run"]


def test_a_failure_is_told_and_raised() -> None:
    heard: list[Event] = []
    with pytest.raises(ValueError, match="no"), Steps(heard.append, 1).step("a"):
        raise ValueError("no")
    assert (heard[-1].kind, heard[-1].state, heard[-1].done) == ("finished", "failed", 0)


def test_nobody_has_to_listen() -> None:
    with Steps(None, 1).step("a") as told:
        told(1, 2, "group")
