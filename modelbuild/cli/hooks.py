"""`modelbuild hooks`: git hooks that check commits, rebuild behind checkouts, and build before a push."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from modelbuild.cli import console
from modelbuild.errors import ModelbuildError
from modelbuild.project.hook_script import HOOKS

if TYPE_CHECKING:
    from modelbuild.project.hooks import HookState


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument(
        "action",
        choices=tuple(ACTIONS),
        metavar="install|uninstall|status",
        help="put the hooks beside those that are there; take them away again; say which are there",
    )
    parser.add_argument("--only", metavar="HOOK,…", help=f"some of {', '.join(HOOKS)}")
    # What the hooks call: `run HOOK SCRIPT ARGUMENT …` and `background`
    parser.add_argument("words", nargs="*", default=[], help=argparse.SUPPRESS)


def run(options: argparse.Namespace) -> int:
    """Do what the first word says."""
    if options.words and options.action != "run":
        raise ModelbuildError(
            f"`hooks {options.action}` takes no further words", advice="write --only pre-commit,pre-push"
        )
    return ACTIONS[options.action](options)


def _install(options: argparse.Namespace) -> int:
    from modelbuild.project import hooks

    return _tell(hooks.install(options.directory, options.file, _only(options)))


def _uninstall(options: argparse.Namespace) -> int:
    from modelbuild.project import hooks

    return _tell(hooks.uninstall(options.directory, options.file, _only(options)))


def _status(options: argparse.Namespace) -> int:
    from modelbuild.project import background, hooks

    found = [one for one in hooks.status(options.directory, options.file) if one.hook in _only(options)]
    folder = Path(options.directory).absolute()
    lines = [str(one) for one in found]
    log = folder / background.LOG
    if background.is_running(folder):
        lines.append(f"a build is running in the background; it tells {log}")
    elif log.is_file():
        lines.append(f"the last build in the background told {log}")
    console.result("\n".join(lines), {"ok": True, "hooks": [one.to_json() for one in found]})
    return 0


def _tell(found: list[HookState]) -> int:
    console.summary("\n".join(map(str, found)), {"ok": True, "hooks": [one.to_json() for one in found]})
    return 0


def _only(options: argparse.Namespace) -> tuple[str, ...]:
    if options.only is None:
        return HOOKS
    names = [name.strip() for name in options.only.split(",")]
    for name in names:
        if name not in HOOKS:
            from modelbuild.errors import did_you_mean

            raise ModelbuildError(
                f"--only: there is no hook `{name}`",
                advice=f"{did_you_mean(name, HOOKS)} hooks are {', '.join(HOOKS)}".lstrip(),
            )
    return tuple(hook for hook in HOOKS if hook in names)


def _run(options: argparse.Namespace) -> int:
    """Called by a hook, in the folder and with the environment that git gives it."""
    from modelbuild.project import hook_runs

    if len(options.words) < 2:
        raise ModelbuildError("`hooks run` is what the hooks call", advice="use `modelbuild hooks install`")
    hook, script, *arguments = options.words
    stdin = sys.stdin.read() if hook in hook_runs.READ_INPUT else ""
    return hook_runs.run(hook, Path(script), arguments, stdin, console.say)


def _background(options: argparse.Namespace) -> int:
    from modelbuild.project import hook_runs

    hook_runs.serve(Path(options.directory).absolute(), console.say)
    return 0


ACTIONS: Mapping[str, Callable[[argparse.Namespace], int]] = {
    "install": _install,
    "uninstall": _uninstall,
    "status": _status,
    "run": _run,
    "background": _background,
}
