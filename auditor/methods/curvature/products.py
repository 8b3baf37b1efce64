"""Products of the curvature of a mean loss with a vector, by differentiating twice."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from auditor.errors import NotApplicable
from auditor.methods.curvature.weights import Weights, WrittenOut, asked, weights_of

Matrix = Literal["hessian", "gauss_newton"]

RETAINED = 2 << 30
"""Bytes of graphs that are kept between products; parts beyond are rebuilt for each product, which takes twice as long.
A fixed number, since what memory happens to be free would change how long, but also how often, sums are rounded."""


@dataclass(frozen=True)
class Part:
    """One batch. outputs: a fresh forward. loss: of the outputs, the mean over `units` rows or tokens."""

    outputs: Callable[[], Tensor]
    loss: Callable[[Tensor], Tensor]
    units: float


Push = Callable[[list[Tensor], bool], Sequence[Tensor | None]]
"""Takes a vector, tensor by tensor, and whether the graph is needed again; gives its product by `Weights.flat`."""


def hessian(part: Part, weights: Weights) -> Push:
    """H v = d/dw (g(w) . v) on the graph of g, the gradient of the loss. Pearlmutter, Neural Computation 6 (1994)."""
    with WrittenOut():
        loss = part.loss(part.outputs())
    _depends(loss)
    _finite(loss)
    first = torch.autograd.grad(loss, weights.flat, create_graph=True, allow_unused=True)
    slopes = weights.gradients(first)
    held = [place for place, slope in enumerate(slopes) if slope is not None and slope.requires_grad]
    bent = [slope for place in held if (slope := slopes[place]) is not None]

    def push(vector: list[Tensor], keep: bool) -> Sequence[Tensor | None]:
        if not bent:
            return [None] * len(weights.flat)
        chosen = [vector[place] for place in held]
        return torch.autograd.grad(bent, weights.flat, chosen, retain_graph=keep, allow_unused=True)

    return push


def gauss_newton(part: Part, weights: Weights) -> Push:
    """G v = J^T B (J v), where J is the Jacobian of the outputs and B the Hessian of the loss by the outputs.

    J v is the derivative by u of (J^T u) . v. Schraudolph, Neural Computation 14 (2002).
    """
    with WrittenOut():
        outputs = part.outputs()
    _depends(outputs)
    dummy = torch.zeros_like(outputs, requires_grad=True)
    pulled = weights.gradients(torch.autograd.grad(outputs, weights.flat, dummy, create_graph=True, allow_unused=True))
    held = [place for place, each in enumerate(pulled) if each is not None]
    bent = [each for each in pulled if each is not None]
    leaf = outputs.detach().requires_grad_(True)
    loss = part.loss(leaf)
    _finite(loss)
    (slope,) = torch.autograd.grad(loss, leaf, create_graph=True)

    def push(vector: list[Tensor], keep: bool) -> Sequence[Tensor | None]:
        (moved,) = torch.autograd.grad(bent, dummy, [vector[place] for place in held], retain_graph=keep)
        if not slope.requires_grad:
            return [None] * len(weights.flat)
        (weighed,) = torch.autograd.grad(slope, leaf, moved, retain_graph=keep)
        return torch.autograd.grad(outputs, weights.flat, weighed, retain_graph=keep, allow_unused=True)

    return push


MATRICES: dict[Matrix, Callable[[Part, Weights], Push]] = {"hessian": hessian, "gauss_newton": gauss_newton}


def _depends(found: Tensor) -> None:
    if not found.requires_grad:
        raise NotApplicable("the loss does not depend on the chosen weights: the forward does not use them")


def _finite(loss: Tensor) -> None:
    if not bool(torch.isfinite(loss.detach()).all()):
        raise NotApplicable("the loss on these data is not finite, so it has no curvature")


@dataclass
class Products:
    """The curvature of sum_b units_b / units x loss_b: call it with a vector [n]. Use it inside `products`.

    retained: bytes of graphs kept at most. count: products so far, a part alone counting as its share of the units;
    told: called with the count after each. graph_bytes: what the kept graphs hold.
    """

    weights: Weights
    parts: Sequence[Part]
    matrix: Matrix = "hessian"
    retained: int = RETAINED
    told: Callable[[float], None] = lambda count: None
    count: float = field(default=0.0, init=False)
    graph_bytes: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._kept: list[Push] = []
        for part in self.parts:
            held = counted(part, self.weights, MATRICES[self.matrix])
            if self.graph_bytes + held > self.retained:
                break
            self.graph_bytes += held
            self._kept.append(MATRICES[self.matrix](part, self.weights))

    @property
    def size(self) -> int:
        """The length of its vectors."""
        return self.weights.size

    @property
    def device(self) -> torch.device:
        """Where its vectors are."""
        return self.weights.device

    @property
    def rebuilt(self) -> int:
        """How many parts are built anew for each product."""
        return len(self.parts) - len(self._kept)

    def __call__(self, vector: Tensor) -> Tensor:
        """The product with the mean over all parts, as a new vector."""
        return self._sum(vector, range(len(self.parts)))

    def loss(self) -> float:
        """The mean loss itself, in float64 over the parts."""
        units = sum(part.units for part in self.parts)
        with torch.no_grad():
            return sum(float(part.loss(part.outputs())) * part.units for part in self.parts) / units

    def alone(self, place: int) -> "One":
        """The curvature of one part's own mean loss."""
        return One(self, place)

    def _sum(self, vector: Tensor, places: Sequence[int]) -> Tensor:
        units = sum(self.parts[place].units for place in places)
        total, split = torch.zeros_like(vector), self.weights.split(vector)
        rows = self.weights.split(total)
        for place in places:
            kept = place < len(self._kept)
            push = self._kept[place] if kept else MATRICES[self.matrix](self.parts[place], self.weights)
            for row, found in zip(rows, self.weights.gradients(push(split, kept)), strict=True):
                if found is not None:
                    row.add_(found, alpha=self.parts[place].units / units)
        self.count += units / sum(part.units for part in self.parts)
        self.told(self.count)
        if not bool(torch.isfinite(total.sum())):
            raise NotApplicable("a product with the curvature is not finite")
        return total


