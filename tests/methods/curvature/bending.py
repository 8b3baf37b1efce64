"""Small losses whose whole Hessian can be written down in float64: the oracle of curvature."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from auditor.methods.curvature.products import Part

Floats = np.ndarray[Any, np.dtype[np.float64]]


class Matrix:
    """A symmetric matrix, as Lanczos asks it."""

    def __init__(self, matrix: Tensor, values: Floats) -> None:
        self.matrix, self.values = matrix, np.sort(values)[::-1]
        self.size, self.device, self.asked = len(values), torch.device("cpu"), 0

    @classmethod
    def with_values(cls, values: Sequence[float], seed: int = 0) -> "Matrix":
        """In a random basis."""
        draw = torch.Generator().manual_seed(seed)
        basis, _ = torch.linalg.qr(torch.randn(len(values), len(values), generator=draw, dtype=torch.float64))
        return cls(((basis * torch.tensor(values, dtype=torch.float64)) @ basis.T).float(), np.asarray(values, float))

    @classmethod
    def of(cls, matrix: Floats) -> "Matrix":
        """A matrix that was written down."""
        even = (matrix + matrix.T) / 2
        return cls(torch.tensor(even).float(), np.linalg.eigvalsh(even))

    def __call__(self, vector: Tensor) -> Tensor:
        self.asked += 1
        return self.matrix @ vector


def convolutional(seed: int = 0) -> nn.Module:
    """Convolution, batch normalization, a rectifier in place, a head: 158 parameters."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Conv2d(3, 2, 3), nn.Tanh(),
        nn.Flatten(), nn.Linear(8, 6), nn.GELU(), nn.Linear(6, 3),
    )  # fmt: skip


def smooth(seed: int = 0, width: int = 20) -> nn.Module:
    """Two layers of columns, of some width: 15 columns, 4 classes."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(15, width), nn.Tanh(), nn.Linear(width, 4))


def deep(seed: int = 0) -> nn.Module:
    """Three layers of columns: 1,404 parameters."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(15, 32), nn.GELU(), nn.Linear(32, 24), nn.Tanh(), nn.Linear(24, 4))


def rectified(seed: int = 0) -> nn.Module:
    """Two convolutions and a head for `squares`: 1,053 parameters."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Conv2d(6, 10, 3), nn.ReLU(), nn.Flatten(), nn.Linear(40, 10), nn.Tanh(),
        nn.Linear(10, 3),
    )  # fmt: skip


def columns(n: int = 64, seed: int = 1) -> tuple[Tensor, Tensor]:
    """Rows of 15 columns of unequal sizes, and classes that follow from them."""
    draw = torch.Generator().manual_seed(seed)
    inputs = torch.randn(n, 15, generator=draw) * torch.linspace(2.0, 0.2, 15)
    return inputs, (inputs[:, :4] + 0.5 * torch.randn(n, 4, generator=draw)).argmax(dim=1)


def squares(n: int = 24, seed: int = 1) -> tuple[Tensor, Tensor]:
    """Pictures of 6 x 6 of noise, and classes."""
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(n, 1, 6, 6, generator=draw), torch.randint(0, 3, (n,), generator=draw)


def learned(module: nn.Module, inputs: Tensor, labels: Tensor, steps: int = 40) -> nn.Module:
    """After some steps of Adam, in eval mode."""
    optimizer = torch.optim.Adam(module.parameters(), lr=0.02)
    module.train()
    for _ in range(steps):
        optimizer.zero_grad()
        cross_entropy(module(inputs), labels).backward()
        optimizer.step()
    return module.eval()


def parts(module: Callable[[Tensor], Tensor], inputs: Tensor, labels: Tensor, ends: Sequence[int]) -> list[Part]:
    """Batches that end at these rows."""
    found = []
    for start, end in zip([0, *ends], [*ends, len(labels)], strict=False):
        x, y = inputs[start:end], labels[start:end]
        found.append(Part(lambda x=x: module(x), lambda z, y=y: cross_entropy(z, y), end - start))  # type: ignore[misc]
    return found


def whole(module: nn.Module, loss: Callable[[Callable[..., Tensor]], Tensor]) -> Floats:
    """The full Hessian in float64 by torch.func, slow and obvious. loss: of the module as a function."""
    module = module.eval()
    names = {name: parameter.detach().double() for name, parameter in module.named_parameters()}
    buffers = {name: b.double() if b.is_floating_point() else b for name, b in module.named_buffers()}
    sizes = [each.numel() for each in names.values()]
    flat = torch.cat([each.flatten() for each in names.values()])

    def of(vector: Tensor) -> Tensor:
        shaped = [part.view(each.shape) for part, each in zip(vector.split(sizes), names.values(), strict=True)]
        given = {**dict(zip(names, shaped, strict=True)), **buffers}
        return loss(lambda *args, **more: functional_call(module, given, args, more))

    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        return np.asarray(torch.autograd.functional.hessian(of, flat).numpy())
