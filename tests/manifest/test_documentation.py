"""docs/models-yaml.md: its examples are valid, and it names every key and warning."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.manifest import checks_of_encryption, checks_of_packages, checks_of_samples, document, schema
from modelbuild.manifest.explain import validate
from modelbuild.manifest.load import load
from modelbuild.manifest.model import Root
from modelbuild.manifest.problems import Problems
from modelbuild.manifest.settings import effective

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "models-yaml.md").read_text(encoding="utf-8")
KNOBS = (Path(__file__).resolve().parents[2] / "docs" / "knobs.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
WHOLE = [
    (page, block)
    for page in sorted((Path(__file__).resolve().parents[2] / "docs").glob("*.md"))
    for block in re.findall(
        r"^```yaml\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    if block.startswith("modelbuild:") and page.name != "models-yaml.md"
]
# What the examples cannot have: the files that they name.
ABSENT = ("does not exist", "no sample file matches", "no file matches", "cannot read the labels")


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_are_read_without_a_problem(example: str) -> None:
    problems = Problems()
    assert validate(Root, document.parse(example, "models.yaml"), problems).left_out == ()
    problems.raise_any()


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_lack_nothing_but_their_files_and_samples(example: str, tmp_path: Path) -> None:
    path = tmp_path / "models.yaml"
    path.write_text(example, encoding="utf-8")
    try:
        load(path)
    except ModelbuildError as error:
        left = [found.what for found in error.problems if not any(text in found.what for text in ABSENT)]
        assert [what for what in left if "has no calibration samples" not in what] == []


@pytest.mark.parametrize(("page", "block"), WHOLE, ids=lambda found: getattr(found, "stem", ""))
def test_whole_manifests_of_other_pages_lack_nothing_but_their_files(
    page: Path, block: str, tmp_path: Path
) -> None:
    test_examples_lack_nothing_but_their_files_and_samples(block, tmp_path)


def test_the_example_of_the_vendors_names_takes_effect(tmp_path: Path) -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", KNOBS, re.DOTALL)
    for name in ("face.onnx", *(f"data/faces/{index}.jpg" for index in range(64))):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    path = tmp_path / "models.yaml"
    path.write_text(block, encoding="utf-8")
    manifest = load(path)
    cam, gate = (effective(manifest, "face", target).values for target in ("cam", "gate"))
    assert cam["quantize"]["range"] == {"method": "percentile", "percentile": 100}
    assert cam["quantize"]["outputs"] == {"*": "int16"}
    assert cam["calibration"] == {"set": "faces", "count": None}
    assert gate["quantize"]["range"] == {"method": "mse"}
    assert gate["calibration"] == {"set": "faces", "count": 50}


def test_the_example_of_merging_comes_out_as_the_page_says(tmp_path: Path) -> None:
    (example,) = [text for text in EXAMPLES if "method: minmax" in text]
    for name in (
        "face.onnx",
        *(f"data/{kind}/{index}.jpg" for kind in ("faces", "street") for index in range(64)),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    path = tmp_path / "models.yaml"
    path.write_text(example, encoding="utf-8")
    manifest = load(path)
    old, cam = (effective(manifest, "face", target).values["quantize"] for target in ("old", "cam"))
    assert old["activations"] == "int8"
    assert old["range"] == {"method": "percentile", "percentile": 99.9}
    assert cam["range"] == {"method": "minmax"}


def test_every_key_has_a_row() -> None:
    rows = set(
        re.findall(
            r"`(\w+)`",
            "\n".join(line.split("|")[1] for line in (PAGE + KNOBS).split("\n") if line.startswith("| `")),
        )
    )
    made = schema.schema()
    keys = {key for definition in [made, *made["$defs"].values()] for key in definition.get("properties", {})}
    assert keys - rows - {"inputs", "outputs"} == set()


def test_every_warning_has_a_row() -> None:
    sources = "".join(
        Path(module.__file__ or "").read_text()
        for module in (checks_of_encryption, checks_of_packages, checks_of_samples)
    )
    assert set(re.findall(r"MB\d{3}", sources)) == set(re.findall(r"^\| (MB\d{3})", PAGE, re.MULTILINE))
