"""Files that are not imported: the lines that export them, in their own names."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path

import pytest

from modelbuild import importers
from modelbuild.errors import ModelbuildError


def advice(path: Path) -> str:
    with pytest.raises(ModelbuildError, match="cannot be imported") as caught:
        importers.importer_for(path)
    assert caught.value.exit_code == 2
    return caught.value.problems[0].advice


def archive(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as made:
        for name, data in members.items():
            made.writestr(f"net/{name}", data)
    return path


def reduced(module: str, name: str) -> bytes:
    """A pickle that names a class, as torch.save writes them: protocol 2."""
    return b"\x80\x02c" + f"{module}\n{name}\n".encode() + b"."


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".ckpt", ".PTH"])
def test_a_pickled_module(tmp_path: Path, suffix: str) -> None:
    path = archive(tmp_path / f"my net{suffix}", **{"data.pkl": reduced("zoo.nets", "Small")})
    found = advice(path)
    assert f"model = torch.load('my net{suffix}', map_location='cpu', weights_only=False)" in found
    assert "needs zoo.nets.Small to be importable" in found
    assert "torch.onnx.export(model, torch.zeros(1, 3, 224, 224), 'my net.onnx', opset_version=17)" in found


@pytest.mark.parametrize("module", ["torch.nn.modules.container", "torchvision.models.resnet"])
def test_a_module_of_a_library_is_no_weights(tmp_path: Path, module: str) -> None:
    found = advice(archive(tmp_path / "net.pth", **{"data.pkl": reduced(module, "Net")}))
    assert "YourModel" not in found and ("needs torchvision" in found) is (module[:11] == "torchvision")


def test_weights_alone_need_their_class(tmp_path: Path) -> None:
    data = reduced("torch._utils", "_rebuild_tensor_v2")
    found = advice(archive(tmp_path / "net.pth", **{"data.pkl": data}))
    assert "model = YourModel()" in found and "model.load_state_dict(state)" in found
    assert "weights_only=True" in found


def test_torchscript_and_exported_programs(tmp_path: Path) -> None:
    script = archive(tmp_path / "net.pt", **{"code/__torch__.py": b"", "data.pkl": b"", "constants.pkl": b""})
    assert "model = torch.jit.load('net.pt', map_location='cpu')" in advice(script)
    exported = archive(tmp_path / "net.pt2", **{"serialized_exported_program.json": b"{}"})
    assert "model = torch.export.load('net.pt2').module()" in advice(exported)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"\x80\x02.", b"\0" * 1000])
def test_what_cannot_be_looked_into_is_taken_for_a_module(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "net.pth").write_bytes(data)
    assert "torch.load('net.pth'" in advice(tmp_path / "net.pth")
    assert "torch.load('gone.pth'" in advice(tmp_path / "gone.pth")


def test_nothing_in_a_pickle_is_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "ran",))

    advice(archive(tmp_path / "net.pth", **{"data.pkl": pickle.dumps(Evil(), protocol=2)}))
    advice(archive(tmp_path / "cut.pth", **{"data.pkl": pickle.dumps(Evil(), protocol=2)[:-9]}))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("frozen.pb", "tf2onnx.convert --graphdef frozen.pb --inputs INPUT:0 --outputs OUTPUT:0"),
        ("net/saved_model.pb", "tf2onnx.convert --saved-model net --opset 17 --output net.onnx"),
        ("step-5.meta", "tf2onnx.convert --checkpoint step-5.meta"),
        ("step-5.index", "tf2onnx.convert --checkpoint step-5.meta"),
        ("net.caffemodel", "`source: net.prototxt` and `weights: net.caffemodel`"),
        ("net.xyz", "convert the model to ONNX"),
    ],
)
def test_other_frameworks(tmp_path: Path, name: str, words: str) -> None:
    assert words in advice(tmp_path / name)


def test_a_caffemodel_goes_with_the_network_beside_it(tmp_path: Path) -> None:
    (tmp_path / "deploy.prototxt").write_text("", encoding="utf-8")
    (tmp_path / "net.caffemodel").write_bytes(b"x")
    with pytest.raises(ModelbuildError) as caught:
        importers.load(tmp_path / "net.caffemodel")
    assert "`source: deploy.prototxt` and `weights: net.caffemodel`" in caught.value.problems[0].advice


def test_a_file_that_is_not_there_is_no_wrong_format(tmp_path: Path) -> None:
    with pytest.raises(ModelbuildError, match="there is no file mdl"):
        importers.load(tmp_path / "mdl")


def test_a_saved_model_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net/saved_model.pb").write_bytes(b"")
    assert "--saved-model net --opset 17 --output net.onnx" in advice(tmp_path / "net")


def test_the_manifest_says_so_where_the_source_is_named(tmp_path: Path) -> None:
    from modelbuild.manifest.load import load

    (tmp_path / "net").mkdir()
    (tmp_path / "net/saved_model.pb").write_bytes(b"")
    (tmp_path / "models.yaml").write_text("modelbuild: 1\nmodels: {net: {source: net}}\n", encoding="utf-8")
    with pytest.raises(ModelbuildError) as caught:
        load(tmp_path / "models.yaml")
    [problem] = caught.value.problems
    assert problem.what == "TensorFlow SavedModel folders cannot be imported"
    assert problem.where == "models.yaml:2:24" and "--saved-model net" in problem.advice


@pytest.mark.parametrize("suffix", importers.IMPORTERS)
def test_every_format_names_its_file_in_errors(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"net{suffix}"
    path.write_bytes(b"no model at all")
    weights = tmp_path / "net.caffemodel" if suffix == ".prototxt" else None
    if weights is not None:
        weights.write_bytes(b"")
    with pytest.raises(ModelbuildError) as caught:
        importers.load(path, None, (), weights)
    assert str(tmp_path) in str(caught.value) and caught.value.exit_code == 2
