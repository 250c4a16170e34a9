"""Names for the shell: read from a manifest that nobody has checked."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild import api
from modelbuild.project import naming
from tests.stages.golden import write_project


def names(folder: Path, text: str) -> list[str]:
    (folder / "models.yaml").write_text(text, encoding="utf-8")
    return naming.selectors(str(folder), "models.yaml")


def test_they_are_those_of_the_manifest(tmp_path: Path) -> None:
    write_project(tmp_path)
    found = naming.selectors(str(tmp_path), "models.yaml")
    project = api.open_project(tmp_path)
    pairs = {f"{model}@{target}" for model, target in project.manifest.pairs()}
    assert set(found) == {*project.plan.packages, *project.manifest.spec.models, *pairs}
    planned = project.plan.names()
    asked = {name for name in naming.actions(found) if name in planned}
    assert {name for name in planned if "/" not in name} - asked == {
        name for name in planned if name.endswith(":check_samples")
    } - asked


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("models: {a: {}, b: {}}\ntargets: {t: {}}", ["a", "b", "a@t", "b@t"]),
        ("models: {a: {}}\npackages: {p: {target: t}}", ["p", "a", "a@t"]),
        (
            "models: {a: {}, b: }\npackages: {p: {targets: [t, u], models: [a]}}",
            ["p-t", "p-u", "a", "b", "a@t", "a@u"],
        ),
        ("packages: {p: {target: t, models: {x: {id: 1}}}}", ["p", "x@t"]),
        ("include: [more.yaml]\nmodels: {a: {}}", ["a", "c"]),
        ("models: 3\npackages: [x]\ntargets:", []),
        ("a: [", []),
        ("", []),
    ],
)
def test_of_what_is_written(tmp_path: Path, text: str, found: list[str]) -> None:
    (tmp_path / "more.yaml").write_text("models: {c: {}}")
    assert names(tmp_path, text) == found


def test_no_manifest_has_no_names(tmp_path: Path) -> None:
    assert naming.selectors(str(tmp_path / "absent"), "models.yaml") == []


@given(st.text(max_size=60))
def test_no_text_is_an_error(text: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "models.yaml").write_text(text, encoding="utf-8", errors="replace")
        assert isinstance(naming.selectors(folder, "models.yaml"), list)
