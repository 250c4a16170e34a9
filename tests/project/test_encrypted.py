"""Encrypted packages, built whole: they run with their keys, and these, and the plaintext, are nowhere."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modelbuild import api
from modelbuild.cli.main import main
from modelbuild.errors import ModelbuildError
from modelbuild.formats import nef, nef_header, sealed, sealed_keys
from modelbuild.project.project import STATE
from tests.formats import independent_nef
from tests.project.small_project import write_manifest, write_model, write_samples

KEY, EFUSE = "0x8F3Ac0DE11223344aabbCCdd55667788", "5eedBeefCafeD00d0102030405060708"
FILE = b"the content of the key file \xff\x00\x01 is a secret, too\n"
MANIFEST = """\
samples: {some: {files: "data/*.npy"}}
defaults: {calibration: some}
models: {a: {source: a.onnx}, b: {source: b.onnx}}
targets: {cam: {chip: kl720}}
packages:
  p: {target: cam, models: {a: {id: 32768}, b: {id: 32769}}, encrypt: {ENCRYPT}}
"""
MODE_1 = "mode: 1, key: env:MB_TEST_KEY, key_file: keys/enc.txt, efuse_key: env:MB_TEST_EFUSE"
KEYS = {"key": "env:MB_TEST_KEY", "key_file": "keys/enc.txt", "efuse_key": "env:MB_TEST_EFUSE"}
PACKAGE = "dist/p/models_720.sim.nef.enc"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "project"
    for seed, name in enumerate("ab"):
        write_model(root / f"{name}.onnx", seed)
    write_samples(root / "data")
    (root / "keys").mkdir()
    (root / "keys/enc.txt").write_bytes(FILE)
    (root / "keys/enc.txt").chmod(0o600)
    write_manifest(root, MANIFEST.replace("ENCRYPT", MODE_1))
    monkeypatch.setenv("MB_TEST_KEY", KEY)
    monkeypatch.setenv("MB_TEST_EFUSE", EFUSE)
    monkeypatch.chdir(root)
    return root


def build(folder: Path, *words: str) -> Any:
    return api.build(api.open_project(folder), words, api.BuildOptions(jobs=1))


def traces_of_keys() -> Iterator[bytes]:
    for text in (KEY.removeprefix("0x"), EFUSE):
        raw = bytes.fromhex(text)
        yield from (raw, base64.b64encode(raw).rstrip(b"="), base64.urlsafe_b64encode(raw).rstrip(b"="))
        yield from (form.encode() for form in (text, text.lower(), text.upper()))
        yield hashlib.sha256(raw).hexdigest().encode()
    yield from (FILE, FILE.strip(), base64.b64encode(FILE)[:24], FILE.hex().encode())
    yield hashlib.sha256(FILE).hexdigest().encode()
    yield hashlib.sha256(FILE).digest()


def every_file(folder: Path) -> Iterator[tuple[Path, bytes]]:
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink() and path.relative_to(folder) != Path("keys/enc.txt"):
            yield path, path.read_bytes()


@pytest.mark.usefixtures("started_workers")
def test_no_key_is_left_anywhere(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    recording = ["--events", "e.jsonl", "--trace", "t.json", "--profile"]
    assert main(["build", "-C", str(folder), "-v", "-j", "1", *recording]) == 0
    assert (folder / PACKAGE).is_file()
    assert (folder / "e.jsonl").is_file() and (folder / "t.json").is_file()
    keys = ["--key", KEYS["key"], "--key-file", KEYS["key_file"], "--efuse-key", KEYS["efuse_key"]]
    for words in (
        ["build", "--json"],
        ["status", "-v"],
        ["why", "p:package"],
        ["config", "a@cam"],
        ["check", "--json"],
        ["graph"],
        ["inspect", PACKAGE, "--json"],
        ["run", PACKAGE, "--model", "a", "--input", "data/0.npy", *keys, "--json"],
        ["lock"],
        ["build", "--locked"],
    ):
        assert main([*words, "-C", str(folder)]) == 0, words
    assert main(["run", PACKAGE, "--input", "data/0.npy", *keys[:-1], KEY, "-C", str(folder)]) == 2
    out, err = capfd.readouterr()
    said = (out + err).encode()
    for trace in traces_of_keys():
        assert trace not in said
        assert trace.hex() not in out + err
        for path, content in every_file(folder):
            assert trace not in content, f"{path} holds {trace!r}"


def test_the_plaintext_of_the_last_step_is_not_in_the_cache(folder: Path) -> None:
    assert build(folder).ok
    secrets = sealed_keys.read(sealed_keys.named(KEYS, folder))
    plain = sealed.open_sealed((folder / PACKAGE).read_bytes(), secrets)
    assert [model["id"] for model in independent_nef.parse(plain)["models"]] == [32768, 32769]
    assert sorted(path.name for path in (folder / "dist/p").iterdir()) == [
        "a.json",
        "b.json",
        "models_720.sim.nef.enc",
    ]
    for path, content in every_file(folder):
        assert plain not in content and not nef_header.is_nef(content), path
    project = api.open_project(folder)
    result = project.builder.build(project.plan.actions, ["p:package"], jobs=1)
    left = result.outputs["p:package"]
    assert set(left) == {
        "files/models_720.sim.nef.enc",
        "models/a.json",
        "models/b.json",
        "package.json",
        "programs/a.enc",
        "programs/b.enc",
    }
    for name in filter(lambda name: name.endswith(".enc"), left):
        content = project.builder.output(result, "p:package", name).read_bytes()
        assert sealed.read_header(content).format == ("nef" if "files/" in name else "program")
    assert json.loads((folder / "reports/p/report.json").read_text())["package"]["encrypted"] == {"mode": 1}
    report = (folder / "reports/p/report.html").read_text()
    assert "The package is encrypted (mode 1)" in report


def test_plaintext_is_cached_where_that_is_asked_for(folder: Path) -> None:
    write_manifest(folder, MANIFEST.replace("ENCRYPT", MODE_1 + ", cache_plaintext: true"))
    assert build(folder).ok
    project = api.open_project(folder)
    names = {name for name in outputs(project, "p:package") if name.startswith("programs/")}
    assert names == {f"programs/{m}.{part}.bin" for m in "ab" for part in ("command", "weights", "host")}
    assert build(folder).count("run") == 0


def outputs(project: Any, action: str) -> set[str]:
    result = project.builder.build(project.plan.actions, [action], jobs=1)
    return set(result.outputs[action])


def test_builds_follow_the_keys(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert build(folder).ok
    first = (folder / PACKAGE).read_bytes()
    again = build(folder)
    assert (again.count("run"), (folder / PACKAGE).read_bytes()) == (0, first)
    monkeypatch.setenv("MB_TEST_KEY", KEY[2:].lower())  # the same key
    assert build(folder).count("run") == 0
    monkeypatch.setenv("MB_TEST_KEY", EFUSE)
    other = build(folder)
    ran = {name for name, state in other.states.items() if state == "run"}
    assert ran == {"p:package", "p/a:verify_hardware", "p/b:verify_hardware", "p:gate", "p:report"}
    assert (folder / PACKAGE).read_bytes()[48:64] != first[48:64]
    (folder / "keys/enc.txt").write_bytes(b"another")
    assert build(folder).states["p:package"] == "run"
    (folder / "keys/enc.txt").write_bytes(FILE)
    monkeypatch.setenv("MB_TEST_KEY", KEY)
    assert build(folder).count("run") == 0
    assert (folder / PACKAGE).read_bytes() == first


def test_one_model_that_changes_is_verified_alone(folder: Path) -> None:
    assert build(folder).ok
    write_model(folder / "b.onnx", 77)
    states = build(folder).states
    assert (states["p/a:verify_hardware"], states["p/b:verify_hardware"]) == ("cached", "run")


def test_it_runs_with_its_keys_alone(folder: Path) -> None:
    assert build(folder).ok
    found = api.run(folder / PACKAGE, "data/0.npy", model="a", keys=KEYS)
    form = api.open_form(api.open_project(folder), "a@cam", "hardware")
    right = api.run_opened(form, "data/0.npy", base=folder)
    assert (found.outputs["scores"] == right.outputs["scores"]).all()
    assert problem(lambda: api.run(folder / PACKAGE, "data/0.npy")) == (
        "the package is encrypted, and runs with its keys only"
    )
    few = {"key": KEYS["key"], "key_file": KEYS["key_file"]}
    assert problem(lambda: api.run(folder / PACKAGE, "data/0.npy", keys=few)).startswith(
        "the file was encrypted in mode 1, with key, key file, efuse key"
    )
    wrong = {**KEYS, "key": KEYS["efuse_key"]}
    assert problem(lambda: api.run(folder / PACKAGE, "data/0.npy", keys=wrong)).startswith(
        "the package cannot be opened"
    )
    shown = api.inspect(folder / PACKAGE)
    assert (shown["format"], shown["mode"], shown["contains"]["format"]) == ("sealed", 1, "nef")
    assert shown["needs"] == ["key", "key_file", "efuse_key"]


def problem(call: Any) -> str:
    with pytest.raises(ModelbuildError) as raised:
        call()
    assert raised.value.exit_code == 2
    return raised.value.problems[0].what


def test_without_its_key_only_the_package_is_not_built(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MB_TEST_KEY")
    with pytest.raises(ModelbuildError) as raised:
        build(folder)
    (found,) = raised.value.problems
    assert (found.what, found.where) == ("the environment has no key in MB_TEST_KEY", "models.yaml:7:86")
    assert not (folder / STATE / "records").exists() or not (folder / "dist").exists()
    report = build(folder, "a@cam")
    assert report.ok and [one["code"] for one in report.warnings] == ["MB012"]


def test_a_package_that_is_encrypted_for_a_while(folder: Path) -> None:
    plain = MANIFEST.replace(", encrypt: {ENCRYPT}", "")
    write_manifest(folder, plain)
    assert build(folder).ok
    file = folder / "dist/p/models_720.sim.nef"
    data = file.read_bytes()
    assert main(["build", "-C", str(folder), "-q"]) == 0
    write_manifest(folder, MANIFEST.replace("ENCRYPT", MODE_1))
    assert main(["build", "-C", str(folder), "-q"]) == 0
    assert not file.exists() and (folder / PACKAGE).is_file()
    assert not (folder / "dist/p/a.fixed.onnx").exists()
    write_manifest(folder, plain)
    assert main(["build", "-C", str(folder), "-q"]) == 0
    assert file.read_bytes() == data and not (folder / PACKAGE).exists()
    assert (folder / "dist/p/a.fixed.onnx").is_file()


def test_an_mpk(folder: Path) -> None:
    text = MANIFEST.replace("kl720", "modalix").replace("{a: {id: 32768}, b: {id: 32769}}", "[a]")
    write_manifest(folder, text.replace("ENCRYPT", "mode: 2, efuse_key: env:MB_TEST_EFUSE"))
    assert build(folder).ok
    path = folder / "dist/p/a_mpk.sim.tar.gz.enc"
    assert sealed.read_header(path.read_bytes()).format == "mpk"
    assert api.run(path, "data/0.npy", keys={"efuse_key": KEYS["efuse_key"]}).level == "hardware"


def test_included_models_are_packaged_and_not_verified(folder: Path) -> None:
    write_manifest(
        folder,
        MANIFEST.replace(", encrypt: {ENCRYPT}", "").replace("b: {id: 32769}", "")
        + "  old: {target: cam, models: {b: {id: 32769}}}\n",
    )
    assert build(folder, "old").ok
    (folder / "old.nef").write_bytes((folder / "dist/old/models_720.sim.nef").read_bytes())
    write_manifest(
        folder,
        MANIFEST.replace("encrypt: {ENCRYPT}", "include: [old.nef]").replace(", b: {id: 32769}", ""),
    )
    report = build(folder)
    (package,) = report.packages
    assert (report.ok, package.gate) == (True, "passed")
    digest = hashlib.sha256((folder / "old.nef").read_bytes()).hexdigest()
    listed = [
        {
            "path": "old.nef",
            "sha256": digest,
            "verified": False,
            "models": [{"id": 32769, "name": "b", "version": "0001"}],
        }
    ]
    assert package.to_json()["included"] == listed
    made = (folder / "dist/p/models_720.sim.nef").read_bytes()
    assert [model.id for model in nef.read(made).models] == [32768, 32769]
    assert all(one.ok for one in nef.read(made).checksums)
    assert [model["id"] for model in independent_nef.parse(made)["models"]] == [32768, 32769]
    assert "p/b:verify_hardware" not in report.states
    assert not (folder / "dist/p/b.json").exists()
    for model in "ab":
        assert api.run(folder / "dist/p/models_720.sim.nef", "data/0.npy", model=model).samples == 1
    assert json.loads((folder / "reports/p/report.json").read_text())["package"]["included"] == listed
    assert "not verified" in (folder / "reports/p/report.html").read_text()
    assert build(folder).count("run") == 0

    from modelbuild.formats import nef_edit

    changed = nef_edit.edited(nef.read((folder / "old.nef").read_bytes()), {}, {32769: 7})
    (folder / "old.nef").write_bytes(nef.write(changed))
    again = build(folder)
    assert again.states["p:package"] == "run" and again.states["p/a:verify_hardware"] == "cached"
    (folder / "old.nef").unlink()
    with pytest.raises(ModelbuildError) as raised:
        build(folder)
    assert raised.value.problems[0].what == "old.nef is not there"


SPY = """
import json, os
from pathlib import Path

