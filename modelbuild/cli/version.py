"""`modelbuild --version`: this version, and the toolchains that builds can use here."""

from __future__ import annotations

from typing import Any

from modelbuild import __version__
from modelbuild.cli import console
from modelbuild.errors import ModelbuildError

_SHORT = 24  # a fingerprint that is a digest is cut there where people read it; JSON has all of it


def show(*, as_json: bool) -> int:
    """A line for modelbuild and one a toolchain; with --json one object. Imports and starts no toolchain."""
    found = toolchains()
    lines = [f"modelbuild {__version__}", *map(_line, found)]
    console.configure(json=as_json, quiet=False, verbose=False, color="auto")
    console.result("\n".join(lines), {"version": __version__, "toolchains": found})
    return 0


def toolchains() -> list[dict[str, Any]]:
    """`{name, found, version, levels, silicon, writes, fingerprint, message}` of every toolchain known; in
    `silicon` the number systems whose programs are machine code, in `writes` format -> {version, runtime}."""
    from modelbuild.toolchains import TOOLCHAINS

    found = []
    for name, toolchain in TOOLCHAINS.items():
        entry: dict[str, Any] = {
            "name": name,
            "levels": list(toolchain.LEVELS),
            "silicon": list(toolchain.SILICON),
            "writes": {form: dict(said) for form, said in toolchain.WRITES.items()},
        }
        try:
            fingerprint = toolchain.fingerprint()
        except ModelbuildError as error:
            entry |= {"found": False, "version": "", "fingerprint": "", "message": str(error)}
        else:
            of_name, _, rest = fingerprint.partition("/")
            version = rest if of_name == name else ""
            entry |= {"found": True, "version": version, "fingerprint": fingerprint, "message": ""}
        found.append(entry)
    return found


def _line(entry: dict[str, Any]) -> str:
    if not entry["found"]:
        return f"  {entry['name']}: not found: {entry['message'].splitlines()[0]}"
    use = "compiles for its simulator, not for silicon"
    if entry["silicon"]:
        of = " and ".join(entry["silicon"])
        use = f"compiles for silicon where the arithmetic is {of}; else for its simulator, not for silicon"
    for form, said in entry["writes"].items():
        use += f"; writes {form}s of version {said['version']}, for the runtime of {said['runtime']}"
    levels = ", ".join(entry["levels"])
    print_of = entry["fingerprint"][:_SHORT]
    return f"  {entry['name']} {entry['version']}: {use}; runs the {levels} forms; fingerprint {print_of}"
