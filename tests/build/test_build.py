"""The builder as a whole: a pure model beside it, a no-op that is light, cleaning."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from build_harness import Project, action
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from modelbuild.build.action import Action
from modelbuild.errors import ModelbuildError

NO_OP = """
import json, subprocess, sys
from pathlib import Path
subprocess_of_ours = sys.modules.pop("subprocess")
before = set(sys.modules)
import _posixsubprocess, os
def refuse(*arguments, **options):
    raise AssertionError("a process was started")
_posixsubprocess.fork_exec = os.fork = os.posix_spawn = refuse
from modelbuild.build.action import Action, FileInput, OutputOf
from modelbuild.build.build import Builder
actions = [Action("a", "stages_for_tests:join", "1", {"label": "a"}, {"x": FileInput("a.txt")}),
           Action("b", "stages_for_tests:join", "1", {"label": "b"}, {"x": OutputOf("a", "text")})]
result = Builder(Path(sys.argv[1])).build(actions, ["b"], jobs=2)
print(json.dumps([dict(result.states), sorted(set(sys.modules) - before)]))
"""


def test_what_a_killed_build_left_goes_and_the_folder_stays(project: Project) -> None:
    work = project.state / "work"
    (work / "build-1" / "0" / "out").mkdir(parents=True)
    (work / "build-1" / "0").chmod(0o500)
    (work / "1-0.tmp").write_text("half")
    before = work.stat().st_ino
    project.build([])
    assert work.stat().st_ino == before and list(work.iterdir()) == []


def test_a_no_op_is_light(project: Project) -> None:
    """Nothing but small parts of the standard library is imported, and no process is started."""
    project.write("a.txt", "one")
    project.build([action("a", inputs={"x": "a.txt"}), action("b", inputs={"x": "@a"})])
    done = subprocess.run(
        [sys.executable, "-c", NO_OP, str(project.root)], capture_output=True, text=True, check=True
    )
    states, modules = json.loads(done.stdout)
    assert states == {"a": "cached", "b": "cached"}
    heavy = {
        "subprocess",
        "selectors",
        "multiprocessing",
        "asyncio",
        "concurrent",
        "tempfile",
        "shutil",
        "logging",
    }
    heavy |= {
        "numpy",
        "onnx",
        "pydantic",
        "yaml",
        "jinja2",
        "rich",
        "PIL",
        "sqlite3",
        "difflib",
        "importlib.metadata",
    }
    assert heavy & {name.split(".")[0] for name in modules} == set()
    ours = {name for name in modules if name.startswith("modelbuild")}
    assert (
        ours & {f"modelbuild.build.{name}" for name in ("pool", "execution", "worker", "survey", "publish")}
        == set()
    )
    assert {name for name in ours if not name.startswith("modelbuild.build")} <= {
        "modelbuild",
        "modelbuild.errors",
    }


def test_an_output_that_is_not_there_is_named(project: Project) -> None:
    result = project.build([action("a", "several")])
    with pytest.raises(ModelbuildError, match=r"it has a/b/deep\.txt, empty, text"):
        project.builder.output(result, "a", "no such")


def test_no_jobs_are_refused(project: Project) -> None:
    with pytest.raises(ModelbuildError, match="0 jobs"):
        project.build([action("a")], jobs=0)


def test_cleaning_forgets_everything_and_a_build_brings_it_back(project: Project) -> None:
    actions = [action("a"), action("b", inputs={"x": "@a"})]
    first = project.build(actions)
    project.builder.clean()
    assert [path.name for path in project.state.iterdir()] == ["lock"]
    assert project.builder.why(actions, "a").next.verdict == "never built"
    assert project.build(actions).outputs == first.outputs
    assert project.ran() == ["a", "a", "b", "b"]


def test_cleaning_what_was_never_built_makes_nothing(project: Project) -> None:
    project.builder.clean()
    assert not project.state.exists()


def test_a_build_and_its_publishing_can_be_held_together(project: Project) -> None:
    project.write("a.txt", "one")
    with project.builder.hold():
        for text in ("one", "two"):
            project.write("a.txt", text)
            result = project.build([action("a", inputs={"x": "a.txt"})])
            assert project.text(result, "a") == f"(x={text})"
            assert project.builder.publish({"a": result.outputs["a"]["text"]}, Path("dist/p"))
    assert (project.root / "dist/p/a").read_text() == "(x=two)"


def test_the_state_may_lie_elsewhere(project: Project, tmp_path: Path) -> None:
    builder = type(project.builder)(project.root, tmp_path / "cache", environment=project.environment)
    result = builder.build([action("a")], ["a"], jobs=1)
    assert builder.output(result, "a", "text").is_relative_to(tmp_path / "cache")
    assert not project.state.exists()


SOURCES = ("s0", "s1", "s2")
NODES = 6
WORDS = st.sampled_from(["a", "A", "b", "BAD"])


class BuilderBesideAModel(RuleBasedStateMachine):
    """Random graphs, edits, damage and failures; a dictionary says what must come out and what must run."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.project = Project(Path(self.folder.name) / "project")
        self.memory: set[object] = set()  # what has run: (stage, name, text, inputs)
        self.damaged = False

    def teardown(self) -> None:
        self.folder.cleanup()

    @initialize(data=st.data())
    def draw_graph(self, data: st.DataObject) -> None:
        """Node i reads sources and nodes before it, some of them softly."""
        self.files = dict.fromkeys(SOURCES, "a")
        for name, text in self.files.items():
            self.project.write(name, text)
        self.nodes = []
        for index in range(NODES):
            before = [f"@n{earlier}" for earlier in range(index)]
            hard = data.draw(st.lists(st.sampled_from([*SOURCES, *before]), max_size=2, unique=True))
            soft = data.draw(st.lists(st.sampled_from(before), max_size=2, unique=True)) if before else []
            stage = data.draw(st.sampled_from(["join", "upper", "fail_if_bad"]))
            self.nodes.append({"stage": stage, "hard": hard, "soft": soft, "text": ""})

    @rule(name=st.sampled_from(SOURCES), text=WORDS)
    def edit_file(self, name: str, text: str) -> None:
        self.files[name] = text
        self.project.write(name, text)

    @rule(index=st.integers(0, NODES - 1), text=WORDS)
    def edit_parameter(self, index: int, text: str) -> None:
        self.nodes[index]["text"] = text

    @rule(choice=st.integers(0, 100), damage=st.sampled_from([b"", b"damaged", None]))
    def damage_state(self, choice: int, damage: bytes | None) -> None:
        """What is damaged may run again; what comes out must not change."""
        paths = self.project.records() + self.project.blobs()
        if paths:
            path = paths[choice % len(paths)]
            path.chmod(0o644)
            path.unlink() if damage is None else path.write_bytes(damage)
            self.damaged = True

    @rule(jobs=st.integers(1, 3), goal=st.none() | st.integers(0, NODES - 1))
    def build(self, jobs: int, goal: int | None) -> None:
        goals = [f"n{goal}"] if goal is not None else [f"n{index}" for index in range(NODES)]
        expected, must_run = self.expect(goals)
        result = self.project.build(self.actions(), goals, jobs=jobs, keep_going=True)
        for name, state in result.states.items():
            got = self.project.text(result, name) if state in ("run", "cached") else None
            assert got == expected[name], name
        ran = self.project.ran()
        assert len(ran) == len(set(ran))
        if not self.damaged:
            assert ran == sorted(must_run)
        assert self.project.build(self.actions(), goals, jobs=jobs, keep_going=True).counts["run"] == 0
        assert self.project.ran() == []

    @invariant()
    def nothing_half_done_lies_about(self) -> None:
        work = self.project.state / "work"
        assert not work.exists() or not any(work.iterdir())

    def actions(self) -> list[Action]:
        return [
            action(
                f"n{index}",
                node["stage"],
                parameters={"text": node["text"]},
                inputs={f"h{at}": source for at, source in enumerate(node["hard"])},
                soft={f"s{at}": source for at, source in enumerate(node["soft"])},
            )
            for index, node in enumerate(self.nodes)
        ]

    def expect(self, goals: list[str]) -> tuple[dict[str, str | None], set[str]]:
        """Name -> text, or None where it fails or is skipped; and the names that must run."""
        needed = self.needed(goals)
        texts: dict[str, str | None] = {}
        failures: dict[str, str] = {}
        roots: dict[str, str] = {}  # of a skipped node: the failure it goes back to
        must_run = set()
        for index, node in enumerate(self.nodes):
            name = f"n{index}"
            if name not in needed:
                continue
            inputs = {}
            causes = []
            for at, source in enumerate(node["hard"]):
                if source.startswith("@") and texts[source[1:]] is None:
                    causes.append(source[1:])
                inputs[f"h{at}"] = texts[source[1:]] if source.startswith("@") else self.files[source]
            if causes:
                cause = min(causes)
                root = roots.get(cause, cause)
                roots[name] = root
                texts[name] = None
                failures[name] = failure_text(name, "skipped", f"{name} was not built", f"{root} failed")
                continue
            for at, source in enumerate(node["soft"]):
                text = texts[source[1:]]
                inputs[f"s{at}" if text is not None else f"s{at}.failure"] = text or failures[source[1:]]
            joined = f"{node['text']}({','.join(f'{role}={inputs[role]}' for role in sorted(inputs))})"
            key = (node["stage"], name, node["text"], tuple(sorted(inputs.items())))
            if key not in self.memory:
                must_run.add(name)
            self.memory.add(key)
            texts[name] = {"join": joined, "upper": joined.upper(), "fail_if_bad": joined}[node["stage"]]
            if node["stage"] == "fail_if_bad" and "BAD" in joined:
                texts[name] = None
                failures[name] = failure_text(
                    name, "failed", "the data is bad", "a test", "data.txt:3", "repair it"
                )
        return texts, must_run

    def needed(self, goals: list[str]) -> set[str]:
        found: set[str] = set()
        waiting = list(goals)
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                node = self.nodes[int(name[1:])]
                waiting += [source[1:] for source in [*node["hard"], *node["soft"]] if source.startswith("@")]
        return found


def failure_text(name: str, state: str, what: str, why: str, where: str = "", advice: str = "") -> str:
    problem = {"advice": advice, "code": "", "what": what, "where": where, "why": why}
    content = {"action": name, "exit_code": 1, "problems": [problem], "state": state}
    return json.dumps(content, sort_keys=True, separators=(",", ":")) + "\n"


TestBuilderBesideAModel = BuilderBesideAModel.TestCase
TestBuilderBesideAModel.settings = settings(max_examples=30, stateful_step_count=10, deadline=None)