def look(outputs, labels):
    found, pid = [dict(os.environ)], os.getpid()
    while pid > 1:
        try:
            text = Path(f"/proc/{pid}/environ").read_bytes().decode("utf-8", "replace")
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except PermissionError:
            break
        found.append(text)
    with open(os.environ["MB_TEST_SEEN"], "a") as file:
        file.write(json.dumps(found))
    return 1.0

def post(outputs, inputs):
    return look(outputs, None)
"""


@pytest.mark.usefixtures("started_workers")
def test_no_process_of_a_users_has_the_keys(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen = tmp_path / "seen"
    monkeypatch.setenv("MB_TEST_SEEN", str(seen))
    (folder / "spy.py").write_text(SPY)
    text = MANIFEST.replace("ENCRYPT", MODE_1).replace(
        "{source: a.onnx}",
        "{source: a.onnx, evaluation: some, verify: {hardware: all}, accept: {function: {spy.py:look: 1.0}},"
        " postprocess: spy.py:post}",
    )
    plain = "  q: {target: cam, models: {a: {id: 32768}}}\n"
    write_manifest(folder, text + plain)
    words = ["-C", str(folder), "-q"]
    assert main(["build", *words]) == 0
    keys = ["--key", KEYS["key"], "--key-file", KEYS["key_file"], "--efuse-key", KEYS["efuse_key"]]
    sample = ["--input", "data/0.npy", *words]
    assert main(["run", PACKAGE, "--model", "a", "--postprocess", "spy.py:post", *keys, *sample]) == 0
    assert main(["run", "a@cam", "--level", "hardware", "--post", *sample]) == 0
    assert main(["build", "q", *words]) == 0
    write_model(folder / "a.onnx", 5)
    assert main(["build", "q", *words]) == 0  # from what is remembered, without the manifest
    found = seen.read_text()
    assert found.count("MB_TEST_SEEN") >= 12
    assert "MB_TEST_KEY" not in found and "MB_TEST_EFUSE" not in found


def test_a_package_without_its_key_fails_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With keep_going the others are made; without it nothing is begun."""
    plain = "  plain: {target: cam, models: {a: {id: 32768}}}\n"
    write_manifest(folder, MANIFEST.replace("ENCRYPT", MODE_1) + plain)
    monkeypatch.delenv("MB_TEST_KEY")
    with pytest.raises(ModelbuildError, match="no key in MB_TEST_KEY"):
        build(folder)
    project = api.open_project(folder)
    report = api.build(project, (), api.BuildOptions(jobs=1, keep_going=True))
    assert not report.ok and (folder / "dist/plain/models_720.sim.nef").is_file()
    assert not (folder / "dist/p").exists()
    assert [action for action, state in report.states.items() if state == "failed"] == ["p:package"]
    said = str(dict(report.failures)["p:package"])
    assert "no key in MB_TEST_KEY" in said and "do:" in said
    monkeypatch.setenv("MB_TEST_KEY", KEY)
    lines = "\n".join(one.text() for one in api.why(api.open_project(folder), "p:package"))
    assert "a secret of parameters.encrypt is there now" in lines
    assert build(folder).ok and (folder / PACKAGE).is_file()
    monkeypatch.setenv("MB_TEST_KEY", "11" * 16)
    lines = "\n".join(one.text() for one in api.why(api.open_project(folder), "p:package"))
    assert "a secret of parameters.encrypt changed" in lines and "fingerprint" not in lines
