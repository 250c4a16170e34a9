"""models.schema.json."""

from __future__ import annotations

import json
from pathlib import Path

from modelbuild.manifest import schema

FILE = Path(__file__).resolve().parents[2] / "models.schema.json"


def test_the_file_is_what_the_code_makes() -> None:
    """To write it anew: python -c 'from modelbuild.manifest import schema; print(schema.text(), end="")'."""
    assert FILE.read_text(encoding="utf-8") == schema.text()


def test_it_says_what_editors_need() -> None:
    made = json.loads(schema.text())
    assert made["required"] == ["modelbuild"]
    assert made["additionalProperties"] is False
    assert set(made["properties"]) == {
        "modelbuild", "project", "include", "defaults", "samples", "models", "targets", "packages",
    }  # fmt: skip
    definitions = made["$defs"]
    assert definitions["Preprocess"]["properties"]["resize"]["anyOf"][0]["enum"] == [
        "stretch",
        "letterbox",
        "crop",
    ]
    assert definitions["Target"]["required"] == ["chip"]
    assert {kind["type"] for kind in definitions["Accept"]["properties"]["snr_db"]["anyOf"][0]["oneOf"]} == {
        "number",
        "object",
    }


def test_every_key_is_described() -> None:
    definitions = schema.schema()["$defs"].values()
    without = [
        name
        for definition in [schema.schema(), *definitions]
        for name, key in definition.get("properties", {}).items()
        if "description" not in key
    ]
    assert without == []
