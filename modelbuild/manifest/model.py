"""The entries of models.yaml: samples, models, targets, packages, and the file as a whole."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from modelbuild import address
from modelbuild.manifest.inputs import Input
from modelbuild.manifest.options import Settings
from modelbuild.manifest.scalars import (
    AS_LIST,
    AS_MAPPING,
    AS_SCALAR,
    BY_KIND,
    AsOneOrMany,
    AsText,
    AsTuple,
    Integer,
    Name,
    NameText,
    Section,
    Switch,
    Text,
    Version1,
    read_integer,
)
from modelbuild.manifest.secrets import AsHiddenMapping, Secret
from modelbuild.manifest.strict import Strict, refuse

FIXED_SUFFIX = ".fixed.onnx"
Files = Annotated[tuple[Text, ...], AsOneOrMany]


class Project(Strict):
    """The project's name and version, for reports."""

    name: Text = Field(description="name of the project")
    version: Text = Field("0", description="version of the project, read as text")


class InputFiles(Strict):
    """The files of one input."""

    files: Files = Field(description="a glob, a path, or a list of those")


class SampleSet(Strict):
    """A named set of samples."""

    files: Files | None = Field(None, description="a glob, a path, or a list of those: images, .npy, .npz")
    inputs: dict[str, InputFiles] | None = Field(
        None, description="for models of several inputs: files of each input, paired by stem"
    )
    labels: Text | None = Field(
        None, description="file of labels (lines `path label`, csv or json), or `folders`: a folder a class"
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.files is None) == (not self.inputs):
            raise refuse("a sample set has exactly one of `files` and `inputs`", "write `files: data/*.jpg`")
        return self


class Source(Strict):
    """A source file, with its digest."""

    path: Text | None = Field(None, description="path of the model file")
    url: Text | None = Field(None, description="https address of the model file; needs sha256")
    sha256: Annotated[Text, Field(pattern=r"^[0-9a-fA-F]{64}$")] | None = Field(
        None, description="SHA-256 of the file, 64 hex digits; another file is an error"
    )

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.path is None) == (self.url is None):
            raise refuse("a source has exactly one of `path` and `url`", "write `source: models/name.onnx`")
        if self.url is not None and self.sha256 is None:
            raise refuse(
                "a source with a `url` needs its `sha256`",
                f"add `sha256:` with the 64 hex digits that `{address.how_to_digest(self.url)}` prints",
            )
        return self


class Model(Settings):
    """A model."""

    source: Annotated[Annotated[Text, AS_SCALAR] | Annotated[Source, AS_MAPPING], BY_KIND] = Field(
        description="the model file: .onnx, .tflite, .h5, .hdf5, .keras or .prototxt, "
        "or a .fixed.onnx of modelbuild's"
    )
    weights: Text | None = Field(None, description="the weights file, where the format keeps them apart")
    inputs: dict[str, Input] = Field(
        default_factory=dict, description="shape and preprocessing of inputs, by name"
    )
    labels: Text | None = Field(
        None, description="a text file with the name of a class on each line, for MODEL.json and firmware"
    )
    postprocess: Text | None = Field(
        None, description="FILE.py:FUNCTION that `run --post` and `compare --post` give the outputs to"
    )
    targets: dict[Name, Settings] = Field(
        default_factory=dict, description="settings of this model on one target"
    )

    @property
    def source_path(self) -> str | None:
        """The source's path, or None where it is an address."""
        return self.source if isinstance(self.source, str) else self.source.path

    @property
    def source_url(self) -> str | None:
        """The source's address, or None where it is a path."""
        return None if isinstance(self.source, str) else self.source.url

    @property
    def source_name(self) -> str:
        """The source's path; of one at an address, the file's name there."""
        return self.source_path or address.file_name(self.source_url or "")

    @property
    def is_fixed(self) -> bool:
        """Whether the source is a fixed-point model of modelbuild's: imported and quantized already."""
        return self.source_name.lower().endswith(FIXED_SUFFIX)

    @property
    def source_digest(self) -> str | None:
        """The SHA-256 that the source must have, in lower case, if one was given."""
        digest = None if isinstance(self.source, str) else self.source.sha256
        return digest.lower() if digest else None


