"""Completion scripts of shells, made from the grammar that parses the command line."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from modelbuild.cli import grammar
from modelbuild.toolchains import builtin

# What the scripts ask for while a word is being typed.
KINDS = ("selectors", "actions", "chips", "stages")


@dataclass(frozen=True)
class Option:
    """An option of a verb. `kind` is what its value may be: nothing, one of KINDS, `file`, `dir`, `text`, or
    words divided by blanks."""

    flags: tuple[str, ...]
    kind: str
    help: str


@dataclass(frozen=True)
class Verb:
    """A verb as the scripts know it; `kind` is what its first word may be, as for options, and `later` what
    those behind it may be."""

    name: str
    help: str
    kind: str
    later: str
    options: tuple[Option, ...]


def verbs(known: Mapping[str, str]) -> Iterator[Verb]:
    """Every verb with its options, read off the parsers."""
    for name, help_text in known.items():
        actions = [one for one in grammar.parser(name, known)._actions if one.help != argparse.SUPPRESS]
        words = [_kind(one) for one in actions if not one.option_strings]
        options = (Option(tuple(one.option_strings), _kind(one), _help(one)) for one in actions)
        kind = words[0] if words else ""
        yield Verb(
            name, help_text, kind, words[-1] if words else "", tuple(one for one in options if one.flags)
        )


def _help(action: argparse.Action) -> str:
    return " ".join((action.help or "").split())


# Part of a metavar -> what it stands for; the first that fits.
_METAVARS = (
    ("ACTION", "actions"),
    ("FILE|", "both"),
    ("@TARGET", "selectors"),
    ("PACKAGE", "selectors"),
    ("DIR", "dir"),
    ("FILE", "file"),
    ("GLOB", "file"),
    ("STAGE", "stages"),
    ("CHIP", "chips"),
    ("MODEL", "file"),
)


def _kind(action: argparse.Action) -> str:
    if action.nargs == 0:
        return ""
    if action.choices is not None:
        named = [word for word in map(str, action.choices) if word in str(action.metavar).split("|")]
        return " ".join(named or map(str, action.choices))  # those that help does not name are not for people
    metavar = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    return next((kind for part, kind in _METAVARS if part in metavar), "text")


def names(kind: str, prefix: str, directory: str, file: str) -> list[str]:
    """The words of a kind that begin with the prefix. Never an error: who types wants no message."""
    found = SOURCES[kind](prefix, directory, file)
    return [name for name in found if name.startswith(prefix)]


def _selectors(prefix: str, directory: str, file: str) -> list[str]:
    from modelbuild.project import naming

    return naming.selectors(directory, file)


def _actions(prefix: str, directory: str, file: str) -> list[str]:
    """Selectors, and the stages of one once its colon is typed: all at once would be a wall of text."""
    from modelbuild.project import naming

    owner, colon, _ = prefix.partition(":")
    found = naming.selectors(directory, file)
    return list(naming.actions([owner])) if colon and owner in found else found


def _chips(prefix: str, directory: str, file: str) -> list[str]:
    from modelbuild import resources

    return sorted(path.stem for path in resources.folder("recipes").glob("*.yaml"))


def _stages(prefix: str, directory: str, file: str) -> list[str]:
    return list(builtin.PIPELINE)


SOURCES: dict[str, Callable[[str, str, str], list[str]]] = {
    "selectors": _selectors,
    "actions": _actions,
    "chips": _chips,
    "stages": _stages,
}


def script(shell: str, known: Mapping[str, str]) -> str:
    """The completion script of a shell."""
    return SHELLS[shell](tuple(verbs(known)))


def _template(name: str) -> str:
    from importlib.resources import files  # only where a script is printed

    return files("modelbuild.cli").joinpath("shells", name).read_text(encoding="utf-8")


def _bash(found: tuple[Verb, ...]) -> str:
    return _template("modelbuild.bash").replace("@FUNCTIONS@", _functions(found))


def _zsh(found: tuple[Verb, ...]) -> str:
    return _template("modelbuild.zsh").replace("@FUNCTIONS@", _functions(found))


def _functions(found: tuple[Verb, ...]) -> str:
    """The functions that bash and zsh share, with the grammar in them."""
    options = [(verb.name, " ".join(flag for one in verb.options for flag in one.flags)) for verb in found]
    values = [
        ("|".join(f"{verb.name}:{flag}" for flag in one.flags), one.kind)
        for verb in found
        for one in verb.options
        if one.kind
    ]
    text = _template("functions.sh").replace("@VERBS@", " ".join(verb.name for verb in found))
    cases = {"@OPTIONS@": options, "@WORDS@": list(_word_rows(found)), "@VALUES@": values}
    for mark, rows in cases.items():
        lines = [f"        {pattern}) echo {_quoted(value)} ;;" for pattern, value in rows]
        text = text.replace(mark, "\n".join(lines))
    return text


def _word_rows(found: tuple[Verb, ...]) -> Iterator[tuple[str, str]]:
    """What words may be; behind the first of them the verb's name has a plus."""
    for verb in found:
        if verb.later == verb.kind:
            yield f"{verb.name}|{verb.name}+", verb.kind
        else:
            yield verb.name, verb.kind
            yield f"{verb.name}+", verb.later


def _fish(found: tuple[Verb, ...]) -> str:
    lines = [_template("modelbuild.fish")]
    for verb in found:
        head = "complete -c modelbuild"
        lines.append(f"{head} -n __modelbuild_no_verb -f -a {_quoted(verb.name)} -d {_quoted(verb.help)}")
        here = f"{head} -n {_quoted('__modelbuild_verb ' + verb.name)}"
        if verb.later == verb.kind:
            lines.append(f"{here}{_fish_values(verb.kind)}")
        else:
            for test, kind in (("first", verb.kind), ("later", verb.later)):
                place = _quoted(f"__modelbuild_verb {verb.name}; and __modelbuild_{test}_word")
                lines.append(f"{head} -n {place}{_fish_values(kind)}")
        lines += [
            f"{here}{_fish_flags(one)}{_fish_option(one)} -d {_quoted(one.help)}" for one in verb.options
        ]
    return "\n".join(lines) + "\n"


def _fish_flags(option: Option) -> str:
    return "".join(
        f" -l {_quoted(flag[2:])}" if flag.startswith("--") else f" -s {_quoted(flag[1:])}"
        for flag in option.flags
    )


def _fish_option(option: Option) -> str:
    return f" -r{_fish_values(option.kind)}" if option.kind else ""


def _fish_values(kind: str) -> str:
    if kind in ("file", "dir"):
        return " -F" if kind == "file" else " -f -a '(__fish_complete_directories (commandline -ct))'"
    if kind == "both":
        return " -F -a '(__modelbuild_names selectors)'"
    if kind in KINDS:
        return f" -f -a '(__modelbuild_names {kind})'"
    return " -f" if kind in ("", "text") else f" -f -a {_quoted(kind)}"


def _quoted(text: str) -> str:
    """For every shell: single quotes, and none inside."""
    return "'" + text.replace("'", "’") + "'"


SHELLS: dict[str, Callable[[tuple[Verb, ...]], str]] = {"bash": _bash, "fish": _fish, "zsh": _zsh}
