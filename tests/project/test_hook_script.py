"""The text of a hook: what it says of itself, and what sh makes of it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.project.hook_script import HOOKS, KEPT, ProjectLine, Script, merged, parse, with_projects

LINE = ProjectLine("a folder", "models.yaml")


def executable(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return path


@pytest.fixture
def hooks(tmp_path: Path) -> Path:
    """A hooks folder, in a folder with a space, beside a stand-in that tells its arguments."""
    folder = tmp_path / "my hooks"
    folder.mkdir()
    executable(
        tmp_path / "stand in",
        f"#!/bin/sh\n(for word; do echo \"<$word>\"; done; cat) > '{tmp_path}/called'\nexit ${{CODE:-0}}\n",
    )
    return folder


def install(hooks: Path, hook: str, command: str = "stand in") -> Path:
    script = Script(hook, (LINE,), (str(hooks.parent / command),))
    return executable(hooks / hook, script.text)


def call(hook: Path, *arguments: str, stdin: str = "", **environment: str) -> tuple[int, str]:
    done = subprocess.run(
        [str(hook), *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", **environment},
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def called(hooks: Path) -> list[str] | None:
    """The words and the standard input that modelbuild got, if it was called."""
    path = hooks.parent / "called"
    return path.read_text().splitlines() if path.exists() else None


names = st.text(st.characters(exclude_categories=("Cs",)), min_size=1)
lines = st.builds(ProjectLine, folder=names, file=names, repository=st.just("") | names)


@given(st.sampled_from(HOOKS), st.lists(lines, unique=True), st.lists(names, max_size=3))
def test_what_is_written_is_read(hook: str, projects: list[ProjectLine], command: list[str]) -> None:
    script = Script(hook, tuple(projects), tuple(command))
    assert parse(hook, script.text) == script


@given(st.lists(lines, unique=True), st.lists(lines, unique=True, min_size=1))
def test_projects_are_exchanged_and_all_else_stays(old: list[ProjectLine], new: list[ProjectLine]) -> None:
    text = Script("pre-commit", tuple(old), ("x",)).text + "echo my own line\n"
    changed = with_projects(text, new)
    script = parse("pre-commit", changed)
    assert script is not None and script.projects == tuple(new)
    assert with_projects(changed, []) == with_projects(text, [])


def test_other_hooks_are_not_ours() -> None:
    assert parse("pre-commit", "#!/bin/sh\nmodelbuild check\n") is None


def test_merging_keeps_an_order_and_each_project_once() -> None:
    other = ProjectLine("b", "models.yaml")
    assert merged(merged((other,), LINE), LINE) == merged((LINE,), other) == (LINE, other)


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_sh(hook: str) -> None:
    done = subprocess.run(["sh", "-n"], input=Script(hook, (LINE,), ("a'b",)).text, text=True, check=False)
    assert done.returncode == 0


def test_modelbuild_gets_the_hook_its_script_and_gits_words(hooks: Path) -> None:
    hook = install(hooks, "pre-push")
    assert call(hook, "origin", "a b", stdin="refs 1\nrefs 2\n") == (0, "")
    words = ["<hooks>", "<run>", "<pre-push>", f"<{hook}>", "<-->", "<origin>", "<a b>"]
    assert called(hooks) == [*words, "refs 1", "refs 2"]


def test_its_exit_code_counts_before_and_not_after(hooks: Path) -> None:
    assert call(install(hooks, "pre-commit"), CODE="2")[0] == 2
    assert call(install(hooks, "pre-push"), CODE="1")[0] == 1
    assert call(install(hooks, "post-merge"), CODE="2")[0] == 0


@pytest.mark.parametrize(
    ("hook", "arguments", "wanted"),
    [
        ("post-checkout", ["1", "2", "1"], True),
        ("post-checkout", ["1", "2", "0"], False),  # of single files
        ("post-rewrite", ["rebase"], True),
        ("post-rewrite", ["amend"], False),
        ("post-merge", ["0"], True),
    ],
)
def test_modelbuild_is_called_only_where_files_may_have_changed(
    hooks: Path, hook: str, arguments: list[str], wanted: bool
) -> None:
    call(install(hooks, hook), *arguments)
    assert (called(hooks) is not None) == wanted


SHELLS = ["/bin/sh", "/usr/bin/env sh", "/bin/bash", "/usr/bin/env bash", "/bin/dash", " /usr/bin/bash"]
STRICT = ["/bin/sh -e", "/usr/bin/env -S bash -e", "/bin/bash -eC"]


@pytest.mark.parametrize("shebang", SHELLS + STRICT)
def test_an_earlier_hook_runs_first_with_all_it_had(hooks: Path, shebang: str) -> None:
    told = hooks.parent / "told"
    own_name = f"'{hooks.parent}/told'"
    executable(
        hooks / f"pre-push{KEPT}",
        f'#!{shebang}\n(echo "$0 [$1] [$2] $#"; cat) > {own_name}\n[ -z "$STOP" ] || exit 7\n',
    )
    hook = install(hooks, "pre-push")
    assert call(hook, "a b", "", stdin="line\n")[0] == 0
    name, rest = told.read_text().split(" [", 1)
    assert rest == "a b] [] 2\nline\n"
    assert called(hooks) is not None
    assert name == str(hook)  # a hook of husky's finds its own by the name in $0


@pytest.mark.parametrize("shebang", STRICT)
def test_the_options_of_an_earlier_hooks_shell_are_kept(hooks: Path, shebang: str) -> None:
    executable(hooks / f"pre-commit{KEPT}", f"#!{shebang}\n(exit 7)\nexit 0\n")
    assert call(install(hooks, "pre-commit"))[0] == 7


def test_a_refusal_of_the_earlier_hook_is_the_refusal(hooks: Path) -> None:
    executable(hooks / f"pre-commit{KEPT}", "#!/bin/sh\nexit 7\n")
    assert call(install(hooks, "pre-commit"))[0] == 7
    assert called(hooks) is None


def test_after_a_checkout_the_earlier_exit_code_stays_and_both_run(hooks: Path) -> None:
    executable(hooks / f"post-checkout{KEPT}", "#!/bin/sh\nexit 7\n")
    hook = install(hooks, "post-checkout")
    assert call(hook, "1", "2", "0")[0] == 7 and called(hooks) is None
    assert call(hook, "1", "2", "1")[0] == 7 and called(hooks) is not None


def test_an_earlier_hook_of_any_language(hooks: Path) -> None:
    executable(hooks / f"pre-commit{KEPT}", "#!/usr/bin/env -S awk -f\nBEGIN { exit 5 }\n")
    assert call(install(hooks, "pre-commit"))[0] == 5


def test_an_earlier_hook_that_git_would_not_run_is_not_run(hooks: Path) -> None:
    (hooks / f"pre-commit{KEPT}").write_text("#!/bin/sh\nexit 7\n")
    assert call(install(hooks, "pre-commit"))[0] == 0


@pytest.mark.parametrize("hook", HOOKS)
def test_without_modelbuild_the_hook_says_so_and_stops_nothing(hooks: Path, hook: str) -> None:
    code, said = call(install(hooks, hook, command="gone"), "rebase", "2", "1")
    assert code == 0
    assert (
        said
        == f"modelbuild is not found, so the {hook} hook did nothing; install it, or remove {hooks / hook}\n"
    )


def test_a_command_whose_interpreter_is_gone_is_not_found_either(hooks: Path) -> None:
    executable(hooks.parent / "broken", "#!/no/such/python\n")
    code, said = call(install(hooks, "pre-commit", command="broken"))
    assert code == 0 and "modelbuild is not found" in said


def test_by_the_path_where_the_known_place_is_empty(hooks: Path) -> None:
    (hooks.parent / "bin").mkdir()
    executable(hooks.parent / "bin/modelbuild", "#!/bin/sh\nexit 9\n")
    hook = install(hooks, "pre-commit", command="gone")
    assert call(hook, PATH=f"{hooks.parent}/bin:/usr/bin:/bin")[0] == 9
