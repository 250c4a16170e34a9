"""A small CNN in numpy, forward and backward. Feature maps are [N, H, W, C] in float32."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
TAPS = [(row, column) for row in range(3) for column in range(3)]
EPSILON = 1e-5


class Layer(Protocol):
    """`parameters` and `gradients` have the same keys; `backward` follows the `forward` it belongs to."""

    parameters: dict[str, Floats]
    gradients: dict[str, Floats]

    def forward(self, x: Floats, training: bool) -> Floats: ...

    def backward(self, dy: Floats) -> Floats: ...


def he(rng: np.random.Generator, shape: tuple[int, ...], fan_in: int) -> Floats:
    """He's initial weights for layers that a rectifier follows."""
    return (rng.standard_normal(shape) * np.sqrt(2.0 / fan_in)).astype(np.float32)


class Conv3x3:
    """Convolution 3x3 with padding 1; `groups` is 1, or C for a depthwise one. Weight [9, C, O] or [9, C]."""

    def __init__(
        self, rng: np.random.Generator, channels: int, out: int, stride: int, depthwise: bool
    ) -> None:
        shape = (9, channels) if depthwise else (9, channels, out)
        self.stride, self.depthwise = stride, depthwise
        self.parameters = {"weight": he(rng, shape, 9 if depthwise else 9 * channels)}
        self.gradients: dict[str, Floats] = {}

    def _window(self, padded: Floats, tap: tuple[int, int]) -> Floats:
        height, width = padded.shape[1] - 2, padded.shape[2] - 2
        rows = slice(tap[0], tap[0] + height, self.stride)
        return padded[:, rows, tap[1] : tap[1] + width : self.stride]

    def forward(self, x: Floats, training: bool) -> Floats:
        self.padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        pairs = zip(TAPS, self.parameters["weight"], strict=True)
        if self.depthwise:
            return sum(self._window(self.padded, tap) * weight for tap, weight in pairs)
        return sum(self._window(self.padded, tap) @ weight for tap, weight in pairs)

    def backward(self, dy: Floats) -> Floats:
        weight = self.parameters["weight"]
        gradient, dx = np.empty_like(weight), np.zeros_like(self.padded)
        for index, tap in enumerate(TAPS):
            window = self._window(self.padded, tap)
            if self.depthwise:
                gradient[index] = (window * dy).sum(axis=(0, 1, 2))
                self._window(dx, tap)[:] += dy * weight[index]
            else:
                gradient[index] = window.reshape(-1, window.shape[3]).T @ dy.reshape(-1, dy.shape[3])
                self._window(dx, tap)[:] += dy @ weight[index].T
        self.gradients = {"weight": gradient}
        return dx[:, 1:-1, 1:-1]


class Dense:
    """A matrix product over the last axis: a 1x1 convolution, or with `bias` a fully connected layer."""

    def __init__(self, rng: np.random.Generator, channels: int, out: int, bias: bool = False) -> None:
        self.parameters = {"weight": he(rng, (channels, out), channels)}
        if bias:
            self.parameters["bias"] = np.zeros(out, np.float32)
        self.gradients: dict[str, Floats] = {}

    def forward(self, x: Floats, training: bool) -> Floats:
        self.x = x
        return x @ self.parameters["weight"] + self.parameters.get("bias", np.float32(0))

    def backward(self, dy: Floats) -> Floats:
        flat = dy.reshape(-1, dy.shape[-1])
        self.gradients = {"weight": self.x.reshape(-1, self.x.shape[-1]).T @ flat}
        if "bias" in self.parameters:
            self.gradients["bias"] = flat.sum(axis=0)
        return dy @ self.parameters["weight"].T


