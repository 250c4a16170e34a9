"""The text of a git hook: written, recognised, and changed without losing what a user wrote into it."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

KEPT = ".before-modelbuild"  # the suffix of an earlier hook while ours stands in its place
_MARK = "# modelbuild hook 1"
_PROJECT = "# project: "
_COMMAND = "# command: "

_HEAD = """\
#!/bin/sh
{mark}, written by `modelbuild hooks install`; `modelbuild hooks uninstall` takes it away again.
# The hook that was here before is {hook}{kept} now and runs first. docs/hooks.md says more.
{projects}
{command}
earlier="${{0%/*}}/{hook}{kept}"
status=0
"""

# An earlier hook that is a shell script is sourced, so that it finds its own name and folder in $0. Its first
# line is split into words: the interpreter, behind `env` or not, and the options that it is given.
_EARLIER = """\
run_earlier() {
    IFS= read -r first < "$earlier"
    case $first in
        '#!'*) set -f; shell=$(shell_of ${first#??}); set +f ;;
        *) shell= ;;
    esac
    if [ -z "$shell" ]; then "$earlier" "$@"; return; fi
    $shell -c 'e=$1; shift; . "$e"' "$0" "$earlier" "$@"
}
shell_of() {
    case $1 in
        */env) shift; if [ "$1" = -S ]; then shift; fi ;;
    esac
    case ${1##*/} in
        sh | bash | dash | ash | ksh | mksh) echo "$@" ;;
    esac
}
"""

_INPUT = """\
input=$(cat)
feed() { [ -z "$input" ] || printf '%s\\n' "$input" 2>/dev/null; }
"""

_CALL = """\
if [ -x {executable} ]; then
    {feed}{invocation} hooks run {hook} "$0" -- "$@"
elif command -v modelbuild >/dev/null; then
    {feed}modelbuild hooks run {hook} "$0" -- "$@"
else
    (exit 127)
fi
code=$?
case $code in
    126 | 127)
        echo "modelbuild is not found, so the {hook} hook did nothing; install it, or remove $0" >&2
        code=0 ;;
esac
"""


class _Kind(NamedTuple):
    """`reads`: git tells the hook more on standard input. `blocks`: its exit code stops git. `unless`: when
    there is nothing to do for us, as a test in sh."""

    reads: bool = False
    blocks: bool = False
    unless: str = ""


# Flag 1 of post-checkout is a switch of branches, 0 the checkout of single files; post-rewrite follows
# `commit --amend` too, which changes no file.
_KINDS: Mapping[str, _Kind] = {
    "pre-commit": _Kind(blocks=True),
    "post-merge": _Kind(),
    "post-checkout": _Kind(unless='[ "$3" != 1 ]'),
    "post-rewrite": _Kind(reads=True, unless='[ "$1" != rebase ]'),
    "pre-push": _Kind(reads=True, blocks=True),
}
HOOKS = tuple(_KINDS)


class ProjectLine(NamedTuple):
    """A project that a hook serves: its folder from the top of the work tree, and its manifest's name.

    `repository` is the git folder that this is said of, where several repositories share the hook.
    """

    folder: str
    file: str
    repository: str = ""


class Script(NamedTuple):
    """What a hook of ours says. `command` is how this machine starts modelbuild; empty: by the PATH."""

    hook: str
    projects: tuple[ProjectLine, ...]
    command: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The hook as it is written."""
        kind = _KINDS[self.hook]
        feed = "feed | " if kind.reads else ""
        failed = "exit $?" if kind.blocks else "status=$?"
        parts = [
            _HEAD.format(
                mark=_MARK,
                hook=self.hook,
                kept=KEPT,
                projects="\n".join(map(_project_text, self.projects)),
                command=_COMMAND + json.dumps(self.command),
            ),
            _EARLIER,
            _INPUT if kind.reads else "",
            f'if [ -x "$earlier" ]; then {feed}run_earlier "$@" || {failed}; fi\n',
            f"if {kind.unless}; then exit $status; fi\n" if kind.unless else "",
            _CALL.format(
                hook=self.hook,
                feed=feed,
                executable=shlex.quote(self.command[0]) if self.command else "''",
                invocation=shlex.join(self.command) or "modelbuild",
            ),
            f"exit {'$code' if kind.blocks else '$status'}\n",
        ]
        return "".join(parts)


def parse(hook: str, text: str) -> Script | None:
    """What a hook says, if it is one of ours, edited or not."""
    if _MARK not in text:
        return None
    projects = tuple(
        ProjectLine(**json.loads(line.removeprefix(_PROJECT)))
        for line in text.splitlines()
        if _is_project(line)
    )
    command = re.search(rf"^{_COMMAND}(\[.*\])$", text, re.MULTILINE)
    return Script(hook, projects, tuple(json.loads(command[1])) if command else ())


def with_projects(text: str, projects: Sequence[ProjectLine]) -> str:
    """The same hook, edited as it may be, for other projects."""
    lines = text.splitlines(keepends=True)
    at = next((index for index, line in enumerate(lines) if _is_project(line)), 1)
    rest = [line for line in lines if not _is_project(line)]
    return "".join([*rest[:at], *(_project_text(project) + "\n" for project in projects), *rest[at:]])


def merged(projects: Iterable[ProjectLine], project: ProjectLine) -> tuple[ProjectLine, ...]:
    """The projects with one more, in an order that no installation changes."""
    return tuple(sorted({*projects, project}, key=lambda line: (line.repository, line.folder, line.file)))


def _is_project(line: str) -> bool:
    return line.startswith(_PROJECT + "{")


def _project_text(project: ProjectLine) -> str:
    told = {"folder": project.folder, "file": project.file}
    if project.repository:
        told["repository"] = project.repository
    return _PROJECT + json.dumps(told, sort_keys=True)
