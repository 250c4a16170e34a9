"""docs/command-line.md says what the command does: its options, its JSON objects, its example."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelbuild.cli import grammar
from modelbuild.cli.main import VERBS
from tests.cli.conftest import Command
from tests.cli.exported_model import SHAPE, numbers

REPOSITORY = Path(__file__).resolve().parent.parent.parent
PAGE = (REPOSITORY / "docs/command-line.md").read_text(encoding="utf-8")
SECTIONS = {
    verb: section
    for section in re.split(r"^#+ (?=[a-z, ]+$)", PAGE, flags=re.M)
    for verb in re.split(r", | ", section.partition("\n")[0])
}


def options(verb: str) -> Iterator[argparse.Action]:
    """The verb's own: `schema` has those of every verb alone."""
    shared = {name for action in grammar.parser("schema", VERBS)._actions for name in action.option_strings}
    for action in grammar.parser(verb, VERBS)._actions:
        hidden = action.help == argparse.SUPPRESS  # what the scripts ask
        if action.option_strings and not hidden and action.option_strings[0] not in shared:
            yield action


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_is_in_the_section_of_its_verb(verb: str) -> None:
    section = SECTIONS[verb]
    if verb == "watch":  # `[options of build]`
        section += SECTIONS["build"]
    if verb == "compare":  # what run has, too
        section += SECTIONS["run"]
    missing = [
        action.option_strings
        for action in options(verb)
        if not any(name in section for name in action.option_strings)
    ]
    assert missing == []


def test_no_section_has_an_option_that_is_not_there() -> None:
    known = {
        name
        for verb in VERBS
        for action in grammar.parser(verb, VERBS)._actions
        for name in action.option_strings
    }
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", PAGE))
    assert named - known <= {"--version"}


Form = dict[str, Any] | list[Any] | str | None


def form(text: str) -> Form:
    """`{a, b: [{c}], d: {e: f}}` as the keys that it promises; what is behind a key is its word, or None."""
    found, rest = _value(text)
    assert not rest.strip(), rest
    return found


def _value(text: str) -> tuple[Form, str]:
    text = text.lstrip()
    if text.startswith("["):
        inner, rest = _value(text[1:])
        return [inner], rest.partition("]")[2]
    if not text.startswith("{"):
        word = re.match(r"[^,{}\[\]]*", text)
        assert word is not None
        return word[0], text[word.end() :]
    keys: dict[str, Any] = {}
    text = text[1:]
    while True:
        name = re.match(r"\s*([\w…@ ]+?)\s*(?=[,:}])", text)
        assert name is not None, text
        text = text[name.end() :]
        value: Form = None
        if text.startswith(":"):
            value, text = _value(text[1:])
            text = re.sub(r"^ or null", "", text)
        keys[name[1]] = value
        if text.startswith("}"):
            return keys, text[1:]
        text = text[1:]


def holds(data: Any, promised: Form, where: str = "") -> list[str]:
    """The promised keys that the object lacks."""
    if promised is None or isinstance(promised, str) or data is None:
        return []
    if isinstance(promised, list):
        assert isinstance(data, list), where
        return [lack for item in data for lack in holds(item, promised[0], f"{where}[]")]
    named = {key: value for key, value in promised.items() if key != "…"}
    value = next(iter(named.values()))
    if len(named) == 1 and value is not None:  # {output: dB}: a mapping by names
        return [lack for item in data.values() for lack in holds(item, value, f"{where}.*")]
    assert isinstance(data, dict), where
    lacks = [f"{where}.{key}" for key in named if key not in data]
    return lacks + [
        lack
        for key, value in named.items()
        if key in data
        for lack in holds(data[key], value, f"{where}.{key}")
    ]


def promised(verb: str) -> Form:
    found = re.search(r"JSON: `(\{.*?\})`", SECTIONS[verb])
    assert found is not None
    return form(found[1])


def test_the_reader_of_forms() -> None:
    assert form("{a, b: [{c}] or null, d: {e: f}, …}") == {
        "a": None,
        "b": [{"c": None}],
        "d": {"e": "f"},
        "…": None,
    }
    assert holds({"a": 1, "b": [{"x": 1}]}, form("{a, b: [{c}], d}")) == [".d", ".b[].c"]


ON_A_FILE = {
    "convert": "net.onnx -o out.onnx --chip kl520 --tail auto --paranoid",
    "evaluate": "net.onnx --chip kl720",
    "run": "net.onnx --input x.npy",
    "compare": "net.onnx net.onnx --input x.npy",
    "inspect": "net.onnx",
    "diff": "net.onnx net.onnx",
}
ON_A_PROJECT = {
    "build": "",
    "status": "",
    "check": "",
    "graph": "--format json",
}


@pytest.mark.parametrize("verb", ON_A_FILE)
def test_objects_of_files_have_what_the_page_promises(verb: str, folder: Path, command: Command) -> None:
    np.save(folder / "x.npy", numbers(*SHAPE))
    said = command(folder, verb, *ON_A_FILE[verb].split(), "--json")
    assert said.code == 0, said.err
    assert holds(said.json, promised(verb)) == []


@pytest.mark.parametrize("verb", ON_A_PROJECT)
def test_objects_of_projects_have_what_the_page_promises(verb: str, small: Path, command: Command) -> None:
    said = command(small, verb, *ON_A_PROJECT[verb].split(), "--json")
    assert said.code == 0, said.err
    assert holds(said.json, promised(verb)) == []


def test_the_example_of_convert_is_what_it_prints(
    shared_data: Path, tmp_path: Path, command: Command
) -> None:
    """Numbers of differences depend on the processor; what they are told of does not."""
    shown = SECTIONS["convert"].split("```")[1].strip().splitlines()
    (tmp_path / "ultraface.onnx").symlink_to(shared_data / "models/onnx/ultraface_rfb_320.onnx")
    assert shown[0].startswith("$ modelbuild ") and shown[-1] == "…"
    said = command(tmp_path, *shown[0].removeprefix("$ modelbuild ").split())
    assert said.code == 0, said.err

    def measured(line: str) -> str:
        return re.sub(r"differs by [0-9.e-]+", "differs by X", line).replace(f"{tmp_path}/", "")

    assert [*map(measured, shown[1:-1])] == [*map(measured, said.lines)][: len(shown) - 2]
