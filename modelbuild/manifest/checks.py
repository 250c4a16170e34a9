"""Checks of what the schema cannot see: names of entries, toolchains, values from the environment."""

from __future__ import annotations

import re
from collections.abc import Iterator

from modelbuild.formats.sealed_keys import looks_like_a_key
from modelbuild.manifest import tree
from modelbuild.manifest.manifest import Manifest
from modelbuild.manifest.options import SampleChoice
from modelbuild.manifest.problems import Problems, nearest

TOOLCHAINS = ("builtin", "nncase", "ktc", "palette")


def names(manifest: Manifest, section: str) -> list[str]:
    """The names written in a section, those of entries that could not be read too."""
    entry = manifest.tree.entries.get(section)
    return list(entry.node.entries) if entry and isinstance(entry.node, tree.Mapping) else []


def complete(manifest: Manifest, *path: str | int) -> bool:
    """Whether nothing was left out at or below `path`: only then does what is absent say something."""
    return not any(gone[: len(path)] == path or path[: len(gone)] == gone for gone in manifest.left_out)


_WHAT = {"samples": "sample set", "models": "model", "targets": "target"}


def check_references(manifest: Manifest, problems: Problems) -> None:
    """Every name of a sample set, model or target that is not defined."""
    every = {section: dict.fromkeys(names(manifest, section)) for section in _WHAT}
    for section, name, path in _references(manifest):
        known = every[section]
        if name not in known:
            what = _WHAT[section]
            of_key = isinstance(path[-1], str) and path[-1] == name
            at = tree.place(manifest.tree, path, of_key)
            problems.error(f"unknown {what} `{name}`", at, advice=nearest(name, known, f"{what}s"))


def _references(manifest: Manifest) -> Iterator[tuple[str, str, tree.Path]]:
    """(section, name, path) of every name that stands for an entry of a section."""
    spec = manifest.spec
    blocks: list[tuple[tree.Path, object]] = [(("defaults",), spec.defaults)]
    blocks += [(("targets", name), target) for name, target in spec.targets.items()]
    for model_name, model in spec.models.items():
        blocks.append((("models", model_name), model))
        for target_name, settings in model.targets.items():
            yield "targets", target_name, ("models", model_name, "targets", target_name)
            blocks.append((("models", model_name, "targets", target_name), settings))
    for path, block in blocks:
        for key in ("calibration", "evaluation"):
            choice = getattr(block, key)
            name = choice.set if isinstance(choice, SampleChoice) else choice
            if name is not None:
                yield "samples", name, (*path, key, "set")
    for package_name, package in spec.packages.items():
        base: tree.Path = ("packages", package_name)
        if package.target is not None:
            yield "targets", package.target, (*base, "target")
        for index, target_name in enumerate(package.targets or ()):
            yield "targets", target_name, (*base, "targets", index)
        if isinstance(package.models, dict):
            yield from (("models", name, (*base, "models", name)) for name in package.models)
        else:
            yield from (
                ("models", name, (*base, "models", index)) for index, name in enumerate(package.models or ())
            )


def check_environment_values(manifest: Manifest, problems: Problems) -> None:
    """`env:NAME` is for secrets; which keys take one, their types say."""
    secret = {id(tree.find(manifest.tree, path)) for path in _secrets(manifest)}
    for node in _scalars(manifest.tree):
        if id(node) in secret:
            continue
        if node.text.startswith("env:") and re.fullmatch(r"env:[A-Za-z_]\w*", node.text):
            shown = "env:…" if looks_like_a_key(node.text.removeprefix("env:")) else node.text
            problems.error(
                f"`{shown}` cannot stand here",
                node.at,
                "values from the environment are for secrets: others would make builds differ unseen",
                "write the value itself",
            )


def _secrets(manifest: Manifest) -> Iterator[tree.Path]:
    for name in names(manifest, "packages"):
        yield from (("packages", name, "encrypt", key) for key in ("key", "efuse_key"))


def _scalars(node: tree.Node) -> Iterator[tree.Scalar]:
    waiting = [node]
    while waiting:
        node = waiting.pop()
        if isinstance(node, tree.Scalar):
            yield node
        elif isinstance(node, tree.Items):
            waiting += node.nodes
        else:
            waiting += [entry.node for entry in node.entries.values()]


def check_toolchains(manifest: Manifest, problems: Problems) -> None:
    """Toolchains that do not exist, or that this version cannot drive."""
    for name, target in manifest.spec.targets.items():
        written = target.toolchain
        if written is None:
            recipe = manifest.recipes.get(name)
            written = recipe.toolchain if recipe else "builtin"
        at = tree.place(manifest.tree, ("targets", name, "toolchain"))
        kind, versioned, version = written.partition("@")
        if kind not in TOOLCHAINS:
            problems.error(
                f"unknown toolchain `{written}`", at, advice=nearest(kind, TOOLCHAINS, "toolchains")
            )
        elif kind != "builtin":
            problems.error(f"the toolchain {kind} is not built yet", at, advice="write `toolchain: builtin`")
        elif versioned:
            problems.error(
                f"the builtin toolchain has no version `{version}` to choose",
                at,
                "its version is that of modelbuild",
                "write `toolchain: builtin`",
            )
