"""Paths in the errors of stages: of no place where errors are kept, root-relative where people read them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from modelbuild.build.disk import Place
from modelbuild.errors import ModelbuildError, Problem

_MARK = "\0{}\0"  # around a role; no path holds a NUL, and no message does
_MARKED = "\0([^\0]*)\0"
_BEFORE, _AFTER = r"(?<![\w.-])", r"(?![\w/-]|\.\w)"  # a path that is no part of a longer one


def marked(
    error: ModelbuildError, inputs: Mapping[str, Place], root: Path, private: Place
) -> ModelbuildError:
    """`error` with the paths of inputs replaced by marks of their roles, and other paths below the action's
    `private` folder and below `root` by relative ones: it is true wherever the checkout and the inputs lie.
    """
    names: dict[str, str] = {}
    for role in sorted(inputs):
        for path in (str(inputs[role]), os.path.realpath(inputs[role])):
            names.setdefault(path, _MARK.format(role))
    longest = sorted(names, key=len, reverse=True)
    folders = [str(private), os.path.realpath(private), str(root), os.path.realpath(root)]

    def clean(text: str) -> str:
        for path in longest:
            if path in text:
                text = re.sub(_BEFORE + re.escape(path) + _AFTER, names[path].replace("\\", r"\\"), text)
        for folder in folders:
            if folder in text and folder != os.sep:
                text = re.sub(_BEFORE + re.escape(folder + os.sep), "", text)
                text = re.sub(_BEFORE + re.escape(folder) + _AFTER, ".", text)
        return text

    return _rewritten(error, clean)


def labelled(error: ModelbuildError, labels: Mapping[str, str]) -> ModelbuildError:
    """`error` with its marks replaced by `labels`, role -> what people call that input now."""
    return _rewritten(error, lambda text: re.sub(_MARKED, lambda found: labels.get(found[1], found[0]), text))


def _rewritten(error: ModelbuildError, rewrite: Callable[[str], str]) -> ModelbuildError:
    problems = [
        Problem(**{name: rewrite(text) for name, text in problem._asdict().items()})
        for problem in error.problems
    ]
    return ModelbuildError.of(problems, error.exit_code)
