"""What the builder runs: a function's name, its parameters, and where its input files come from."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any, NamedTuple

DISCOVERED = "discovered/"  # role prefix of files that an action's `discover` function found
OFFLINE = "MODELBUILD_OFFLINE"  # "1" in the environment of workers that may fetch nothing
FAILURE = ".failure"  # role suffix under which the failure of a soft input arrives


class FileInput(NamedTuple):  # no dataclass, as in modelbuild.errors
    """A file of the user's; of `path`, relative to the project root, only the suffix enters the key, in small
    letters, because by that stages choose how to read; the digest of its bytes does."""

    path: str


class OutputOf(NamedTuple):
    """One output file of another action; `name` is its relative POSIX path among that action's outputs."""

    action: str
    name: str


class Resources(NamedTuple):
    """What one action takes while it runs: `threads` that compute, and bytes of main memory.

    The memory is `memory` + `memory_per_input_byte` * the sum of the sizes of its input files: of the roles
    in `counted`, or of all if that is empty.
    """

    threads: int = 1
    memory: int = 256 * 2**20
    memory_per_input_byte: float = 0.0
    counted: tuple[str, ...] = ()

    def bytes_for(self, input_bytes: int) -> int:
        """The memory of an action whose input files have `input_bytes` bytes together."""
        return self.memory + round(self.memory_per_input_byte * input_bytes)


class Action(NamedTuple):
    """One unit of work.

    `function` is `"module:function"`, called in a worker as
    `function(inputs: Mapping[str, Path], parameters: Mapping[str, Any], out: Path) -> None`; every file it
    leaves in `out` is an output. `version` changes when the function's results do. `inputs` must have been
    built; a soft input may have failed, and then its role is absent and `<role>.failure` is a JSON file that
    says why. `discover` is `"module:function"`, called as `(inputs, parameters) -> list of paths`; the files
    it names become inputs of the roles `discovered/<path relative to `base`>`. `toolchain` is the
    fingerprint of an external tool and `libraries` the versions of the libraries the function relies on.
    `always` actions run, once what they read is settled, also in a build that has stopped, and their own
    failure stops none; it enters no key. `unkeyed` reaches the function among the parameters but enters no
    key: it must not decide what comes out, as the address of a file whose digest is a parameter does not.
    `resources` decides only when the action starts. `secrets` are names of variables of the builder's
    environment that this function may ask for, by `lent.environment`; no other process of the build has them.
    """

    name: str
    function: str
    version: str
    parameters: Mapping[str, Any] = {}
    inputs: Mapping[str, FileInput | OutputOf] = {}
    soft_inputs: Mapping[str, OutputOf] = {}
    discover: str | None = None
    toolchain: str = ""
    libraries: Mapping[str, str] = {}
    always: bool = False
    resources: Resources = Resources()
    unkeyed: Mapping[str, Any] = {}
    secrets: tuple[str, ...] = ()

    def paths(self) -> dict[str, str]:
        """Role -> path, relative to the root, of the inputs that are files of the user's; sorted by role."""
        files = sorted(
            (role, source) for role, source in self.inputs.items() if isinstance(source, FileInput)
        )
        return {role: source.path for role, source in files}

    @property
    def base(self) -> str:
        """The folder, relative to the root, that found files are named from: that of the first file."""
        return posixpath.dirname(next(iter(self.paths().values()), ""))

    def dependencies(self) -> set[str]:
        """Names of the actions whose end this one waits for, hard and soft."""
        hard = {source.action for source in self.inputs.values() if isinstance(source, OutputOf)}
        return hard | {source.action for source in self.soft_inputs.values()}
