"""Asked: what attribution asks of a model, and the few things one does with its inputs."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from auditor.errors import NotApplicable


class Asked(Protocol):
    """A model in eval mode. Inputs are a tensor, or for text a dictionary of the tokenizer's tensors."""

    @property
    def module(self) -> nn.Module:
        """The network, where hooks and parameters are."""

    def logits(self, inputs: Any) -> Tensor:
        """One column a target: [n, outputs]."""

    def gradient_inputs(self, inputs: Any) -> tuple[Tensor, Any]:
        """The leaf where a gradient is taken, and inputs through which it reaches the logits.

        Inputs that were moved there keep where they are.
        """


def count(inputs: Any) -> int:
    """How many examples a batch of inputs holds."""
    return len(next(iter(inputs.values())) if isinstance(inputs, Mapping) else inputs)


def take(inputs: Any, rows: Any) -> Any:
    """The inputs of some rows (indices, with repetitions if one likes, or a slice)."""
    if isinstance(inputs, Mapping):
        return {name: tensor[rows] for name, tensor in inputs.items()}
    return inputs[rows]


def chosen(logits: Tensor, targets: Tensor) -> Tensor:
    """The target's logit of each row: f(x_i)[target_i], [n]."""
    return logits.gather(1, targets[:, None]).squeeze(1)


@torch.no_grad()
def scores(model: Asked, inputs: Any, targets: Tensor) -> Tensor:
    """f(x_i)[target_i] of each row, [n], without a gradient."""
    return chosen(model.logits(inputs), targets)


def moved(model: Asked, inputs: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The inputs with `change` applied where gradients are taken: to the picture, the row, or the token embeddings."""
    leaf, ready = model.gradient_inputs(inputs)
    fresh = change(leaf.detach())
    if ready is leaf:
        return fresh
    return {name: fresh if value is leaf else value for name, value in ready.items()}


def gradient(model: Asked, inputs: Any, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Scores [n], and leaf and its gradient: pictures [n, c, h, w], token embeddings [n, t, w], rows [n, columns].

    In eval mode rows do not see each other, so the gradient of the sum of scores holds each row's own gradient. Zero
    where the score does not depend on the leaf; NotApplicable where no gradient can reach anything.
    """
    with torch.enable_grad():
        leaf, ready = model.gradient_inputs(inputs)
        found = chosen(model.logits(ready.clone() if ready is leaf else ready), targets)
        require_gradient(found)
        (slope,) = torch.autograd.grad(found.sum(), leaf, allow_unused=True)
    return found.detach(), leaf.detach(), torch.zeros_like(leaf) if slope is None else slope


def require_gradient(score: Tensor) -> None:
    """NotApplicable for a score that nothing can be differentiated through."""
    if not score.requires_grad:
        raise NotApplicable("no gradient reaches the model's score: it is computed in a way that has none")
