"""What last builds rest on: kept over builds of parts, torn lines and damage."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelbuild.build import roots
from modelbuild.build.roots import About
from modelbuild.errors import ModelbuildError
from tests.build.store_harness import Checkout, key_of


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path / "checkout")


def noted(checkout: Checkout, request: str = "all") -> roots.Root:
    return roots.read_all(checkout.folder)[checkout.folder / "roots" / request]


def test_the_same_build_writes_nothing(checkout: Checkout) -> None:
    checkout.note("all", {"a": "1", "b": "2"})
    path = checkout.folder / "roots/all"
    before = path.stat()
    checkout.note("all", {"a": "1", "b": "2"})
    assert path.stat() == before


def test_what_a_build_did_not_come_to_stays_and_what_it_does_not_have_goes(checkout: Checkout) -> None:
    checkout.note("all", {"a": "1", "b": "2", "c": "3"})
    about = noted(checkout).about
    roots.note(checkout.folder, checkout.state.scratch, "all", about, {"a": [key_of("4")]}, ["a", "b"])
    found = noted(checkout)
    assert found.keys == {"a": [key_of("4")], "b": [key_of("2")]}
    assert found.retired.keys() == {key_of("1"), key_of("3")}


def test_a_build_of_few_actions_adds_a_line(checkout: Checkout) -> None:
    checkout.note("all", {"a": "1", "b": "2"})
    path = checkout.folder / "roots/all"
    before = path.read_bytes()
    roots.note_again(checkout.folder, checkout.state.scratch, "all", {"a": [key_of("3")]})
    assert path.read_bytes().startswith(before)
    assert noted(checkout).keys == {"a": [key_of("3")], "b": [key_of("2")]}
    assert noted(checkout).retired.keys() == {key_of("1")}
    checkout.note("all", {"a": "1", "b": "2"})  # it came back
    assert noted(checkout).retired.keys() == {key_of("3")}


def test_a_few_actions_of_what_was_never_noted_are_not(checkout: Checkout) -> None:
    roots.note_again(checkout.folder, checkout.state.scratch, "all", {"a": [key_of("3")]})
    assert roots.read_all(checkout.folder) == {}


def test_cut_off_at_any_byte_of_the_last_line_the_rest_is_known(checkout: Checkout) -> None:
    checkout.note("all", {"a": "1"})
    path = checkout.folder / "roots/all"
    whole = len(path.read_bytes())
    roots.note_again(checkout.folder, checkout.state.scratch, "all", {"a": [key_of("2")]})
    data = path.read_bytes()
    for length in range(whole, len(data)):
        path.write_bytes(data[:length])
        expected = "2" if length == len(data) - 1 else "1"  # only the end of the line is missing
        assert noted(checkout).keys == {"a": [key_of(expected)]}, length
        roots.note_again(checkout.folder, checkout.state.scratch, "all", {"b": [key_of("3")]})
        assert noted(checkout).keys == {"a": [key_of(expected)], "b": [key_of("3")]}
        roots.check(checkout.folder)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_flipped_bit_before_the_last_line_is_not_passed_over(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    checkout = Checkout(tmp_path_factory.mktemp("flipped"))
    checkout.note("all", {"a": "1"})
    roots.note_again(checkout.folder, checkout.state.scratch, "all", {"a": [key_of("2")]})
    path = checkout.folder / "roots/all"
    content = bytearray(path.read_bytes())
    last = bytes(content).rstrip(b"\n").rfind(b"\n")
    content[data.draw(st.integers(0, last))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(bytes(content))
    assert roots.read_all(checkout.folder) == {}
    with pytest.raises(ModelbuildError, match="does not tell what a last build rests on"):
        roots.check(checkout.folder)


def test_a_manifest_that_is_gone_or_edited(checkout: Checkout) -> None:
    checkout.note("all", {"a": "1"})
    checkout.note("part", {"a": "2"}, whole=False)
    assert noted(checkout).about.is_live(checkout.root) and noted(checkout, "part").about.is_live(
        checkout.root
    )
    checkout.write("manifest", "second")
    assert noted(checkout).about.is_live(checkout.root)
    assert not noted(checkout, "part").about.is_live(checkout.root)
    checkout.write("manifest", "first")
    assert noted(checkout, "part").about.is_live(checkout.root)
    (checkout.root / "manifest").unlink()
    assert not noted(checkout).about.is_live(checkout.root)


def test_an_installation_that_is_gone(checkout: Checkout, tmp_path: Path) -> None:
    python = tmp_path / "venv"
    python.mkdir()
    about = About("manifest", {}, True, str(python))
    assert about.is_live(checkout.root)
    shutil.rmtree(python)
    assert not about.is_live(checkout.root)
    assert About("manifest", {}, True).python == sys.prefix
