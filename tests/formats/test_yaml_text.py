"""YAML within bounds: plain values as PyYAML's safe loader has them, and no objects."""

from __future__ import annotations

import math
import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.errors import ModelbuildError
from modelbuild.formats import yaml_text

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**17), 10**17) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)


@given(VALUES)
def test_what_pyyaml_writes_is_read_as_it_reads_it(value: object) -> None:
    text = yaml.safe_dump(value)
    assert yaml_text.load(text.encode(), "x").documents == (yaml.safe_load(text),)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", True),
        ("'yes'", "yes"),
        ("~", None),
        ("12", 12),
        ("-12", -12),
        ("012", "012"),
        ("1_000", "1_000"),
        ("9" * 30, "9" * 30),
        ("1.5e+3", 1500.0),
        ("-.5", -0.5),
        ("1e5", "1e5"),
        ("!!int 12", 12),
        ("!!str 12", "12"),
        ("-.inf", -math.inf),
        ("{1: a, true: b}", {"1": "a", "True": "b"}),
    ],
)
def test_scalars(text: str, value: object) -> None:
    assert yaml_text.load(text.encode(), "x").documents == (value,)


def test_streams_of_several_documents() -> None:
    assert yaml_text.load(b"--- a\n--- [b]\n", "x").documents == ("a", ["b"])
    assert yaml_text.load(b"", "x").documents == ()


def test_aliases_are_the_same_object() -> None:
    found = yaml_text.load(b"- &a {k: v}\n- *a\n- *a\n", "x")
    [items] = found.documents
    assert isinstance(items, list) and items[0] is items[1] is items[2]
    assert (found.aliases, found.nodes) == (2, 10)


def test_tags_make_no_objects() -> None:
    found = yaml_text.load(b"[!!python/tuple [1], !!python/object/apply:os.system [ls], !mine x]", "x")
    assert found.documents == ([[1], ["ls"], "x"],)
    assert found.tags == {
        "!mine": 1,
        "tag:yaml.org,2002:python/object/apply:os.system": 1,
        "tag:yaml.org,2002:python/tuple": 1,
    }


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"a: 1\na: 2\n", "comes twice"),
        (b"{1: a, '1': b}", "comes twice"),
        (b"? [a]\n: b\n", "a key is a collection"),
        (b"&a [*a]", "no anchor before it"),
        (b"*a", "no anchor|undefined alias"),
        (b"--- &a b\n--- *a\n", "no anchor|undefined alias"),
        (b"[" * 65 + b"]" * 65, "deeper than 64"),
        (b"[a", ""),
        (b"\xff", "decode"),
        (b"[" + b"a," * 400_000 + b"]", "more than 300000 events"),
        (
            b"- &a [x, x]\n"
            + b"".join(
                b"- &b%d [*%s, *%s]\n" % (n, p, p)
                for n, p in ((n, b"a" if not n else b"b%d" % (n - 1)) for n in range(40))
            ),
            "aliases unfold",
        ),
    ],
)
def test_anything_else_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(ModelbuildError, match="x is not YAML") as caught:
        yaml_text.load(data, "x")
    assert re.search(why, caught.value.problems[0].why)
    assert caught.value.exit_code == 2


def test_errors_are_one_line_with_a_place() -> None:
    with pytest.raises(ModelbuildError) as caught:
        yaml_text.load(b"a: 1\nb: [1, 2\nc: 3\n", "x")
    why = caught.value.problems[0].why
    assert why.startswith("line 3, column 2: ") and "\n" not in why and "unicode string" not in why


def test_a_huge_document_is_refused() -> None:
    with pytest.raises(ModelbuildError, match="not YAML"):
        yaml_text.load(b" " * ((64 << 20) + 1), "x")
