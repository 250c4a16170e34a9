"""Numbers that stand for types and places in kmodels, and the type signatures of versions 6 and 7."""

from __future__ import annotations

from dataclasses import dataclass

from modelbuild.formats.flatbuffer import damaged
from modelbuild.formats.kmodel.model import Tensor
from modelbuild.formats.kmodel.records import NAME, named, numbered, words

DATATYPES_V4 = {0: "float32", 1: "uint8"}
MEMORY_V4 = {0: "constants", 1: "main", 2: "kpu"}
TARGETS_V4 = {0: "cpu", 1: "k210"}
DATATYPES = numbered("int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64 bfloat16")
ITEM_BYTES = dict(enumerate((1, 2, 4, 8, 1, 2, 4, 8, 2, 4, 8, 2)))  # of the numbers in DATATYPES
LOCATIONS = {0: "input", 1: "output", 2: "rdata", 3: "data", 4: "shared_data", 64: "kpu"}
DEVELOPMENT_LOCATIONS = {0: "input", 1: "output", 2: "rdata", 3: "data", 4: "kpu"}
TYPECODES = numbered(
    "bool utf8char int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64 bfloat16"
    " float8e4m3 float8e5m2"
)
_POINTER, _VALUE, _VECTOR, _REFERENCE = 0xF0, 0xF1, 0xF2, 0xF3
_TENSOR, _TUPLE, _END = 2, 3, 0xFF
MAX_DEPTH = 16
MAX_RANK = 64
MAX_TYPES = 65_536
_MAX_SIZE = (1 << 31) - 1
_VERY_ODD = 8


@dataclass(frozen=True)
class Dialect:
    """How dimensions are written: the token before a fixed one, those of open ones, and the number's layout.

    nncase changed both within version 7, and nothing in the file says which is meant. A file may be read in
    two ways: the upper half of a long dimension looks like four open ones.
    """

    name: str
    fixed: int
    open: tuple[int, ...]
    layout: str


# In the order they are tried. The token 2 is in no published source; it has been seen for an open dimension.
DIALECTS = (
    Dialect("nncase 2.0 to 3.0", 1, (0, 2), "I"),
    Dialect("nncase 3.3", 1, (0,), "q"),
    Dialect("nncase 3.4 and later", 0, (1,), "q"),
)


@dataclass
class Signatures:
    """Reads type signatures one after the other between `place` and `end`."""

    data: bytes
    place: int
    end: int
    dialect: Dialect
    left: int = MAX_TYPES
    odd: int = 0  # open dimensions, and more for those that no tensor has

    def tensor(self) -> Tensor:
        """The next signature. Errors: ModelbuildError with the offset."""
        dtype, shape, shown = self._type(0)
        return Tensor(dtype, shape, type=shown)

    def returned(self) -> tuple[Tensor, ...]:
        """The signature of what a function returns: a tensor, or the fields of a tuple."""
        if self._peek() != _TUPLE:
            return (self.tensor(),)
        self.place += 1
        found = []
        while self._peek() != _END:
            found.append(self.tensor())
        self.place += 1
        return tuple(found)

    def _type(self, depth: int) -> tuple[str, tuple[int | None, ...] | None, str]:
        """Element type, shape and the whole type as text; the first two only of tensors."""
        self.left -= 1
        if depth > MAX_DEPTH or self.left < 0:
            raise damaged("its type signatures nest too deep or are too many", NAME, self.place)
        place = self.place
        token = self._byte()
        if token == _TENSOR:
            dtype = self._element(depth)
            shape = self._shape()
            dimensions = ",".join("?" if size is None else str(size) for size in shape)
            return dtype, shape, f"{dtype}[{dimensions}]"
        if token == _TUPLE:
            fields = []
            while self._peek() != _END:
                fields.append(self._type(depth + 1)[2])
            self.place += 1
            return "", None, f"({', '.join(fields)})"
        if token in (0, 1):
            return "", None, ("invalid", "any")[token]
        raise damaged(f"a type signature starts with {token}", NAME, place)

    def _element(self, depth: int) -> str:
        place = self.place
        code = self._byte()
        if depth > MAX_DEPTH:
            raise damaged("its type signatures nest too deep", NAME, place)
        if code in (_POINTER, _REFERENCE):
            return ("pointer" if code == _POINTER else "reference") + f" to {self._element(depth + 1)}"
        if code == _VALUE:
            uuid = self._take(16).hex()
            return f"value {uuid} of {self._number('I')} bytes"
        if code == _VECTOR:
            element = self._element(depth + 1)
            lanes = [str(self._number("I")) for _ in range(self._byte())]
            return f"vector of {element} x {'x'.join(lanes)}"
        if code not in TYPECODES:
            raise damaged(f"a tensor has the unknown type {code}", NAME, place)
        return named(TYPECODES, code)

    def _shape(self) -> tuple[int | None, ...]:
        if self._byte() == 0:
            return ()
        found: list[int | None] = []
        while (token := self._byte()) != _END:
            if len(found) >= MAX_RANK:
                raise damaged(f"a tensor has more than {MAX_RANK} dimensions", NAME, self.place)
            if token == self.dialect.fixed:
                size = self._number(self.dialect.layout)
                if size < 0:
                    raise damaged(f"a tensor has a dimension of {size}", NAME, self.place)
                self.odd += 0 if 0 < size <= _MAX_SIZE else _VERY_ODD
                found.append(size)
            elif token in self.dialect.open:
                self.odd += 1
                found.append(None)
            else:
                raise damaged(f"a dimension starts with {token}", NAME, self.place - 1)
        return tuple(found)

    def _peek(self) -> int:
        if self.place >= self.end:
            raise damaged("a type signature has no end", NAME, self.place)
        return self.data[self.place]

    def _byte(self) -> int:
        found = self._peek()
        self.place += 1
        return found

    def _take(self, size: int) -> bytes:
        words(self.data, self.place, f"{size}x", self.end)
        self.place += size
        return self.data[self.place - size : self.place]

    def _number(self, layout: str) -> int:
        (found,) = words(self.data, self.place, layout, self.end)
        self.place += 4 if layout == "I" else 8
        return found
