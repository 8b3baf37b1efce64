"""Watching: the attention weights of a pass as the model makes them, their gradients, and heads that are silenced."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from auditor.errors import NotApplicable
from auditor.methods.attribution.asked import Asked, chosen, count

PROJECTIONS = ("o_proj", "out_proj", "c_proj", "out_lin", "dense", "o")
"""What the layer that mixes the heads' outputs is called inside an attention module, where it is inside."""

EAGER = "load it with attn_implementation='eager' (transformers) or without fused attention"


@dataclass(frozen=True)
class Layer:
    """One layer of attention, in the order in which they run: its module, and which of the module's runs it is."""

    module: str
    run: int
    heads: int


@dataclass(frozen=True)
class Attentions:
    """The attention of one batch.

    weights: one tensor a layer, [n, heads, queries, keys], rows adding up to 1. gradients: d f(x)[target] / d weights,
    of the same shapes; empty without targets. scores [n], leaf and slope: the explained logit, the input and its
    gradient, as attribution.gradient gives them; None without targets. grid: rows and columns of the patches of a
    picture, which are the last tokens; None for texts.
    """

    layers: tuple[Layer, ...]
    weights: tuple[Tensor, ...]
    gradients: tuple[Tensor, ...] = ()
    scores: Tensor | None = None
    leaf: Tensor | None = None
    slope: Tensor | None = None
    grid: tuple[int, int] | None = None


def attentions_of(model: Asked, inputs: Any, targets: Tensor | None = None) -> Attentions:
    """One forward, and with targets one backward of sum_i f(x_i)[target_i], with all attention weights kept.

    Works for what returns its weights beside its output (transformers with eager attention) and for
    nn.MultiheadAttention, which is asked for them. Nothing stays on the module. Raises NotApplicable, with the
    reason, where no attention over all tokens can be seen: fused attention, windows, pooling, none at all.
    """
    seen = _Seen(count(inputs))
    with torch.set_grad_enabled(targets is not None):
        leaf, ready = model.gradient_inputs(inputs) if targets is not None else (None, inputs)
        logits = _watch(model, leaf.clone() if leaf is not None and ready is leaf else ready, seen)
        tokens = _required(seen)
        layers, weights = tuple(seen.layers), tuple(each.detach() for each in seen.weights)
        grid = seen.grid if not isinstance(inputs, Mapping) else None
        if grid is not None and tokens < grid[0] * grid[1]:
            raise NotApplicable(f"{tokens} tokens are fewer than the {grid[0]} x {grid[1]} patches: they were merged")
        if targets is None or leaf is None:
            return Attentions(layers, weights, grid=grid)
        found = chosen(logits, targets)
        asked = [each if each._base is None else each._base for each in seen.weights]  # what the values were mixed with
        slope, *slopes = torch.autograd.grad(found.sum(), [leaf, *asked], allow_unused=True)
    if all(each is None for each in slopes):
        raise NotApplicable("no gradient reaches the attention weights: the model makes them beside its own pass")
    gradients = tuple(
        torch.zeros_like(kept) if each is None else each.reshape(kept.shape)
        for each, kept in zip(slopes, weights, strict=True)
    )
    slope = torch.zeros_like(leaf) if slope is None else slope
    return Attentions(layers, weights, gradients, found.detach(), leaf.detach(), slope, grid)


@contextmanager
def silenced(module: nn.Module, layer: Layer, head: int) -> Iterator[None]:
    """Within it, what one head of one layer hands on is zero (Michel et al., 2019); weights and hooks come back after.

    The head's columns at the entrance of the layer that mixes heads are set to 0; its bias stays.
    """
    part = module.get_submodule(layer.module)
    if isinstance(part, nn.MultiheadAttention):
        with _without_columns(part.out_proj, layer, head):
            yield
        return
    children = dict(part.named_children())
    mixing = next((children[name] for name in PROJECTIONS if name in children), None)
    runs = 0

    def clear(value: Tensor) -> Tensor:
        nonlocal runs
        runs += 1
        return _cleared(value, layer.heads, head) if runs == layer.run + 1 else value

    if mixing is None:
        handle = part.register_forward_hook(lambda _, __, output: (clear(output[0]), *output[1:]))
    else:
        handle = mixing.register_forward_pre_hook(lambda _, given: (clear(given[0]), *given[1:]))
    try:
        yield
    finally:
        handle.remove()


