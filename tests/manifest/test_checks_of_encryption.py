"""`encrypt:`: what each mode takes, what is no key, and that no message shows one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.formats import sealed_keys
from modelbuild.formats.sealed_keys import Secrets
from modelbuild.manifest.plan import plan

Place = Callable[[str, str], str]
HEAD = """\
modelbuild: 1
samples: {faces: {files: faces/*.png}}
defaults: {calibration: faces}
models: {one: {source: net.onnx}}
targets: {cam: {chip: kl720}}
packages:
"""
KEY, EFUSE = "0x00112233445566778899AABBCCDDEEFF", "ffeeddccbbaa99887766554433221100"
MODE_1 = "mode: 1, key: env:K, key_file: enc.txt"
MODE_2 = "mode: 2, efuse_key: env:E"


@pytest.fixture(autouse=True)
def keys(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write("enc.txt", "what the file holds").chmod(0o600)
    monkeypatch.setenv("K", KEY)
    monkeypatch.setenv("E", EFUSE)


def package(encrypt: str) -> str:
    return HEAD + f"  p: {{target: cam, models: {{one: {{id: 32768}}}}, encrypt: {{{encrypt}}}}}\n"


@pytest.mark.parametrize(
    ("encrypt", "secrets"),
    [
        (MODE_1, Secrets(bytes.fromhex(KEY[2:]), b"what the file holds")),
        (
            MODE_1 + ", efuse_key: env:E",
            Secrets(bytes.fromhex(KEY[2:]), b"what the file holds", bytes.fromhex(EFUSE)),
        ),
        (MODE_2, Secrets(efuse_key=bytes.fromhex(EFUSE))),
    ],
)
def test_what_planning_knows_of_keys(project: Any, encrypt: str, secrets: Secrets) -> None:
    manifest = project.load(package(encrypt))
    found = manifest.keys["p"]
    assert found.fingerprint == sealed_keys.fingerprint(secrets, secrets.mode)
    assert (found.mode, found.missing, found.cache_plaintext) == (secrets.mode, (), False)
    assert manifest.warnings == ()
    planned = repr(plan(manifest).actions).lower()
    assert found.fingerprint in planned
    assert KEY[2:].lower() not in planned and EFUSE not in planned and "what the file" not in planned


@pytest.mark.parametrize(
    ("encrypt", "at", "what"),
    [
        ("mode: 1, key: env:K", "encrypt", "mode 1 needs `key_file`"),
        ("mode: 1, key_file: enc.txt", "encrypt", "mode 1 needs `key`"),
        ("mode: 2", "encrypt", "mode 2 needs `efuse_key`"),
        ("mode: 2, efuse_key: env:E, key: env:K", "key: env:K", "mode 2 takes no `key`"),
        ("mode: 2, efuse_key: env:E, key_file: enc.txt", "key_file", "mode 2 takes no `key_file`"),
        ("mode: 3, efuse_key: env:E", "3,", "`mode`: expected 1 or 2; what stands here is not shown"),
        ("key: env:K, key_file: enc.txt", "encrypt", "the key `mode` is missing in `encrypt`"),
        (MODE_1 + ", iv: 1", "iv", "unknown key in `encrypt`; what stands here is not shown"),
        (
            "mode: 1, key: c0ffee, key_file: enc.txt",
            "c0ffee",
            "`key`: expected `env:NAME`, the name of an environment variable; what stands here is not shown",
        ),
        (
            "mode: 2, efuse_key: 0x12345678",
            "0x1234",
            "`efuse_key`: expected `env:NAME`, the name of an environment variable; what stands here is not "
            "shown",
        ),
        ("mode: 1, key: env:K, key_file: env:E", "env:E", "`env:E` cannot stand here"),
    ],
)
def test_wrong_combinations(project: Any, place: Place, encrypt: str, at: str, what: str) -> None:
    text = package(encrypt)
    found = project.errors(text)
    assert found[0] == (place(text, at), what)
    assert len(found) == 1
    assert not any("c0ffee" in said or "12345678" in said for _, said in found)


LONG = "deadbeefcafe00112233445566778899"


@pytest.mark.parametrize(
    "encrypt",
    [
        f"mode: 2, efuse_key: env:{LONG}",
        f"mode: 1, key: env:{LONG}, key_file: enc.txt",
        f"{LONG}: env:E, mode: 2",
        f"mode: {LONG}, efuse_key: env:E",
        f"{MODE_2}, cache_plaintext: {LONG}",
        f"{MODE_2}, key: [{LONG}]",
        f"{MODE_2}, key: {{{LONG}: 1}}",
        f"{MODE_2}, cache_plaintext: {{{LONG}: 1}}",
        f"mode: 1, key: env:K, key_file: {LONG}",
        f"mode: 1, key: env:K, key_file: env:{LONG}",
        f"mode: 1, key: env:K, key_file: [{LONG}]",
        f"mode: 2, efuse_key: *{LONG}",
        f"mode: 2, {LONG}: 1, {LONG}: 2",
    ],
)
def test_a_key_in_the_wrong_place_is_never_shown(project: Any, encrypt: str) -> None:
    try:
        said = str(project.warnings(package(encrypt)))
    except ModelbuildError as error:
        said = str(error)
    assert said and LONG[:8] not in said


def test_a_key_in_place_of_the_mapping_is_not_shown(project: Any) -> None:
    text = HEAD + "  p: {target: cam, models: {one: {id: 32768}}, encrypt: c0ffee00}\n"
    assert [what for _, what in project.errors(text)] == [
        "`encrypt`: expected a mapping; what stands here is not shown"
    ]


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ("c0ffee!!", "the key in K is not hexadecimal"),
        ("c0ffe", "the key in K has an odd number of hex digits"),
        ("00" * 600, "the key in K has more than 1024 hex digits"),
    ],
)
def test_what_is_no_key(
    project: Any, place: Place, monkeypatch: pytest.MonkeyPatch, value: str, what: str
) -> None:
    monkeypatch.setenv("K", value)
    text = package(MODE_1)
    assert project.errors(text) == [(place(text, "env:K"), what)]
    with pytest.raises(ModelbuildError) as raised:
        project.load(text)
    assert value not in str(raised.value)


@pytest.mark.parametrize(
    ("mode", "content", "what"),
    [
        (0o644, "x", "the key file is open to others"),
        (0o660, "x", "the key file is open to others"),
        (0o600, "", "the key file is empty"),
        (0o600, "x" * (1 + (1 << 20)), "the key file has more than 1 MiB"),
    ],
)
def test_key_files(project: Any, place: Place, mode: int, content: str, what: str) -> None:
    project.write("enc.txt", content).chmod(mode)
    text = package(MODE_1)
    assert project.errors(text) == [(place(text, "enc.txt"), what)]


def test_what_is_not_there_is_told_and_stops_nothing(
    project: Any, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("K")
    (project.root / "enc.txt").unlink()
    text = package(MODE_1)
    assert project.warnings(text) == [
        ("MB012", 7, "the environment has no key in K"),
        ("MB012", 7, "there is no key file enc.txt"),
    ]
    found = project.load(text).keys["p"]
    assert found.fingerprint == ""
    assert found.missing == (
        ("the environment has no key in K", place(text, "env:K")),
        ("there is no key file enc.txt", place(text, "enc.txt")),
    )


def test_short_keys_are_warned_of(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K", "0x12345678")
    message = "the key has less than 128 bits: all such keys can be tried"
    assert project.warnings(package(MODE_1)) == [("MB013", 7, message)]
    assert project.warnings(package(MODE_1 + ", efuse_key: env:E")) == []


def test_only_what_needs_keys_is_planned_with_them(project: Any) -> None:
    def actions(text: str) -> dict[str, Any]:
        return {action.name: action for action in plan(project.load(text)).actions}

    plain = actions(HEAD + "  p: {target: cam, models: {one: {id: 32768}}}\n")
    hidden = actions(package(MODE_1))
    cached = actions(package(MODE_1 + ", cache_plaintext: true"))
    changed = {name for name in plain if plain[name] != hidden[name]}
    assert changed == {"p:package", "p/one:verify_hardware"}
    assert {name for name in plain if plain[name] != cached[name]} == {"p:package"}
    assert set(hidden["p:package"].parameters["encrypt"]) == {"mode", "fingerprint", "cache_plaintext"}
    assert hidden["p:package"].unkeyed["keys"] == {
        "key": "K",
        "key_file": str(Path(project.root) / "enc.txt"),
        "efuse_key": None,
    }
