"""Random graphs, edits, failures, damage and parallel builds against a pure model."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from build_harness import Project
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from machine_graphs import CONTENTS, JOBS, MOST, NAMES, content, graphs, name, nodes
from pure_model import Expected, Graph, Memory, actions, evaluate, needed
from test_damage import DAMAGES, files

from modelbuild.build.build import Builder
from modelbuild.build.result import BuildResult


class Machine(RuleBasedStateMachine):
    """One project, edited and built."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="modelbuild-machine-"))
        self.project = Project(self.folder / "project")
        self.dying = self.folder / "dying"
        self.dying.write_text("")
        environment = {**self.project.environment, "TEST_DIE": str(self.dying)}
        self.project.builder = Builder(self.project.root, environment=environment)
        self.memory = Memory()
        self.graph: Graph = ()

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    @initialize(graph=graphs(), contents=st.lists(content, min_size=3, max_size=3))
    def begin(self, graph: Graph, contents: list[str]) -> None:
        self.graph = graph
        for file, text in zip(NAMES, contents, strict=True):
            self.project.write(file, text)

    @rule(file=name, text=content, jobs=JOBS)
    def edit(self, file: str, text: str, jobs: int) -> None:
        self._path(file).unlink(missing_ok=True)
        self._path(file).write_text(text)
        self._build_all(jobs)

    @rule(file=name, data=st.data(), jobs=JOBS)
    def edit_unseen(self, file: str, data: st.DataObject, jobs: int) -> None:
        """Another content of the same size, in place, and the time of modification set back."""
        path = self._path(file)
        if path.is_file():
            before = path.stat()
            same = [text for text in CONTENTS if len(text) == before.st_size]
            if same:
                path.write_text(data.draw(st.sampled_from(same)))
                os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        self._build_all(jobs)

    @rule(file=name, jobs=JOBS)
    def delete(self, file: str, jobs: int) -> None:
        self._path(file).unlink(missing_ok=True)
        self._build_all(jobs)

    @rule(source=name, place=name, kind=st.sampled_from(["rename", "link", "exchange"]))
    def move(self, source: str, place: str, kind: str) -> None:
        one, other = self._path(source), self._path(place)
        if source == place or not one.is_file() or one.is_symlink() or other.is_symlink():
            return
        if kind == "rename":
            one.rename(other)
        elif kind == "link":
            other.unlink(missing_ok=True)
            other.symlink_to(source)
        elif other.is_file():
            other.rename(self.folder / "other")
            one.rename(other)
            (self.folder / "other").rename(one)

    @rule(data=st.data(), jobs=JOBS)
    def replan(self, data: st.DataObject, jobs: int) -> None:
        """One node is another, at the end one more or less, or only a version or text changes."""
        index = data.draw(st.integers(0, min(len(self.graph), MOST - 1)))
        change = data.draw(st.sampled_from(["node", "version", "text", "cut"]))
        if index == len(self.graph) or change == "node":
            self.graph = (*self.graph[:index], data.draw(nodes(index)), *self.graph[index + 1 :])
        elif change == "cut":
            self.graph = self.graph[: index + 1]
        else:
            old = self.graph[index]
            new = (
                replace(old, version="21"[old.version == "2"])
                if change == "version"
                else replace(old, text="u")
            )
            self.graph = (*self.graph[:index], new, *self.graph[index + 1 :])
        self._build_all(jobs)

    @rule(seed=st.integers(0, 1000), jobs=JOBS)
    def damage(self, seed: int, jobs: int) -> None:
        """Some files of the state are cut, altered, replaced or gone."""
        dice = random.Random(seed)
        found = (
            [path for path in files(self.project) if path.name != "lock"]
            if self.project.state.exists()
            else []
        )
        for path in dice.sample(found, dice.randint(0, min(3, len(found)))):
            DAMAGES[dice.choice(list(DAMAGES))](path, dice)
            self.memory.doubt()
        self._build_all(jobs)

    @rule(data=st.data(), jobs=st.integers(1, 4), retry=st.booleans())
    def build(self, data: st.DataObject, jobs: int, retry: bool) -> None:
        """All that can be built of some goals is."""
        self._check(data.draw(st.sets(st.integers(0, len(self.graph) - 1), min_size=1)), jobs, retry)

    def _build_all(self, jobs: int) -> None:
        if jobs:
            self._check(set(range(len(self.graph))), jobs, retry=False)

    def _check(self, goals: set[int], jobs: int, retry: bool) -> None:
        predicted = self._predictions(goals)
        expected = evaluate(self.graph, self._files(), goals)
        runs = self.memory.runs(self.graph, expected, retry)
        result = self._build(goals, jobs=jobs, keep_going=True, retry=retry)
        ran = Counter(self.project.ran())
        for label in {*ran, *runs}:
            low, high = runs.get(label, (0, 0))
            assert low <= ran[label] <= high, (label, ran, runs)
        for index, one in expected.items():
            found = result.states[f"n{index}"]
            if one.state != "ok":
                assert found == one.state, (index, one, found)
                continue
            assert found in ("run", "cached"), (index, one, dict(result.failures))
            assert self.project.text(result, f"n{index}") == one.text
            if self.memory.known.get(one.key) == "yes":
                assert found == "cached", index
        for index, state in predicted.items():
            self._agrees(index, state, result.states[f"n{index}"], retry)
        self.memory.known |= {one.key: "yes" for one in expected.values() if one.key and one.remembered}

    @rule(jobs=st.integers(1, 4))
    def build_until_failure(self, jobs: int) -> None:
        """After a failure nothing new starts but what always runs; what is there is right."""
        goals = set(range(len(self.graph)))
        expected = evaluate(self.graph, self._files(), goals)
        result = self._build(goals, jobs=jobs, keep_going=False)
        self.project.ran()
        for index, one in expected.items():
            found = result.states[f"n{index}"]
            rests = needed(self.graph, [index])
            if any(self.graph[other].soft for other in rests):
                assert found in ("run", "cached", "failed", "skipped")
                continue
            assert found in ({"run", "cached"} if one.state == "ok" else {one.state}) | {"skipped"}, (
                index,
                one,
            )
            if found in ("run", "cached"):
                assert self.project.text(result, f"n{index}") == one.text
                assert one.key is not None
                self.memory.known[one.key] = "yes"
        if all(one.state == "ok" for one in expected.values()):
            assert result.ok
        else:
            assert not result.ok
        self._doubt_what_was_not_followed(expected)

    @precondition(lambda self: "maybe" not in self.memory.known.values())
    @rule(data=st.data(), jobs=st.integers(1, 4))
    def build_and_kill(self, data: st.DataObject, jobs: int) -> None:
        """Workers are killed: their actions fail, and run the next time."""
        goals = set(range(len(self.graph)))
        label = self.graph[data.draw(st.integers(0, len(self.graph) - 1))].label
        known = evaluate(self.graph, self._files(), goals)
        dying = frozenset(
            index
            for index, node in enumerate(self.graph)
            if node.label == label
            and known[index].key is not None
            and known[index].key not in self.memory.known
        )
        expected = evaluate(self.graph, self._files(), goals, dying)
        self.dying.write_text(label)
        result = self._build(goals, jobs=jobs, keep_going=True)
        self.dying.write_text("")
        self.project.ran()
        for index, one in expected.items():
            found = result.states[f"n{index}"]
            assert found in ({"run", "cached"} if one.state == "ok" else {one.state}), (index, one, found)
            if one.state == "ok":
                assert self.project.text(result, f"n{index}") == one.text
        self.memory.known |= {one.key: "yes" for one in expected.values() if one.key and one.remembered}

    def _doubt_what_was_not_followed(self, expected: Mapping[int, Expected]) -> None:
        """A stopped build did some of what was to be done: which, is not modelled."""
        for one in expected.values():
            if one.key is not None and one.remembered and one.key not in self.memory.known:
                self.memory.known[one.key] = "maybe"

    def _path(self, file: str) -> Path:
        return self.project.root / file

    def _files(self) -> dict[str, str]:
        """The files as they are, through links; a link to nothing is no file."""
        return {file: self._path(file).read_text() for file in NAMES if self._path(file).is_file()}

    def _build(self, goals: set[int], **options: object) -> BuildResult:
        return self.project.build(actions(self.graph), [f"n{index}" for index in sorted(goals)], **options)

    def _predictions(self, goals: set[int]) -> dict[int, str]:
        """What a dry run says, with which status and why must agree; looking runs nothing."""
        names = [f"n{index}" for index in sorted(goals)]
        planned = actions(self.graph)
        dry = self._build(goals, jobs=1, dry_run=True, keep_going=True)
        status = self.project.builder.status(planned, names)
        words = {"cached": "up to date", "failed": "failed"}
        for found, state in dry.states.items():
            assert status[found].state == words.get(state, status[found].state), (found, state, status[found])
            verdict = self.project.builder.why(planned, found).next.verdict
            assert (verdict == "up to date") == (state == "cached") or verdict == "shared", (
                found,
                state,
                verdict,
            )
            assert (verdict == "failed") == (state == "failed"), (found, state, verdict)
        assert self.project.ran() == []
        return {int(found[1:]): state for found, state in dry.states.items()}

    def _agrees(self, index: int, dry: str, found: str, retry: bool) -> None:
        """A dry run knows what is cached, failed or skipped; what would run may fail, or share a result."""
        if dry in ("cached", "skipped") or (dry == "failed" and not retry):
            assert found == dry, (index, dry, found)


def check(examples: int, steps: int, derandomize: bool) -> None:
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=derandomize,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_the_builder_does_what_the_model_says() -> None:
    check(examples=15, steps=12, derandomize=True)


@pytest.mark.long
def test_the_builder_does_what_the_model_says_for_long() -> None:
    check(examples=400, steps=30, derandomize=False)
