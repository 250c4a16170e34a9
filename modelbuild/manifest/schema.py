"""The JSON schema of models.yaml, for editors; made from the pydantic models that read it."""

from __future__ import annotations

import json
from typing import Any

from modelbuild.manifest.model import Root


def schema() -> dict[str, Any]:
    """The schema as JSON values. It says what editors can check; `modelbuild check` says the rest."""
    made = _tidy(Root.model_json_schema())
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made, "title": "models.yaml"}


def text() -> str:
    """The content of models.schema.json."""
    return json.dumps(schema(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


# pydantic leaves bounds of types that are read from text under their own names
_KEYWORDS: dict[str, str] = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
}


def _tidy(node: Any) -> Any:
    """Without generated titles and null defaults."""
    if isinstance(node, list):
        return [_tidy(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept: dict[str, Any] = {}
    for key, value in node.items():
        if key == "title" and isinstance(value, str):
            continue
        if key == "default" and value is None:
            continue
        kept[_KEYWORDS.get(str(key), str(key))] = (
            {name: _tidy(item) for name, item in value.items()}
            if key in ("properties", "$defs")
            else _tidy(value)
        )
    return kept
