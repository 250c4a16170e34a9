"""The exception type: what it says, how it crosses a process, and which name it thinks was meant."""

from __future__ import annotations

import json

import pytest

from modelbuild.errors import EXIT_FAILED, ModelbuildError, Problem, did_you_mean


def test_a_problem_says_what_where_why_and_what_to_do() -> None:
    problem = Problem("no such chip", "models.yaml:3:7", "it has no recipe", "take another", "MB999")
    assert str(problem).splitlines() == [
        "models.yaml:3:7: no such chip [MB999]",
        "  why: it has no recipe",
        "  do:  take another",
    ]
    assert str(Problem("broken")) == "broken"


def test_several_problems_are_one_error() -> None:
    error = ModelbuildError.of([Problem("a"), Problem("b", "f:1:1")], EXIT_FAILED)
    assert str(error) == "a\nf:1:1: b" and error.exit_code == 1


def test_it_crosses_a_process_as_json() -> None:
    error = ModelbuildError("a", where="x", why="y", advice="z", code="MB1", exit_code=EXIT_FAILED)
    again = ModelbuildError.from_json(json.loads(json.dumps(error.to_json())))
    assert again.problems == error.problems and again.exit_code == 1


@pytest.mark.parametrize(
    ("word", "meant"),
    [("kl702", "kl720"), ("KL72O", "kl720"), ("modalx", "modalix"), ("kl73", "kl730"), ("zebra", None)],
)
def test_the_nearest_name(word: str, meant: str | None) -> None:
    known = ["kl520", "kl530", "kl630", "kl720", "kl730", "modalix"]
    assert did_you_mean(word, known) == (f"did you mean `{meant}`?" if meant else "")


@pytest.mark.parametrize(
    ("what", "where", "said"),
    [
        ("empty.nef is empty", "empty.nef", "empty.nef is empty"),
        ("empty.nef is empty", "deep/empty.nef", "deep/empty.nef is empty"),
        ("my file.nef is empty", "deep/my file.nef", "deep/my file.nef is empty"),
        ("x.nef is a folder", "-o deep/x.nef", "-o deep/x.nef is a folder"),
        ("a.nef is empty", "aa.nef", "aa.nef: a.nef is empty"),
        ("checksums do not agree", "a.nef", "a.nef: checksums do not agree"),
    ],
)
def test_a_file_is_named_once(what: str, where: str, said: str) -> None:
    assert str(Problem(what, where)) == said