class Target(Settings):
    """A named use of a chip."""

    chip: Text = Field(
        description="name of a chip (`modelbuild chips` lists them), or the path of a recipe file"
    )
    edition: Text | None = Field(
        None, description="edition of the toolchain whose operators are checked; the newest, if left out"
    )
    toolchain: Text | None = Field(None, description="what compiles: builtin (the recipe's, if left out)")


class PackagedModel(Strict):
    """A model's number and version in the package."""

    id: Integer | None = Field(
        None, description="the number by which firmware picks the model; from 32768 for users"
    )
    version: Text | None = Field(None, description="four hex digits")


class Encryption(Strict):
    """How a package is encrypted; docs/format-encrypted.md has the bytes."""

    hides: ClassVar[bool] = True

    mode: Annotated[Literal[1, 2], BeforeValidator(read_integer)] = Field(
        description="1: key and key file, and an efuse key if wanted; 2: efuse key alone"
    )
    key: Secret | None = Field(None, description="env:NAME of the key, hex digits; mode 1")
    key_file: Text | None = Field(
        None, description="path of the key file, which only its owner may read; mode 1"
    )
    efuse_key: Secret | None = Field(None, description="env:NAME of the efuse key, hex digits")
    cache_plaintext: Switch = Field(
        False, description="keep the programs as read back from the package in the cache without encryption"
    )


def _single_target(value: object) -> object:
    if isinstance(value, list):
        raise refuse(
            "a package holds programs of one chip: `target` takes one name",
            "write `targets: [a, b]` for one package each",
        )
    return value


class Package(Strict):
    """What is shipped."""

    target: Annotated[NameText | None, BeforeValidator(_single_target)] = Field(
        None, description="the target that the models are built for"
    )
    targets: Annotated[tuple[NameText, ...], AsTuple, Field(min_length=1)] | None = Field(
        None, description="several targets: one package each, called PACKAGE-TARGET"
    )
    models: (
        Annotated[
            Annotated[dict[str, PackagedModel | None], AS_MAPPING]
            | Annotated[tuple[NameText, ...], AsTuple, AS_LIST],
            BY_KIND,
        ]
        | None
    ) = Field(
        None, description="names, with id and version where the format has them; every model if left out"
    )
    format: Annotated[Literal["nef", "mpk", "kmodel"], AsText] | None = Field(
        None, description="the container; the recipe's, if left out"
    )
    include: Files | None = Field(
        None, description="NEF files whose models go into the package, as they are and not verified"
    )
    encrypt: Annotated[Encryption, AsHiddenMapping] | None = Field(
        None, description="the package's files are encrypted; they open in modelbuild only"
    )

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if (self.target is None) == (self.targets is None):
            raise refuse("a package has exactly one of `target` and `targets`", "write `target: NAME`")
        return self


class Root(Strict):
    """models.yaml."""

    modelbuild: Version1 = Field(description="version of this format: 1")
    project: Project | None = Field(None, description="name and version")
    include: Annotated[tuple[Text, ...], AsOneOrMany] | None = Field(
        None, description="further files of models, samples, targets and packages; a glob, a path or a list"
    )
    defaults: Annotated[Settings, Section] = Field(
        default_factory=Settings,
        description="settings of every model, unless something nearer to it says otherwise",
    )
    samples: Annotated[dict[Name, SampleSet], Section] = Field(
        default_factory=dict, description="named sample sets"
    )
    models: Annotated[dict[Name, Model], Section] = Field(default_factory=dict, description="named models")
    targets: Annotated[dict[Name, Target], Section] = Field(
        default_factory=dict, description="named uses of chips"
    )
    packages: Annotated[dict[Name, Package], Section] = Field(
        default_factory=dict, description="what is shipped"
    )
