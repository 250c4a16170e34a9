"""`modelbuild nef`: combine NEFs, take one apart, change ids and versions, encrypt packages."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from modelbuild import input_file
from modelbuild.cli import console, keys, simulated
from modelbuild.errors import ModelbuildError
from modelbuild.output_file import named


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    add = parser.add_argument
    add(
        "action",
        choices=tuple(ACTIONS),
        metavar="|".join(ACTIONS),
        help="; ".join(action.help for action in ACTIONS.values()),
    )
    add("files", nargs="*", default=[], metavar="FILE.nef", help="what to read; several for combine")
    add(
        "-o",
        "--output",
        metavar="FILE",
        help="where the result goes, a file or a folder; extract: a folder (output)",
    )
    add("--id", action="append", default=[], metavar="OLD=NEW", help="set: another id of a model")
    add("--version", action="append", default=[], metavar="ID=HEX", help="set: another version of a model")
    add("--model", action="append", default=[], metavar="ID", help="extract: this model alone")
    add("--drop-unknown", action="store_true", help="combine: leave out header fields that nobody knows")
    add("--chip", metavar="CHIP", help="generate: the chip that the binaries are for, such as kl720")
    add("--mode", type=int, choices=(1, 2), help="encrypt: 1 with key and key file, 2 with the efuse key")
    keys.add_arguments(parser)
    add("--force", action="store_true", help="replace files that modelbuild has not written")


def run(options: argparse.Namespace) -> int:
    """Do what the first word says."""
    action = ACTIONS[options.action]
    for name in ("id", "version", "model", "drop_unknown", "chip", "mode", *keys.NAMES):
        if getattr(options, name) and name not in action.takes:
            raise ModelbuildError(
                f"--{name.replace('_', '-')} does not go with `nef {options.action}`",
                advice="see `modelbuild nef --help`",
            )
    if action.single and len(options.files) != 1:
        raise ModelbuildError(
            f"`nef {options.action}` takes one file, not {len(options.files)}",
            advice=f"modelbuild nef {options.action} FILE.nef",
        )
    if options.output is None and action.needs_output:
        raise ModelbuildError("-o is missing", advice="say where the result goes: -o OUT.nef")
    return action.run(options)


def _combine(options: argparse.Namespace) -> int:
    from modelbuild import api

    found = api.nef_combine(
        [_path(options, name) for name in options.files],
        _output(options),
        drop_unknown=options.drop_unknown,
        force=options.force,
    )
    _tell(found)
    return 0


def _extract(options: argparse.Namespace) -> int:
    from modelbuild import api

    ids = [_number(text) for text in options.model]
    found = api.nef_extract(_path(options, options.files[0]), _output(options), ids, force=options.force)
    rows = [[Path(one["path"]).name, console.size(one["size"])] for one in found["files"]]
    text = console.table(("file", "size"), rows, right=(1,))
    console.summary(f"{text}\nwrote {len(rows)} files into {found['folder']}", found)
    return 0


def _set(options: argparse.Namespace) -> int:
    from modelbuild import api

    ids = _pairs("--id", options.id, _number)
    versions = _pairs("--version", options.version, _hexadecimal)
    if not ids and not versions:
        raise ModelbuildError(
            "there is nothing to set", advice="name --id OLD=NEW or --version ID=HEX, or both"
        )
    found = api.nef_set(
        _path(options, options.files[0]), _output(options), ids, versions, force=options.force
    )
    _tell(found)
    return 0


def _generate(options: argparse.Namespace) -> int:
    from modelbuild import api

    if options.chip is None:
        raise ModelbuildError("--chip is missing", advice="name the chip: --chip kl720")
    paths = [_path(options, name) for name in options.files]
    _tell(api.nef_generate(paths, _output(options), options.chip, force=options.force))
    return 0


def _encrypt(options: argparse.Namespace) -> int:
    from modelbuild import api

    path, output = _path(options, options.files[0]), _output(options)
    found = api.nef_encrypt(path, output, keys.given(options), options.mode, force=options.force)
    console.summary(f"wrote {found['path']}: {console.size(found['size'])}, mode {found['mode']}", found)
    _note(found)
    return 0


def _decrypt(options: argparse.Namespace) -> int:
    from modelbuild import api

    path, output = _path(options, options.files[0]), _output(options)
    found = api.nef_decrypt(path, output, keys.given(options), force=options.force)
    console.summary(f"wrote {found['path']}: {console.size(found['size'])}, {found['format']}", found)
    _note(found)
    return 0


def _path(options: argparse.Namespace, name: str) -> Path:
    return input_file.named(options.directory, name)


def _output(options: argparse.Namespace) -> str:
    """The output in the working folder; a slash at its end, which says that it is a folder, stays."""
    name = "output" if options.output is None else named(options.output)
    return str(Path(options.directory) / name) + ("/" if name.endswith(("/", "\\")) else "")


def _pair(text: str) -> tuple[str, str]:
    left, equals, right = text.partition("=")
    if not equals:
        raise ModelbuildError(
            f"`{text}` is not a pair", advice="write --id 32770=40000, --version 32770=0a2f"
        )
    return left, right


def _pairs(option: str, texts: Sequence[str], right: Callable[[str], int]) -> dict[int, int]:
    """What an option that may be given for each model says. Refuses two values for one."""
    found: dict[int, int] = {}
    for text in texts:
        left, value = _pair(text)
        model = _number(left)
        if model in found:
            raise ModelbuildError(f"{option} is given twice for model {model}", advice="leave one out")
        found[model] = right(value)
    return found


def _number(text: str) -> int:
    """An id as manifests write it too: decimal, or hexadecimal after 0x."""
    try:
        return int(text, 16 if text[:2].lower() == "0x" else 10)
    except ValueError:
        raise ModelbuildError(
            f"`{text}` is not an id", advice="an id is a whole number, such as 32770 or 0x8002"
        ) from None


def _hexadecimal(text: str) -> int:
    digits = text.removeprefix("0x")
    if not 1 <= len(digits) <= 4 or any(digit not in "0123456789abcdefABCDEF" for digit in digits):
        raise ModelbuildError(
            f"`{text}` is not a version", advice="a version is up to four hexadecimal digits, such as 0a2f"
        )
    return int(digits, 16)


def _tell(found: Mapping[str, Any]) -> None:
    """The models of a file that was written."""
    rows = [[str(one["id"]), one["version"] or "-", one["name"] or "-"] for one in found["models"]]
    lines = [console.table(("id", "version", "name"), rows, right=(0,))]
    machine = found["chip"] if found["silicon"] else f"modelbuild's simulator of {found['chip']}"
    lines.append(f"wrote {found['path']}: {console.size(found['size'])}, for {machine}")
    console.summary("\n".join(lines), found)
    _note(found)


def _note(found: Mapping[str, Any]) -> None:
    """What is to be known of the file that was written, on standard error, with -q too."""
    for note in found.get("notes", ()):
        console.say(f"note: {note}")
    name = Path(found["path"]).name
    if found.get("silicon") is False and ".sim." not in name:
        console.say(f"note: {simulated.warning(name, found.get('chip'))}")


class Action(NamedTuple):
    """A word behind `nef`: what it does, which options it takes, whether it reads one file only, and whether
    it must be told where its result goes."""

    run: Callable[[argparse.Namespace], int]
    help: str
    takes: tuple[str, ...] = ()
    single: bool = True
    needs_output: bool = True


ACTIONS: Mapping[str, Action] = {
    "combine": Action(_combine, "several NEFs of one chip as one", ("drop_unknown",), single=False),
    "decrypt": Action(_decrypt, "open an encrypted package", keys.NAMES),
    "encrypt": Action(_encrypt, "encrypt a package of any format", ("mode", *keys.NAMES)),
    "extract": Action(_extract, "the binaries in one as files", ("model",), needs_output=False),
    "generate": Action(_generate, "a NEF around extracted binaries", ("chip",), single=False),
    "set": Action(_set, "other ids and versions of models", ("id", "version")),
}
