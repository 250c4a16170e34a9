"""Packages that are encrypted, in stages: what they are told of keys, and how they get at these."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from modelbuild.stages.request import PackageRequest

if TYPE_CHECKING:
    from modelbuild.formats.sealed_keys import Secrets

PROGRAM = "program"  # the format that a program's parts are sealed as
_SIZES = struct.Struct("<3Q")


def parameters(request: PackageRequest) -> dict[str, Any]:
    """What enters the action's key: the mode, and a fingerprint that changes with the keys."""
    if request.keys is None:
        return {}
    keys = request.keys
    told = {"mode": keys.mode, "fingerprint": keys.fingerprint, "cache_plaintext": keys.cache_plaintext}
    return {"encrypt": told}


def unkeyed(request: PackageRequest) -> dict[str, Any]:
    """Where the keys are: names of variables and the path of a file."""
    return {} if request.keys is None else {"keys": request.keys.sources._asdict()}


def variables(request: PackageRequest) -> tuple[str, ...]:
    """The environment variables that the keys are in: none but the actions that need them are lent them."""
    return () if request.keys is None else request.keys.sources.variables


def secrets(parameters: Mapping[str, Any]) -> Secrets:
    """The keys, from what this process is lent. Raises where they are not those that were planned with."""
    from modelbuild.build import lent
    from modelbuild.errors import ModelbuildError
    from modelbuild.formats import sealed_keys

    told = parameters["encrypt"]
    found = sealed_keys.read(sealed_keys.Sources(**parameters["keys"]), lent.environment())
    if sealed_keys.fingerprint(found, told["mode"]) != told["fingerprint"]:
        raise ModelbuildError(
            "the keys changed while the package was built", advice="build again", exit_code=1, passing=True
        )
    return found


def bundled(parts: Sequence[bytes]) -> bytes:
    """Three parts as one: their sizes, 64 bits each, then the parts."""
    return _SIZES.pack(*map(len, parts)) + b"".join(parts)


def unbundled(data: bytes) -> tuple[bytes, bytes, bytes]:
    """The inverse of `bundled`."""
    first, second, _ = _SIZES.unpack_from(data)
    start = _SIZES.size
    return (
        data[start : start + first],
        data[start + first : start + first + second],
        data[start + first + second :],
    )
