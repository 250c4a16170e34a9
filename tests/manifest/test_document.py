"""YAML reading: places, refusals, bounds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelbuild.errors import ModelbuildError
from modelbuild.manifest import document
from modelbuild.manifest.tree import Items, Mapping, Scalar, find, place, to_plain


def texts(node: object) -> object:
    """Plain values with the text of each scalar."""
    if isinstance(node, dict):
        return {key: texts(value) for key, value in node.items()}
    if isinstance(node, list):
        return [texts(value) for value in node]
    return node.text if isinstance(node, Scalar) else node


def read(text: str) -> object:
    return texts(to_plain(document.parse(text, "m.yaml")))


def refused(text: str) -> tuple[str, str]:
    with pytest.raises(ModelbuildError) as caught:
        document.parse(text, "m.yaml")
    assert caught.value.exit_code == 2
    (problem,) = caught.value.problems
    return problem.where, problem.what


def test_every_scalar_keeps_its_text() -> None:
    text = "a: 0010\nb: 1.10\nc: 1e3\nd: yes\ne: 2026-01-02\nf: 12:30:45\ng: 0x1F\nh: 'it''s'\ni: 1_000\n"
    assert read(text) == {
        "a": "0010",
        "b": "1.10",
        "c": "1e3",
        "d": "yes",
        "e": "2026-01-02",
        "f": "12:30:45",
        "g": "0x1F",
        "h": "it's",
        "i": "1_000",
    }


def test_keys_are_text_too() -> None:
    assert read("yes: 1\n0010: 2\n1.0: 3\n") == {"yes": "1", "0010": "2", "1.0": "3"}


def test_places_of_keys_and_values() -> None:
    tree = document.parse(
        "modelbuild: 1\nmodels:\n  a:\n    source: x.onnx\n    list: [p, {q: r}]\n", "m.yaml"
    )
    assert str(place(tree, ("modelbuild",))) == "m.yaml:1:13"
    assert str(place(tree, ("models", "a", "source"))) == "m.yaml:4:13"
    assert str(place(tree, ("models", "a", "source"), of_key=True)) == "m.yaml:4:5"
    assert str(place(tree, ("models", "a", "list", 1, "q"))) == "m.yaml:5:19"
    assert str(place(tree, ("models", "a"))) == "m.yaml:3:3"
    assert str(place(tree, ("models", "a", "absent", "deeper"))) == "m.yaml:3:3"
    assert find(tree, ("models", "b")) is None


def test_columns_count_characters_not_bytes() -> None:
    tree = document.parse("{é𝄞: x, b: y}", "m.yaml")
    assert str(place(tree, ("b",))) == "m.yaml:1:12"


def test_crlf_and_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\nb:\r\n  c: 2\r\n")
    tree = document.read(path, "m.yaml")
    assert texts(to_plain(tree)) == {"a": "1", "b": {"c": "2"}}
    assert str(place(tree, ("b", "c"))) == "m.yaml:3:6"


def test_null_only_where_unquoted() -> None:
    assert read("a:\nb: ~\nc: null\nd: 'null'\ne: ''\n") == {
        "a": None,
        "b": None,
        "c": None,
        "d": "null",
        "e": "",
    }


def test_aliases_and_merge_keys() -> None:
    text = "base: &b {x: 1, y: 2}\none: {<<: *b, y: 3}\ntwo: {<<: [*b, {z: 4}]}\nsame: *b\n"
    assert read(text) == {
        "base": {"x": "1", "y": "2"},
        "one": {"x": "1", "y": "3"},
        "two": {"x": "1", "y": "2", "z": "4"},
        "same": {"x": "1", "y": "2"},
    }
    tree = document.parse(text, "m.yaml")
    assert str(place(tree, ("one", "x"))) == "m.yaml:1:14"


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("a: 1\na: 2\n", "m.yaml:2:1", "the key `a` stands here a second time"),
        ("a:\n  b: 1\n  c: 2\n  b: 3\n", "m.yaml:4:3", "the key `b` stands here a second time"),
        ("a:\n\tb: 1\n", "m.yaml:2:1", "a tab in the indentation"),
        ("a:\n  \tb: 1\n", "m.yaml:2:3", "a tab in the indentation"),
        ("", "m.yaml", "the manifest is empty"),
        ("# only a comment\n", "m.yaml", "the manifest is empty"),
        ("---\n", "m.yaml", "the manifest is empty"),
        ("- a\n", "m.yaml:1:1", "expected a mapping at the top of the manifest, found a list"),
        ("hello\n", "m.yaml:1:1", "expected a mapping at the top of the manifest, found a single value"),
        ("a: 1\n---\nb: 2\n", "m.yaml:2:1", "a second YAML document"),
        (
            "a: !!python/object:os.system x\n",
            "m.yaml:1:4",
            "the tag tag:yaml.org,2002:python/object:os.system",
        ),
        ("a: !!int 5\n", "m.yaml:1:4", "the tag tag:yaml.org,2002:int"),
        ("a: *nothing\n", "m.yaml:1:4", "the alias *nothing names nothing"),
        ("a: &x [*x]\n", "m.yaml:1:8", "the alias *x stands inside what it names"),
        ("? [a, b]\n: c\n", "m.yaml:1:3", "a key that is not plain text"),
        ("a: {<<: 5}\n", "m.yaml:1:9", "`<<` merges mappings, and this is none"),
        ("a: [1, 2\nb: 3\n", "m.yaml:2:2", "not valid YAML: did not find expected ',' or ']'"),
        ("a: 'open\n", "m.yaml:2:1", "not valid YAML: found unexpected end of stream"),
        ("a: b: c\n", "m.yaml:1:5", "not valid YAML: mapping values are not allowed in this context"),
    ],
)
def test_refusals(text: str, where: str, what: str) -> None:
    assert refused(text) == (where, what)


KEY = "c0ffee11deadbeefc0ffee11deadbeef"


@pytest.mark.parametrize(
    ("text", "what", "advice"),
    [
        (f"a: !{KEY} x\n", "a tag that looks like an encryption key", "manifests use no YAML tags"),
        (f"a: !!{KEY} x\n", "a tag that looks like an encryption key", "manifests use no YAML tags"),
        (f"a: !<0x{KEY.upper()}> x\n", "a tag that looks like an encryption key", "manifests use no"),
        (f"a: !env:{KEY}/1 [x]\n", "a tag that looks like an encryption key", "manifests use no"),
        (f"a: !{KEY}!b x\n", "not valid YAML: found undefined tag handle", "check indentation"),
        (f"%TAG !k! {KEY}\n---\na: !k!b x\n", "a tag that looks like an encryption key", "manifests use"),
        (f"a: *{KEY}\n", "an alias that looks like an encryption key names nothing", "define its anchor"),
        (f"a: &{KEY} [*{KEY}]\n", "an alias that looks like an encryption key stands inside", "write"),
        (f"{KEY}: 1\n{KEY}: 2\n", "a key that looks like an encryption key stands here a second", "keep"),
    ],
)
def test_what_may_be_a_key_is_not_shown(text: str, what: str, advice: str) -> None:
    with pytest.raises(ModelbuildError) as caught:
        document.parse(text, "m.yaml")
    (problem,) = caught.value.problems
    assert problem.what.startswith(what) and problem.advice.startswith(advice)
    assert KEY[:6] not in str(caught.value).lower()


def test_string_tag_makes_text() -> None:
    tree = document.parse("a: !!str null\n", "m.yaml")
    assert to_plain(tree) == {"a": Scalar("null", True, place(tree, ("a",)))}


def test_depth_is_bounded() -> None:
    for opening in ("[", "{a: ", "- " * 1):
        where, what = refused("a: " + opening * 100_000 if opening != "- " else "a:\n  " + "- " * 100_000)
        assert what == "nested more than 40 levels deep"
        assert where.startswith("m.yaml:")


def test_depth_through_aliases_is_bounded() -> None:
    lines = ["a0: &a0 [x]"] + [f"a{i}: &a{i} [*a{i - 1}]" for i in range(1, 100)]
    assert refused("\n".join(lines))[1] == "nested more than 40 levels deep"


def test_alias_bomb_is_bounded() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    assert refused("\n".join(lines))[1] == "more than 1,000,000 values after aliases are expanded"


def test_size_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_bytes(b"#" * (document.MAX_BYTES + 1))
    with pytest.raises(ModelbuildError, match="larger than 16 MiB"):
        document.read(path, "m.yaml")


def test_what_is_not_text(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_bytes(b"a: 1\nb: \xff\xfe\n")
    with pytest.raises(ModelbuildError) as caught:
        document.read(path, "m.yaml")
    assert [(p.where, p.what, p.why) for p in caught.value.problems] == [
        ("m.yaml:2", "not UTF-8 text", "byte 8 is 0xff")
    ]


def test_control_characters(tmp_path: Path) -> None:
    where, what = refused("a: 1\nb: x\x00y\n")
    assert (where, what) == ("m.yaml:2:5", "not valid YAML: control characters are not allowed")


def test_missing_file_and_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(ModelbuildError, match="cannot read the manifest"):
            document.read(path, path.name)


def test_a_missing_manifest_that_a_folder_above_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    below = tmp_path / "img/raw"
    below.mkdir(parents=True)
    (tmp_path / "models.yaml").write_text("modelbuild: 1\n")
    monkeypatch.chdir(below)
    with pytest.raises(ModelbuildError) as caught:
        document.read(Path("models.yaml"), "models.yaml")
    assert caught.value.problems[0].advice == "there is one in ../..: -C ../.."


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: 1\n<<<<<<< HEAD\nb: 2\n=======\nb: 3\n>>>>>>> theirs\n", 2),
        ("<<<<<<< HEAD\r\nb: 2\r\n=======\r\nb: 3\r\n>>>>>>> theirs\r\n", 1),
        ("m:\n  a: 1\n  c:\n<<<<<<< HEAD\n    b: 2\n=======\n    b: 3\n>>>>>>> theirs\nd: 4\n", 4),
    ],
)
def test_a_merge_that_is_not_finished_is_told_by_its_first_mark(text: str, line: int) -> None:
    assert refused(text) == (f"m.yaml:{line}", "the marks of a merge conflict")


def test_marks_inside_of_a_text_are_text() -> None:
    assert read("a: |\n  <<<<<<< HEAD\n") == {"a": "<<<<<<< HEAD\n"}


values = st.recursive(
    st.text(st.characters(exclude_categories=["C", "Zl", "Zp"])),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abcdef", min_size=1), inner, max_size=4)
    ),
    max_leaves=15,
)


@given(st.dictionaries(st.text("abcdef", min_size=1), values, max_size=4))
def test_json_is_read_as_it_is(value: dict[str, object]) -> None:
    assert read(json.dumps(value, ensure_ascii=False)) == value


@settings(deadline=None)
@given(st.text("abc:-?[]{},&*!|>'\"%@`#~<= \n\t\r0.\\\x00é\u2028\ufeff", max_size=60))
def test_garbage_is_read_or_refused(text: str) -> None:
    try:
        node = document.parse_node(text, "m.yaml")
    except ModelbuildError as error:
        assert error.exit_code == 2
        assert all(problem.where.startswith("m.yaml") for problem in error.problems)
    else:
        assert isinstance(node, Scalar | Items | Mapping)
