"""How far a stage is: told by the stage, heard by who watches the build, and by nobody too often."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from build_harness import Project, action

from modelbuild.build import progress
from modelbuild.build.result import Event


@pytest.fixture
def heard() -> Iterator[list[tuple[int, int, str]]]:
    """What is reported in this process."""
    found: list[tuple[int, int, str]] = []
    progress.listen(lambda *said: found.append(said))
    yield found
    progress.listen(None)


def test_outside_a_worker_nothing_happens() -> None:
    progress.report(1, 2, "sample")
    assert list(progress.told("abc", 0, 3, "sample")) == ["a", "b", "c"]


def test_the_first_and_the_last_step_are_told_and_few_between(
    heard: list[tuple[int, int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(number / 100 for number in range(1, 1000))  # a step every hundredth of a second
    monkeypatch.setattr(progress.time, "monotonic", lambda: 5 + next(clock))
    for step in range(101):
        progress.report(step, 100, "sample")
    assert heard[0] == (0, 100, "sample") and heard[-1] == (100, 100, "sample")
    assert 10 <= len(heard) <= 13


def test_another_thing_is_told_at_once(heard: list[tuple[int, int, str]]) -> None:
    progress.report(6, 6, "sample")
    progress.report(0, 1, "tools/score.py:f1")
    assert heard == [(6, 6, "sample"), (0, 1, "tools/score.py:f1")]


def test_what_is_gone_through_is_counted_as_it_is_dealt_with(heard: list[tuple[int, int, str]]) -> None:
    seen = []
    for item in progress.told("ab", 2, 4, "run"):
        seen.append((item, heard[-1]))
        progress._told = 0.0
    assert seen == [("a", (2, 4, "run")), ("b", (3, 4, "run"))]
    assert heard[-1] == (4, 4, "run")


def test_an_observer_hears_how_far_an_action_is(project: Project) -> None:
    events: list[Event] = []
    stage = {"function": "stages_of_processes:advance", "parameters": {"steps": 50_000}}
    result = project.build([action("a", **stage), action("b", inputs={"x": "@a"})], observer=events.append)
    assert result.ok
    said = [one for one in events if one.kind == "progress"]
    assert {(one.action, one.steps, one.what, one.worker) for one in said} == {("a", 50_000, "sample", 0)}
    assert [one.step for one in said] == sorted({one.step for one in said})
    assert said[0].step == 0 and said[-1].step == 50_000
    assert len(said) < 100
    order = [one.kind for one in events if one.action == "a"]
    assert order[0] == "started" and order[-1] == "finished"
    seconds = [one.seconds for one in events]
    assert seconds == sorted(seconds) and seconds[0] >= 0


def test_events_say_who_worked_under_which_key_and_with_how_much_memory(project: Project) -> None:
    project.write("a.txt", "one")
    actions = [action("a", inputs={"x": "a.txt"}), action("b", inputs={"x": "@a"})]
    events: list[Event] = []
    project.build(actions, jobs=1, observer=events.append)
    started, finished = events[0], events[1]
    assert started.kind == "started" and finished.kind == "finished"
    assert started.worker == finished.worker == 0
    assert started.key == finished.key and len(started.key) == 64
    assert finished.peak_bytes is not None and finished.peak_bytes > 2**20
    events.clear()
    project.build(actions, jobs=1, observer=events.append)
    assert [(one.kind, one.state, one.worker, one.peak_bytes) for one in events] == [
        ("finished", "cached", None, None)
    ] * 2
    assert events[0].key == finished.key


def test_parameters_without_a_key_reach_the_stage_and_change_no_key(project: Project) -> None:
    first = action("a", unkeyed={"text": "from one address"})
    result = project.build([first])
    assert project.text(result, "a") == "from one address()"
    again = project.build([action("a", unkeyed={"text": "from another"})])
    assert again.states == {"a": "cached"}
    assert again.outputs == result.outputs


def test_a_thread_that_reports_after_its_stages_end_is_not_heard(project: Project) -> None:
    """It would be booked on the action that comes next; that gets another process."""
    events: list[Event] = []
    late = action("a", function="stages_of_processes:babble")
    after = action("b", function="stages_of_processes:whoami", parameters={"n": 1}, inputs={"x": "@a"})
    last = action("c", function="stages_of_processes:whoami", parameters={"n": 2}, inputs={"x": "@b"})
    result = project.build([late, after, last], jobs=1, observer=events.append)
    assert result.ok
    assert {one.action for one in events if one.kind == "progress"} == {"a"}
    a, b, c = (project.text(result, name) for name in "abc")
    assert a != b and b == c
