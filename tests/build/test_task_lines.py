"""What many tasks share goes to a worker once, and every stage gets its own, whole and as it was planned."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from build_harness import Project, action, state_of
from hypothesis import given, settings
from hypothesis import strategies as st

from modelbuild.build import task_lines
from modelbuild.build.action import Action
from modelbuild.build.key import Walks, keyed, text_of
from modelbuild.build.task_lines import Receiver, Sender
from modelbuild.build.tasks import Task

LOG = Path("log")


def task(walks: Walks, **parameters: Any) -> Task:
    planned = Action("a", "m:f", "1", parameters)
    key, fields = keyed(planned, {"x": "ab" * 32}, walks)
    return Task("a", "run", "m:f", parameters, {"x": "x.bin"}, "0", "blobs", key, fields, 1)


def received(receiver: Receiver, lines: bytes) -> dict[str, Any]:
    (message,) = filter(None, map(receiver.task, lines.splitlines()))
    return message


def test_what_is_large_and_shared_is_sent_once() -> None:
    walks, sender, receiver = Walks(), Sender(), Receiver()
    recipe = {"passes": [f"pass {number}" for number in range(2000)]}
    first = sender.lines(task(walks, recipe=recipe, own=1), LOG)
    second = sender.lines(task(walks, own=2, recipe=recipe), LOG)
    assert len(first) > 20 * len(second)
    for lines, own in ((first, 1), (second, 2)):
        found = received(receiver, lines)
        assert found["parameters"] == {"recipe": recipe, "own": own}
        found["parameters"]["recipe"]["passes"].clear()  # as a stage might: the next gets its own


def test_a_large_parameter_that_something_unkeyed_stands_in_for_is_not_confused_with_it() -> None:
    walks = Walks()
    planned = task(walks, recipe={"passes": ["x" * 10_000]})
    given = planned._replace(parameters={"recipe": {"passes": ["y"]}})
    found = received(Receiver(), Sender().lines(given, LOG))
    assert found["parameters"] == {"recipe": {"passes": ["y"]}}
    assert found["fields"] == text_of(planned.fields)


VALUES = st.sampled_from([None, 1, "text", {"b": 1, "a": [1.5, "ä"]}, ["x" * 60], {"large": ["y" * 200] * 3}])
PLANNED = st.lists(st.dictionaries(st.sampled_from("zyx"), VALUES, max_size=3), max_size=12)


@settings(deadline=None)
@given(planned=PLANNED, large=st.sampled_from([1, 100]), most=st.sampled_from([1, 500, 5000]))
def test_every_task_arrives_as_it_was_whatever_is_kept(
    planned: list[dict[str, Any]], large: int, most: int
) -> None:
    """The order of parameters, too: a stage may go by it. What is kept is bounded, and begun anew."""
    walks, sender, receiver = Walks(), Sender(), Receiver()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(task_lines, "_LARGE", large)
        patch.setattr(task_lines, "_MOST", most)
        for parameters in planned:
            sent = task(walks, **parameters)
            found = received(receiver, sender.lines(sent, LOG))
            assert json.dumps(found["parameters"]) == json.dumps(parameters)
            assert found["fields"] == text_of(sent.fields)
            assert {
                name: found[name] for name in ("name", "kind", "function", "inputs", "folder", "blobs", "key")
            } == {
                name: getattr(sent, name)
                for name in ("name", "kind", "function", "inputs", "folder", "blobs", "key")
            }


def test_what_one_stage_does_to_its_parameters_no_other_sees(project: Project) -> None:
    """Through a real worker, which has the shared parameter from the first action on."""
    shared = {"lines": ["x" * 100] * 100}
    actions = [
        action(name, function="stages_of_processes:exhaust", parameters={"shared": shared, "name": name})
        for name in ("a", "b", "c")
    ]
    result = project.build(actions, jobs=1)
    assert state_of(result) == dict.fromkeys("abc", "run")
    assert {project.text(result, name) for name in "abc"} == {"100"}
