"""Checks of `encrypt:`: what each mode needs, and the keys, of which nothing is kept but a fingerprint."""

from __future__ import annotations

from collections.abc import Sequence

from modelbuild.errors import ModelbuildError
from modelbuild.formats import sealed_keys
from modelbuild.formats.sealed_keys import SECRETS, Secrets, Sources
from modelbuild.manifest import tree
from modelbuild.manifest.checks import complete
from modelbuild.manifest.manifest import Manifest
from modelbuild.manifest.model import Encryption
from modelbuild.manifest.packages import Package
from modelbuild.manifest.problems import Problems
from modelbuild.stages.request import PackageKeys


def check_encryption(
    manifest: Manifest, packages: Sequence[Package], problems: Problems
) -> dict[str, PackageKeys]:
    """Package -> its keys, so far as planning may know them. Wrong combinations, what is no key and files
    that others may read are errors; a key that is not there is one only where it is needed."""
    of_entry: dict[str, PackageKeys] = {}
    for package in packages:
        if package.encrypt is not None and package.entry not in of_entry:
            of_entry[package.entry] = _keys(manifest, package.entry, package.encrypt, problems)
    return {package.name: of_entry[package.entry] for package in packages if package.entry in of_entry}


def _keys(manifest: Manifest, entry: str, written: Encryption, problems: Problems) -> PackageKeys:
    base: tree.Path = ("packages", entry, "encrypt")
    file = None if written.key_file is None else str(manifest.root / written.key_file)
    sources = Sources(written.key, file, written.efuse_key)
    wrong = [
        (name, what)
        for name, what in sealed_keys.wrong_combination(written.mode, sources.given)
        if complete(manifest, *base, name)  # of one that could not be read, that is said
    ]
    for name, what in wrong:
        advice = (
            f"remove `{name}`, or write `mode: 1`"
            if name in sources.given
            else f"add `{name}: {_LIKE[name]}`"
        )
        problems.error(what, tree.place(manifest.tree, (*base, name), of_key=True), advice=advice)
    found: dict[str, bytes] = {}
    missing: list[tuple[str, str]] = []
    for name in SECRETS:
        if name not in sources.given:
            continue
        at = tree.place(manifest.tree, (*base, name))
        if not _is_there(sources, name):
            what = _absent(sources, name, written)
            missing.append((what, str(at)))
            problems.warn("MB012", what, at, "set it where the package is built")
            continue
        try:
            found[name] = getattr(sealed_keys.read(Sources(**{name: getattr(sources, name)})), name)
        except ModelbuildError as error:
            for problem in error.problems:
                problems.error(problem.what, at, problem.why, problem.advice)
    if wrong or missing or found.keys() != sources.given:
        return PackageKeys(written.mode, sources, "", written.cache_plaintext, tuple(missing))
    secrets = Secrets(**found)
    if secrets.is_short:
        problems.warn(
            "MB013",
            "the key has less than 128 bits: all such keys can be tried",
            tree.place(manifest.tree, (*base, "key" if written.mode == 1 else "efuse_key")),
            "use 32 hex digits or more; openssl rand -hex 32 makes 64",
        )
    told = sealed_keys.fingerprint(secrets, written.mode)
    return PackageKeys(written.mode, sources, told, written.cache_plaintext)


_LIKE = {"key": "env:NAME", "key_file": "PATH", "efuse_key": "env:NAME"}


def _is_there(sources: Sources, name: str) -> bool:
    return sealed_keys.is_there(Sources(**{name: getattr(sources, name)}))


def _is_hidden(written: Encryption) -> bool:
    """Whether the key itself may stand where its file is named."""
    return sealed_keys.looks_like_a_key(written.key_file or "")


def _absent(sources: Sources, name: str, written: Encryption) -> str:
    if name == "key_file":
        shown = "of the name that stands here" if _is_hidden(written) else written.key_file
        return f"there is no key file {shown}"
    return f"the environment has no key in {getattr(sources, name)}"
