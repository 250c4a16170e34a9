"""A fixed model made ready to run, whatever its number system."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from modelbuild.arithmetic.executing import Session
from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.arithmetic.kpu import KpuSession
from modelbuild.arithmetic.kpu.validation import RULES
from modelbuild.arithmetic.multiplier_shift import FixedSession
from modelbuild.arithmetic.validation import ARITHMETIC, validate

SESSIONS: Mapping[str, Callable[[FixedModel], Session]] = {
    ARITHMETIC: FixedSession,
    **dict.fromkeys(RULES, KpuSession),
}


def session(model: FixedModel) -> Session:
    """The session of the model's number system. Raises `ModelbuildError` for a model that is none, and for a
    number system that there is not."""
    if model.arithmetic not in SESSIONS:
        validate(model)  # raises
    return SESSIONS[model.arithmetic](model)
