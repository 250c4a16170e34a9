"""What every mapping of the manifest is read as: nothing unknown, nothing converted."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict
from pydantic_core import PydanticCustomError


class Strict(BaseModel):
    """Unknown keys and wrong types are errors. `other_words` names keys that only say in other words what
    other keys do; with `hides`, no message shows what stands in the mapping: it may be a secret."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    other_words: ClassVar[frozenset[str]] = frozenset()
    hides: ClassVar[bool] = False

    @classmethod
    def advice_of_key(cls, key: str) -> str:
        """What to do about an unknown key that says what is meant; "" where the known ones are listed."""
        return ""


def refuse(what: str, advice: str = "") -> PydanticCustomError:
    """An error about a mapping as a whole."""
    return PydanticCustomError("manifest", "{what}", {"what": what, "advice": advice})
