"""Users' functions: what they are given, what they may return, and how their faults are told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.artifacts import values
from modelbuild.artifacts.comparing_results import Results
from modelbuild.artifacts.postprocess import Postprocess
from modelbuild.artifacts.running import RunResult, save
from modelbuild.artifacts.user_function import parted
from modelbuild.errors import ModelbuildError

CODE = """\
import os
import sys
from beside import LIMIT
from lib.more import doubled

COUNT = 0


def decode(outputs):
    print("said")
    global COUNT
    COUNT += 1
    return {"y": doubled(outputs["y"]), "count": COUNT, "limit": LIMIT}


def odd(outputs):
    return {"a": [1, {2, 3}]}


def stops(outputs):
    sys.exit("enough")


def dies(outputs):
    os._exit(7)


def deep(outputs):
    return doubled(None)
"""
SHADOW = """\
import os
import sys
import threading

import onnx


def decode(outputs):
    import other

    return {"onnx": onnx.WHOSE, "same": other.post is sys.modules[__name__], "name": __name__}


def dies_then_more(outputs):
    threading.Timer(0, os._exit, (3,)).start()
    threading.Event().wait()
"""
Y = np.arange(3, dtype=np.float32)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("project")
    for name, text in {
        "shadow/post.py": SHADOW,
        "shadow/onnx.py": "WHOSE = 'mine'\n",
        "shadow/difflib.py": "raise RuntimeError('a test script of mine')\n",
        "shadow/linecache.py": "raise RuntimeError('another')\n",
        "shadow/other.py": "import post\n",
        "whole/part/__init__.py": "",
        "whole/part/post.py": "from .limits import LIMIT\n\n\ndef decode(outputs):\n    return LIMIT\n",
        "whole/part/limits.py": "LIMIT = 0.25\n",
        "json.py": "def decode(outputs):\n    return 'a file called as a module of Python'\n",
        "my-post.py": "def decode(outputs):\n    return 'no identifier'\n",
        "tools/post.py": CODE,
        "tools/beside.py": "LIMIT = 0.5\n",
        "tools/broken.py": "def decode(outputs):\n    return (\n",
        "lib/more.py": "def doubled(value):\n    return value * 2\n",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


def fault(project: Path, spec: str) -> str:
    with Postprocess(spec, project) as post, pytest.raises(ModelbuildError) as caught:
        post({"y": Y}, {})
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_one_process_serves_all_samples(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with Postprocess("tools/post.py:decode", project) as post:
        first, second = post({"y": Y}, {}), post({"y": Y + 1}, {})
    assert np.array_equal(first["y"], Y * 2) and np.array_equal(second["y"], (Y + 1) * 2)
    assert (first["count"], second["count"], first["limit"]) == (1, 2, 0.5)
    printed = capfd.readouterr()
    assert (printed.out, printed.err.split()) == ("", ["said", "said"])


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("odd", "['a'][1] is a set, neither JSON"),
        ("stops", "tools/post.py:21: postprocess tools/post.py:stops: SystemExit: enough"),
        ("dies", "the process of the postprocessing tools/post.py:dies ended with code 7"),
        ("deep", "lib/more.py:2: postprocess tools/post.py:deep: TypeError"),
        ("deep", "do:  correct it; the outputs that it was given are `y` [3]"),
        ("decod", "it defines no function `decod`"),
        ("COUNT", "it defines no function `COUNT`"),
    ],
)
def test_faults_are_told_by_the_users_own_line(project: Path, function: str, words: str) -> None:
    told = fault(project, f"tools/post.py:{function}")
    assert words in told
    assert "modelbuild/artifacts" not in told


def test_a_file_that_is_not_python(project: Path) -> None:
    assert "tools/broken.py:2: postprocess tools/broken.py:decode: SyntaxError" in fault(
        project, "tools/broken.py:decode"
    )


def test_a_file_that_is_not_there(project: Path) -> None:
    with pytest.raises(ModelbuildError, match=r"tools/none\.py of the postprocessing does not exist"):
        Postprocess("tools/none.py:decode", project)


def test_its_modules_are_found_as_a_scripts_are(project: Path) -> None:
    """Its own folder comes first, and the file is the module that others import."""
    with Postprocess("shadow/post.py:decode", project) as post:
        assert post({"y": Y}, {}) == {"onnx": "mine", "same": True, "name": "post"}
    assert not list(project.rglob("*.pyc"))


def test_files_of_the_users_do_not_stand_in_our_way(project: Path) -> None:
    told = fault(project, "shadow/post.py:decod")
    assert "it defines no function `decod`" in told and "did you mean `decode`" in told


@pytest.mark.parametrize(
    ("spec", "result"),
    [
        ("whole/part/post.py:decode", 0.25),
        ("json.py:decode", "a file called as a module of Python"),
        ("my-post.py:decode", "no identifier"),
    ],
)
def test_files_of_packages_and_of_any_name(project: Path, spec: str, result: object) -> None:
    with Postprocess(spec, project) as post:
        assert post({"y": Y}, {}) == result


def test_a_process_that_ended_while_it_was_fed(project: Path) -> None:
    """What it did not take must not be the error when the context ends."""
    with Postprocess("shadow/post.py:dies_then_more", project) as post:
        for _ in range(2):
            with pytest.raises(ModelbuildError, match="ended with code 3"):
                post({"y": np.zeros(1_000_000)}, {})


def test_any_names_are_saved(tmp_path: Path) -> None:
    outputs = {"file": Y, "a/b": Y + 1, "allow_pickle": Y + 2}
    made: Any = {"boxes": [1.0, 2.0], "a": {"b": 3}, "a.b": 4}
    save(RunResult(outputs, 0.0, 1, "float", (made,)), tmp_path / "o.npz")
    with np.load(tmp_path / "o.npz") as found:
        assert {name: found[name].tolist() for name in found.files} == {
            **{name: value.tolist() for name, value in outputs.items()},
            "post/boxes": [1.0, 2.0],
            "post/a.b": 3,
            "post/a.b_1": 4,
        }
    before = (tmp_path / "o.npz").read_bytes()
    with pytest.raises(ModelbuildError, match="`post/boxes`"):
        save(RunResult({"post/boxes": Y}, 0.0, 1, "float", (made,)), tmp_path / "o.npz")
    assert (tmp_path / "o.npz").read_bytes() == before


@pytest.mark.parametrize("spec", ["post.py", "post.py:", "post:decode", "post.py:a-b", ":decode", ""])
def test_what_names_no_function(spec: str) -> None:
    with pytest.raises(ModelbuildError, match="does not name a function in a file"):
        parted(spec)


leaves = st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats() | st.text(max_size=3)
trees = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


@given(trees)
def test_any_json_comes_back(value: Any) -> None:
    assert repr(values.decode(values.encode(value))) == repr(value)


@pytest.mark.parametrize("dtype", ["float16", "float32", "int64", "uint8", "bool", "<U4"])
def test_arrays_come_back_as_they_are(dtype: str) -> None:
    array = np.zeros((2, 0, 3) if dtype == "int64" else (2, 3), dtype)
    found = values.decode(values.encode({"a": [array, (1, np.float32(2))]}))
    assert (found["a"][0].dtype, found["a"][0].shape, found["a"][1]) == (array.dtype, array.shape, [1, 2.0])


def test_numbers_are_named_by_their_place() -> None:
    value = {
        "n": 2,
        "boxes": [[1, 2], [3, 4]],
        "faces": [{"score": 0.5, "name": "a"}],
        "ragged": [[1], [2, 3]],
    }
    assert {name: array.tolist() for name, array in values.numbers(value)} == {
        "n": 2, "boxes": [[1, 2], [3, 4]], "faces.0.score": 0.5, "ragged.0": [1], "ragged.1": [2, 3],
    }  # fmt: skip
    assert [name for name, _ in values.numbers(3.5)] == ["result"]


def test_json_has_lists_and_no_nan() -> None:
    assert values.to_json({"a": np.array([1.0, np.nan]), "b": (1, float("inf"))}) == {
        "a": [1.0, None],
        "b": [1, None],
    }


def results(*pairs: tuple[Any, Any]) -> Iterator[dict[str, Any]]:
    found = Results()
    for expected, got in pairs:
        found.add(expected, got)
    yield from found.to_json()


def test_results_are_compared_number_by_number() -> None:
    (entry,) = results(({"n": 3}, {"n": 4}), ({"n": 4}, {"n": 4}))
    assert (entry["max_abs"], entry["unlike"]) == (1, 0)
    assert entry["snr_db"] == pytest.approx(10 * np.log10(25))


def test_results_of_other_shapes_are_counted() -> None:
    boxes, fewer = {"boxes": np.ones((2, 4))}, {"boxes": np.ones((1, 4))}
    (entry,) = results((boxes, fewer), (boxes, {}), (boxes, {"boxes": np.full((2, 4), np.nan)}))
    assert (entry["unlike"], entry["snr_db"], entry["cosine"]) == (3, None, None)
    (entry,) = results((boxes, fewer), (boxes, boxes))
    assert (entry["unlike"], entry["snr_db"]) == (1, 200)
