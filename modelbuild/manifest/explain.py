"""Validates the tree against the pydantic models; each error becomes a problem at its line and column."""

from __future__ import annotations

import re
from collections.abc import Mapping as AbstractMapping
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Generic, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from modelbuild.manifest import other_words
from modelbuild.manifest.problems import Problems, nearest
from modelbuild.manifest.scalars import describe
from modelbuild.manifest.strict import Strict
from modelbuild.manifest.tree import Mapping, Path, Scalar, find, place, to_plain

M = TypeVar("M", bound=Strict)
_MARK = re.compile(r"<\w+>|\[key\]")
_ROUNDS = 50  # an error can hide another one; each round takes at least one wrong key out


@dataclass(frozen=True)
class Checked(Generic[M]):
    """What could be read (None: nothing), and the paths of keys that had to be left out of it."""

    value: M | None
    left_out: tuple[Path, ...]


def validate(model: type[M], tree: Mapping, problems: Problems) -> Checked[M]:
    """Reads `tree` as a `model`. Every wrong key is reported and left out, so that the checks that follow
    can report what is wrong with the rest in the same run."""
    plain = to_plain(tree)
    left_out: list[Path] = []
    for _ in range(_ROUNDS):
        try:
            return Checked(model.model_validate(plain), tuple(left_out))
        except ValidationError as error:
            removed: dict[Path, None] = {}
            for item in error.errors(include_url=False, include_input=True):
                path = _path(item["loc"], tree)
                if not _follows_from(path, left_out):
                    _explain(model, tree, path, item, problems)
                removed[_key_to_leave_out(plain, path, str(item["type"]))] = None
            left_out += [path for path in removed if _remove(plain, path)]
            if () in removed:
                return Checked(None, tuple(left_out))
    return Checked(None, tuple(left_out))


def _follows_from(path: Path, left_out: list[Path]) -> bool:
    """Whether something was left out of what stands at `path`: its error may be of our own making."""
    return any(gone[: len(path)] == path for gone in left_out)


def _path(location: tuple[int | str, ...], tree: Mapping) -> Path:
    """pydantic's location without union tags, the marks of mapping keys, and the item number of a value that
    stands for a list of one."""
    path = tuple(step for step in location if not (isinstance(step, str) and _MARK.fullmatch(step)))
    if path and isinstance(path[-1], int) and isinstance(find(tree, path[:-1]), Scalar):
        return path[:-1]
    return path


def _explain(
    model: type[Strict], tree: Mapping, path: Path, item: AbstractMapping[str, Any], problems: Problems
) -> None:
    kind, context = str(item["type"]), item.get("ctx", {})
    if kind != "missing" and _is_hidden(model, path):
        _explain_hidden(model, tree, path, item, problems)
    elif kind == "extra_forbidden":
        key, owner = str(path[-1]), model_at(model, path[:-1])
        at = place(tree, path, of_key=True)
        within = f" in {_article(path[-2])}" if len(path) > 1 else ""
        known = list(owner.model_fields) if owner else []
        other = owner.other_words if owner else ()
        advice = owner.advice_of_key(key) if owner else ""
        advice = advice or nearest(key, known, "known keys", other)
        problems.error(f"unknown key `{key}`{within}", at, advice=advice)
    elif kind == "missing":
        within = f" in `{path[-2]}`" if len(path) > 1 else ""
        field = owner.model_fields.get(str(path[-1])) if (owner := model_at(model, path[:-1])) else None
        what = field.description if field else ""
        problems.error(
            f"the key `{path[-1]}` is missing{within}", place(tree, path), what or "", f"add `{path[-1]}:`"
        )
    else:
        of_key = "[key]" in item["loc"]
        what, advice = _message(kind, context, item)
        problems.error(f"{_subject(path, of_key)}{what}", place(tree, path, of_key), advice=advice)


def _is_hidden(model: type[Strict], path: Path) -> bool:
    """Whether the value or key at `path` stands in a mapping that hides what it holds."""
    owners = (model_at(model, path[:length]) for length in range(len(path)))
    return any(owner is not None and owner.hides for owner in owners)


def _explain_hidden(
    model: type[Strict], tree: Mapping, path: Path, item: AbstractMapping[str, Any], problems: Problems
) -> None:
    """What is wrong, by what the key takes alone."""
    context = item.get("ctx", {})
    owner = model_at(model, path[:-1])
    if str(item["type"]) == "extra_forbidden" or owner is None or str(path[-1]) not in owner.model_fields:
        known = ", ".join(owner.model_fields) if owner else ""
        within = next((f" in `{step}`" for step in reversed(path[:-1]) if isinstance(step, str)), "")
        problems.error(
            f"unknown key{within}; what stands here is not shown",
            place(tree, path, of_key=True),
            advice=f"known keys: {known}" if known else "",
        )
        return
    expected = str(context.get("expected", "something else")).replace("'", "")
    secret = str(item["msg"]) if item["type"] == "manifest" and "expected" not in context else ""
    what = secret or f"expected {expected}; what stands here is not shown"
    problems.error(f"`{path[-1]}`: {what}", place(tree, path), advice=str(context.get("advice", "")))


