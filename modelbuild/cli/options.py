"""Readers of option values that more than one verb takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from modelbuild.errors import ModelbuildError


def shapes(texts: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """`name=1,3,224,224` -> {name: (1, 3, 224, 224)}."""
    found: dict[str, tuple[int, ...]] = {}
    for text in texts:
        name, _, sizes = text.rpartition("=")
        parts = sizes.split(",")
        if not name or not all(part.strip().isdecimal() and int(part) > 0 for part in parts):
            raise ModelbuildError(f"`{text}` is not a shape", advice="write --input NAME=1,3,224,224")
        if name in found:
            raise ModelbuildError(f"two shapes are given for `{name}`", advice="keep one of them")
        found[name] = tuple(int(part) for part in parts)
    return found


def preprocessing(texts: Sequence[str]) -> dict[str, dict[str, Any]]:
    """`[NAME=]{mean: 127, std: 128}` -> {name: settings}; the name is empty where none is given."""
    found: dict[str, dict[str, Any]] = {}
    for text in texts:
        name, _, settings = ("", "", text) if text.lstrip().startswith("{") else text.partition("=")
        try:
            value = yaml.safe_load(settings)
        except yaml.YAMLError as error:
            raise ModelbuildError(
                f"--preprocess {text} cannot be read",
                why=str(error).splitlines()[0],
                advice="write --preprocess '{mean: 127, std: 128}'",
            ) from None
        if not isinstance(value, dict):
            raise ModelbuildError(
                f"--preprocess {text} is not a mapping", advice="write --preprocess '{mean: 127, std: 128}'"
            )
        if name in found:
            about = f"`{name}`" if name else "every input"
            raise ModelbuildError(f"--preprocess is given twice for {about}", advice="keep one of them")
        found[name] = value
    return found