@dataclass
class _Seen:
    """What hooks noted of one pass over n examples: layers with their weights, the last spatial grid, what was odd."""

    examples: int
    layers: list[Layer] = field(default_factory=list)
    weights: list[Tensor] = field(default_factory=list)
    grid: tuple[int, int] | None = None
    fused: str = ""
    windows: str = ""

    def take(self, name: str, part: nn.Module, output: Any) -> None:
        """Note what one module gave."""
        first = output[0] if isinstance(output, tuple) and output else output
        if not self.weights and isinstance(first, Tensor) and first.ndim == 4 and len(first) == self.examples:
            self.grid = (first.shape[2], first.shape[3])
        if not isinstance(output, tuple) or len(output) < 2:
            return
        found = [each for each in output[1:] if isinstance(each, Tensor) and _is_attention(each)]
        if not found and "attention" in type(part).__name__.lower() and output[1] is None:
            self.fused = self.fused or name
        for each in found:
            self._keep(name, each)

    def _keep(self, name: str, weights: Tensor) -> None:
        if any(weights is kept for kept in self.weights):
            return  # a container hands on what its part has made
        if len(weights) != self.examples:
            self.windows = self.windows or name
            return
        run = sum(layer.module == name for layer in self.layers)
        self.layers.append(Layer(name, run, weights.shape[1]))
        self.weights.append(weights)


def _is_attention(weights: Tensor) -> bool:
    """Shares of each query's attention over as many keys: [n, heads, t, t], not negative, rows adding up to 1."""
    if weights.ndim != 4 or weights.shape[2] != weights.shape[3] or not weights.is_floating_point():
        return False
    kept = weights.detach()
    return bool((kept >= 0).all() and (kept.sum(dim=-1) - 1).abs().max() < 1e-3)


def _required(seen: _Seen) -> int:
    """The number of tokens, the same in all layers; NotApplicable where there is nothing that can be followed."""
    if seen.windows:
        raise NotApplicable(f"{seen.windows} attends within windows, so no flow from token to token can be followed")
    if not seen.weights:
        raise NotApplicable(
            f"{seen.fused} returns no attention weights, as fused attention (sdpa, flash) never does: {EAGER}"
            if seen.fused
            else "the model has no attention that can be seen: neither modules that return their weights beside their "
            f"output, nor nn.MultiheadAttention; if it attends in fused kernels, {EAGER}"
        )
    tokens = {each.shape[-1] for each in seen.weights}
    if len(tokens) > 1:
        raise NotApplicable(
            f"the layers attend over different numbers of tokens: {', '.join(map(str, sorted(tokens)))}"
        )
    return tokens.pop()


def _watch(model: Asked, inputs: Any, seen: _Seen) -> Tensor:
    """The logits, with `seen` filled. Some eager models of transformers return weights only if asked: asked last, since
    others then put hooks of their own on the module and leave them there."""
    with _watched(model.module, seen):
        logits = model.logits(inputs)
    eager = getattr(getattr(model.module, "config", None), "_attn_implementation", None) == "eager"
    if seen.weights or seen.windows or not eager:
        return logits
    asking = model.module.register_forward_pre_hook(_asking, with_kwargs=True)
    try:
        with _watched(model.module, seen):
            return model.logits(inputs)
    finally:
        asking.remove()


@contextmanager
def _watched(module: nn.Module, seen: _Seen) -> Iterator[None]:
    """Hooks that fill `seen`, removed whatever happens."""
    with ExitStack() as stack:
        for name, part in module.named_modules():
            if isinstance(part, nn.MultiheadAttention):
                stack.callback(part.register_forward_pre_hook(_weighing, with_kwargs=True).remove)
            if name:
                stack.callback(part.register_forward_hook(_noting(name, seen)).remove)
        yield


def _asking(part: nn.Module, args: Any, named: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    return args, {**named, "output_attentions": True}


def _weighing(part: nn.Module, args: Any, named: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Ask nn.MultiheadAttention for the weights of each head; positions 5 and 7 of its arguments say so too."""
    order = ("query", "key", "value", "key_padding_mask", "need_weights", "attn_mask", "average_attn_weights")
    given = {**dict(zip(order, args, strict=False)), **named}
    return (), {**given, "need_weights": True, "average_attn_weights": False}


def _noting(name: str, seen: _Seen) -> Callable[[nn.Module, Any, Any], None]:
    def hook(part: nn.Module, args: Any, output: Any) -> None:
        seen.take(name, part, output)

    return hook


def _cleared(value: Tensor, heads: int, head: int) -> Tensor:
    width = value.shape[-1] // heads
    if width * heads != value.shape[-1]:
        raise NotApplicable(f"{value.shape[-1]} columns cannot be those of {heads} heads of one width")
    kept = value.clone()
    kept[..., head * width : (head + 1) * width] = 0
    return kept


@contextmanager
def _without_columns(mixing: nn.Linear, layer: Layer, head: int) -> Iterator[None]:
    """nn.MultiheadAttention reads the matrix itself, so another one takes its place; the old one is never written."""
    own = mixing.weight
    mixing.weight = nn.Parameter(_cleared(own.detach(), layer.heads, head), requires_grad=False)
    try:
        yield
    finally:
        mixing.weight = own