def _article(step: int | str) -> str:
    return f"item {step + 1}" if isinstance(step, int) else f"`{step}`"


def _subject(path: Path, of_key: bool) -> str:
    if not path or of_key:
        return ""
    *_, last = path
    owner = next((step for step in reversed(path) if isinstance(step, str)), "")
    return f"`{last}`: " if isinstance(last, str) else f"item {last + 1} of `{owner}`: "


_BOUNDS = {
    "greater_than": "more than {gt}",
    "greater_than_equal": "{ge} or more",
    "less_than": "less than {lt}",
    "less_than_equal": "{le} or less",
}


def _message(
    kind: str, context: AbstractMapping[str, Any], item: AbstractMapping[str, Any]
) -> tuple[str, str]:
    """What is wrong, and what to do."""
    value = item.get("input")
    if kind == "manifest":
        return str(item["msg"]), str(context.get("advice", ""))
    if kind == "literal_error":
        choices = re.findall(r"'([^']*)'", context["expected"]) or [str(context["expected"])]
        found = f"expected one of {', '.join(choices)}, found {describe(value)}"
        return found, other_words.advice(str(value), choices)
    if kind in _BOUNDS:
        bound = {name: f"{number:g}" for name, number in context.items() if isinstance(number, int | float)}
        return f"expected {_BOUNDS[kind].format(**bound)}, found {describe(value)}", ""
    if kind == "union_tag_invalid":
        tags = re.findall(r"<(\w+)>", str(context["expected_tags"]))
        return f"expected {' or '.join(_FORMS[tag] for tag in tags)}, found {describe(value)}", ""
    if kind in ("dict_type", "model_type"):
        return f"expected a mapping, found {describe(value)}", "write `key: value` lines below it"
    if kind == "too_short":
        return "expected one or more, found an empty list", "add an item or remove the key"
    if kind == "string_pattern_mismatch":
        return f"expected 64 hex digits, found {describe(value)}", "`sha256sum FILE` prints them"
    return f"{item['msg']}, found {describe(value)}", ""


_FORMS = {"scalar": "a single value", "mapping": "a mapping", "list": "a list"}


def model_at(model: type[Strict], path: Path) -> type[Strict] | None:
    """The pydantic model that the mapping at `path` is read as."""
    current: Any = model
    for step in path:
        current = _next(current, step)
        if current is None:
            return None
    return _mapping_form(current)


def _next(annotation: Any, step: int | str) -> Any:
    for form in _forms(annotation):
        if isinstance(form, type) and issubclass(form, BaseModel):
            if step in form.model_fields:
                return form.model_fields[str(step)].annotation
        elif get_origin(form) is dict and isinstance(step, str):
            return get_args(form)[1]
        elif get_origin(form) is tuple and isinstance(step, int):
            return get_args(form)[0]
    return None


def _mapping_form(annotation: Any) -> type[Strict] | None:
    return next(
        (form for form in _forms(annotation) if isinstance(form, type) and issubclass(form, Strict)), None
    )


def _forms(annotation: Any) -> list[Any]:
    """The members of a union, without what is annotated to them."""
    if get_origin(annotation) is Annotated:
        return _forms(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [form for member in get_args(annotation) for form in _forms(member)]
    return [annotation]


def _key_to_leave_out(plain: object, path: Path, kind: str) -> Path:
    """The innermost key of a mapping that holds the error; the mapping itself where a key is missing in it.
    Lists are left out whole, so that the paths of what stays do not change."""
    if kind == "missing":
        path = path[:-1]
    first_index = next((index for index, step in enumerate(path) if isinstance(step, int)), len(path))
    path = path[:first_index]
    while path and not _holds(plain, path):
        path = path[:-1]
    return path


def _holds(plain: object, path: Path) -> bool:
    for step in path:
        if not isinstance(plain, dict) or step not in plain:
            return False
        plain = plain[step]
    return True


def _remove(plain: object, path: Path) -> bool:
    if not path or not _holds(plain, path):
        return False
    for step in path[:-1]:
        assert isinstance(plain, dict)
        plain = plain[step]
    assert isinstance(plain, dict)
    del plain[path[-1]]
    return True
