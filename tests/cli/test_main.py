"""The command's frame: verbs, common options, exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from modelbuild import __version__
from modelbuild.cli.main import VERBS, main


def test_every_verb_has_its_module_and_every_module_its_verb() -> None:
    folder = Path(sys.modules["modelbuild.cli.main"].__file__ or "").parent
    modules = {path.stem: path.read_text(encoding="utf-8") for path in folder.glob("*.py")}
    with_grammar = {name for name, text in modules.items() if "\ndef run(options: argparse" in text}
    assert set(VERBS) == with_grammar


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_takes_the_common_options(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([verb, "--help"])
    assert left.value.code == 0
    text = capsys.readouterr().out
    for option in ("-C DIR", "-f FILE", "--json", "-q", "-v", "--color", "--debug"):
        assert option in text


def test_version_help_and_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == f"modelbuild {__version__}"
    assert main(["--help"]) == 0
    listed = capsys.readouterr().out
    assert all(f"  {verb}" in listed for verb in VERBS)
    assert main([]) == 2
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("words", "same"),
    [
        (["help"], ["--help"]),
        (["help", "build"], ["build", "--help"]),
        (["-q", "help", "ptq"], ["--help", "ptq"]),
    ],
)
def test_help_is_a_word_too(words: list[str], same: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    def said(words: list[str]) -> tuple[object, str]:
        try:
            code: object = main(words)
        except SystemExit as ended:
            code = ended.code
        return code, capsys.readouterr().out

    assert said(words) == said(same) and said(words)[1]


def test_options_may_stand_before_the_verb(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-C", str(tmp_path), "--json", "chips"]) == 0
    assert "chips" in json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["chps"], "did you mean `chips`"),
        (["chips", "--nonsense"], "--nonsense"),
        (["build", "-C", "/nonexistent/folder"], "is not a folder"),
        (["build", "-j", "0"], "-j 0"),
        (["build", "-j", "many"], "many"),
        (["config"], "MODEL@TARGET"),
    ],
)
def test_wrong_arguments(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    captured = capsys.readouterr()
    assert says in captured.err and captured.out == "" and "Traceback" not in captured.err


def test_no_manifest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", "-C", str(tmp_path)]) == 2
    assert "models.yaml" in capsys.readouterr().err


@pytest.mark.parametrize("color", ["always", "never"])
def test_colour_is_asked_for_or_not(color: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["build", "-C", str(tmp_path), "--color", color])
    assert ("\x1b[" in capsys.readouterr().err) == (color == "always")


def test_an_internal_error_is_told_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("modelbuild.cli.chips.run", lambda options: 1 / 0)
    assert main(["chips"]) == 1
    err = capsys.readouterr().err
    assert "ZeroDivisionError" in err and "Traceback" not in err
    assert main(["chips", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


def called(call: str, stdout: int) -> tuple[int, str]:
    """The exit code and standard error of the command with this standard output."""
    words = [sys.executable, "-m", "modelbuild", *call.split()]
    done = subprocess.run(words, stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=120, check=False)
    return done.returncode, done.stderr


CALLS = ("schema", "chips --json", "--help", "build --help", "--help ptq")


@pytest.mark.parametrize("call", CALLS)
def test_a_reader_that_has_gone_is_no_error_message(call: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        assert called(call, writer) == (141, "")
    finally:
        os.close(writer)


@pytest.mark.parametrize("call", CALLS)
def test_a_full_disk_under_standard_output_is_told(call: str) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        code, err = called(call, full)
    finally:
        os.close(full)
    assert code == 1 and err.count("error:") == 1 and "Traceback" not in err and "Exception" not in err
    assert "standard output: the result could not be written" in err and "No space left on device" in err


def test_an_interruption_is_an_object_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def interrupted(*given: object, **named: object) -> None:
        raise KeyboardInterrupt

    (tmp_path / "models.yaml").write_text("modelbuild: 1\n")
    monkeypatch.setattr("modelbuild.api.open_project", interrupted)
    assert main(["build", "--json", "-C", str(tmp_path)]) == 130
    captured = capsys.readouterr()
    data = json.loads(captured.out)
    assert data["ok"] is False and data["failures"] == [{"action": "", "message": "interrupted"}]
    assert captured.err.startswith("interrupted") and captured.err.count("\n") == 1
    assert main(["status", "--json", "-C", str(tmp_path)]) == 130
    assert json.loads(capsys.readouterr().out)["error"]["exit_code"] == 130


def test_options_of_a_build_reach_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from modelbuild.cli import building
    from modelbuild.project.options import BuildOptions

    found: list[BuildOptions] = []
    monkeypatch.setattr(building, "build", lambda options, chosen, origin: found.append(chosen) or 0)
    words = ["build", "-C", str(tmp_path), "-v"]
    assert main(words) == 0
    assert main([*words, "-j", "3", "--memory", "2G", "--until", "observe", "-k", "-n", "--retry"]) == 0
    assert main([*words, "--offline", "--locked", "--remeasure"]) == 0
    assert found == [
        BuildOptions(),
        BuildOptions(3, 2 << 30, "observe", keep_going=True, dry_run=True, retry=True),
        BuildOptions(offline=True, locked=True, remeasure=True),
    ]
    assert main(["build", "--memory", "much", "-C", str(tmp_path)]) == 2
    assert "'much' is no amount of memory" in capsys.readouterr().err