class BatchNorm:
    """Normalises each channel; `mean` and `variance` are the running figures that inference uses."""

    def __init__(self, channels: int) -> None:
        self.parameters = {"gamma": np.ones(channels, np.float32), "beta": np.zeros(channels, np.float32)}
        self.gradients: dict[str, Floats] = {}
        self.mean, self.variance = np.zeros(channels, np.float32), np.ones(channels, np.float32)

    def forward(self, x: Floats, training: bool) -> Floats:
        mean, variance = self.mean, self.variance
        if training:
            mean, variance = x.mean(axis=(0, 1, 2)), x.var(axis=(0, 1, 2))
            self.mean = 0.9 * self.mean + 0.1 * mean
            self.variance = 0.9 * self.variance + 0.1 * variance
        self.inverse = 1.0 / np.sqrt(variance + EPSILON)
        self.normal = (x - mean) * self.inverse
        return self.normal * self.parameters["gamma"] + self.parameters["beta"]

    def backward(self, dy: Floats) -> Floats:
        axes = (0, 1, 2)
        self.gradients = {"gamma": (dy * self.normal).sum(axis=axes), "beta": dy.sum(axis=axes)}
        count = dy.size // dy.shape[3]
        centred = dy - (self.gradients["beta"] + self.normal * self.gradients["gamma"]) / count
        return centred * (self.parameters["gamma"] * self.inverse)


class ReLU6:
    """Clips to 0..6."""

    parameters: dict[str, Floats] = {}  # noqa: RUF012 - it has none
    gradients: dict[str, Floats] = {}  # noqa: RUF012

    def forward(self, x: Floats, training: bool) -> Floats:
        self.open = (x > 0) & (x < 6)
        return np.clip(x, 0, 6)

    def backward(self, dy: Floats) -> Floats:
        return dy * self.open


class Residual:
    """x + body(x)."""

    parameters: dict[str, Floats] = {}  # noqa: RUF012 - its body's layers have them
    gradients: dict[str, Floats] = {}  # noqa: RUF012

    def __init__(self, body: list[Any]) -> None:
        self.body = body

    def forward(self, x: Floats, training: bool) -> Floats:
        y = x
        for layer in self.body:
            y = layer.forward(y, training)
        return x + y

    def backward(self, dy: Floats) -> Floats:
        dx = dy
        for layer in reversed(self.body):
            dx = layer.backward(dx)
        return dy + dx


class GlobalAveragePool:
    """[N, H, W, C] -> [N, C]."""

    parameters: dict[str, Floats] = {}  # noqa: RUF012 - it has none
    gradients: dict[str, Floats] = {}  # noqa: RUF012

    def forward(self, x: Floats, training: bool) -> Floats:
        self.shape = x.shape
        return x.mean(axis=(1, 2))

    def backward(self, dy: Floats) -> Floats:
        _, height, width, _ = self.shape
        return np.broadcast_to(dy[:, None, None] / np.float32(height * width), self.shape)


def build(rng: np.random.Generator) -> list[Any]:
    """16x16, stem, separable convolution to 8x8, inverted residual, separable to 4x4, ten logits."""

    def pointwise(channels: int, out: int) -> list[Any]:
        return [Dense(rng, channels, out), BatchNorm(out)]

    def depthwise(channels: int, stride: int) -> list[Any]:
        return [Conv3x3(rng, channels, channels, stride, True), BatchNorm(channels), ReLU6()]

    return [
        *[Conv3x3(rng, 1, 16, 1, False), BatchNorm(16), ReLU6()],
        *[*depthwise(16, 2), *pointwise(16, 32), ReLU6()],
        Residual([*pointwise(32, 64), ReLU6(), *depthwise(64, 1), *pointwise(64, 32)]),
        *[*depthwise(32, 2), *pointwise(32, 64), ReLU6()],
        GlobalAveragePool(),
        Dense(rng, 64, 10, bias=True),
    ]


def flatten(layers: list[Any]) -> list[Any]:
    """Every layer, those inside residual blocks included."""
    return [inner for layer in layers for inner in [layer, *flatten(getattr(layer, "body", []))]]
