"""Values that name a secret. What stands there instead may be one, so no message shows it."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from modelbuild.formats.sealed_keys import environment_name
from modelbuild.manifest.strict import refuse
from modelbuild.manifest.tree import Scalar


def _read_secret(value: object) -> str:
    """NAME of `env:NAME`."""
    if isinstance(value, Scalar) and (name := environment_name(value.text)) is not None:
        return name
    raise refuse(
        "expected `env:NAME`, the name of an environment variable; what stands here is not shown",
        "keys do not stand in manifests: write `env:NAME`, and set NAME where modelbuild runs",
    )


def _read_mapping(value: object) -> object:
    if isinstance(value, dict):
        return value
    raise refuse(
        "expected a mapping; what stands here is not shown", "write `{mode: 2, efuse_key: env:NAME}`"
    )


Secret = Annotated[
    str, BeforeValidator(_read_secret), Field(json_schema_extra={"pattern": "^env:[A-Za-z_][A-Za-z0-9_]*$"})
]
AsHiddenMapping = BeforeValidator(_read_mapping)
