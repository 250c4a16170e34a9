"""Paths in messages as somebody writes them who stands in the current folder."""

from __future__ import annotations

import os
import re

from modelbuild.errors import Problem


def nearby(text: str) -> str:
    """The text with absolute paths in the current folder relative to it. Others stay as they are."""
    try:
        here = os.getcwd()  # noqa: PTH109 - pathlib is slow to import
    except OSError:  # somebody has removed it
        return text
    if here == "/" or here not in text:
        return text
    return re.sub(rf"(?<![\w./~-]){re.escape(here)}/(?=[\w.@+-])", "", text)


def told(problem: Problem) -> Problem:
    """The problem with such paths in all that is read of it."""
    return Problem(*map(nearby, problem))