@dataclass(frozen=True)
class One:
    """The curvature of one part alone, on the same graph."""

    whole: Products
    place: int

    @property
    def size(self) -> int:
        """The length of its vectors."""
        return self.whole.size

    @property
    def device(self) -> torch.device:
        """Where its vectors are."""
        return self.whole.device

    def __call__(self, vector: Tensor) -> Tensor:
        """The product, as a new vector."""
        return self.whole._sum(vector, [self.place])


@contextmanager
def products(
    module: nn.Module,
    parts: Sequence[Part],
    *,
    layers: Sequence[str] = (),
    matrix: Matrix = "hessian",
    retained: int = RETAINED,
    told: Callable[[float], None] = lambda count: None,
) -> Iterator[Products]:
    """The curvature of a module's mean loss over some batches, in eval mode; the module is left as it was found.

    layers: globs over the names of modules or parameters, restricting it to a diagonal block. Raises NotApplicable for
    a loss that is not finite, or globs without a match.
    """
    weights = weights_of(module, layers)
    with asked(module, weights):
        yield Products(weights, parts, matrix, retained, told)


def counted(part: Part, weights: Weights, build: Callable[[Part, Weights], Push]) -> int:
    """The bytes that the graphs of a part hold, the weights not counted. They are built once more for it: what is
    called for every saved tensor would slow down each product."""
    held: dict[int, int] = {}
    own = {parameter.untyped_storage().data_ptr() for parameter in weights.flat}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            held[storage.data_ptr()] = storage.nbytes()
        return tensor.detach()  # the tensor itself would hold the graph in a cycle

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        push = build(part, weights)  # alive until all is counted: a freed address may come again
    del push
    return sum(held.values())
