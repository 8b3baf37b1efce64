"""One forward of a batch, and one backward only if it is wanted, keeping what was tapped on the way."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import torch
from torch import Tensor, nn

from auditor.errors import UsageError
from auditor.methods.attribution.asked import require_gradient
from auditor.methods.layout import Extent, Like, extent_of, told
from auditor.methods.units import Seen, watched

AUTO = "auto"
_TOKEN_NORMS = frozenset({"ln_1", "norm1", "layernorm_before", "layer_norm_1", "layer_norm1"})
_NO_PICTURES = (nn.Dropout, nn.Softmax)


@dataclass(frozen=True)
class Wants:
    """What to keep of a pass: activations and their gradients by layer name (or "auto"), and the input gradient.

    units: patterns of layers (units.units_of) whose units are summed up while the pass runs.
    """

    activations: frozenset[str] = frozenset()
    gradients: frozenset[str] = frozenset()
    input_gradient: bool = False
    units: frozenset[str] = frozenset()

    @property
    def backward(self) -> bool:
        """Whether a backward pass is needed."""
        return self.input_gradient or bool(self.gradients)

    @property
    def layers(self) -> frozenset[str]:
        """All layers named."""
        return self.activations | self.gradients


@dataclass(frozen=True)
class Pass:
    """What one pass kept. Layer tensors are [n, channels, height, width] where the layer has spatial extent.

    logits [n, classes]; targets [n]; leaf: the values where the
    input gradient was taken; layers: what each asked name became; missing: why a layer gave nothing.
    units: by pattern, then by layer, what its units did.
    """

    logits: Tensor
    targets: Tensor
    leaf: Tensor | None = None
    input_gradient: Tensor | None = None
    activations: Mapping[str, Tensor] = field(default_factory=dict)
    gradients: Mapping[str, Tensor] = field(default_factory=dict)
    layers: Mapping[str, str] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[str, Mapping[str, Seen]] = field(default_factory=dict)


@dataclass
class _Kept:
    """Outputs kept by hooks: of the named layers, and of the running candidate for "auto" (name and tensor).

    rows: examples of the batch. safe: the candidate that is kept as a named layer is, "" for none. version: of the
    candidate's values when it was kept. extents: of each kept output. grid: of the last spatial output. like: where
    units are.
    """

    outputs: dict[str, Tensor] = field(default_factory=dict)
    rows: int = 0
    safe: str = ""
    version: int = 0
    extents: dict[str, Extent | None] = field(default_factory=dict)
    auto: tuple[str, Tensor] | None = None
    grid: tuple[int, int] | None = None
    like: Like = (1, 0)

    def overwritten(self) -> str:
        """The layer of "auto" if something changed its output in place after it was kept, else ""."""
        return self.auto[0] if self.auto is not None and self.auto[1]._version != self.version else ""

    def maps(self, name: str, tensor: Tensor) -> Tensor:
        """A layer's output, or its gradient, as [n, units, rows, columns] where it has spatial extent."""
        extent = self.extents[name]
        return tensor if extent is None else extent.as_maps(tensor)


def target_indices(logits: Tensor, labels: Tensor, name: str) -> Tensor:
    """The class whose logit is explained, for each row: name is "predicted", "label" or "class:K".

    Raises UsageError for another name, or for a class that the model's head does not have.
    """
    if name == "predicted":
        return logits.argmax(dim=1)
    if name == "label":
        return labels.to(logits.device)
    kind, _, number = name.partition(":")
    if kind != "class" or not number.isdigit():
        raise UsageError(f"target: expected predicted, label or class:K, found {name!r}")
    if int(number) >= logits.shape[1]:
        raise UsageError(
            f"target {name!r}: the model has {logits.shape[1]} outputs", f"Use class:0 to class:{logits.shape[1] - 1}."
        )
    return torch.full((logits.shape[0],), int(number), device=logits.device)


def check_layer(module: nn.Module, layer: str) -> None:
    """Raises UsageError, with the nearest names, unless `layer` is "auto" or a dotted name in the module."""
    names = [name for name, _ in module.named_modules() if name]
    if layer == AUTO or layer in names:
        return
    near = get_close_matches(layer, names, n=4, cutoff=0.4) or names[-4:]
    raise UsageError(f"layer {layer!r}: the model has no layer of that name", f"Nearest: {', '.join(near)}.")


def run_pass(
    module: nn.Module,
    forward: Callable[[Any], Tensor],
    inputs: Any,
    choose: Callable[[Tensor], Tensor],
    wants: Wants,
    leaf: Tensor | None = None,
) -> Pass:
    """One forward of `inputs`, and if `wants.backward` one backward of sum_i f(x_i)[target_i].

    In eval mode rows do not see each other, so the gradient of the sum holds each row's own gradient.
    forward(inputs) -> logits [n, classes], running `module`. choose(logits) -> target class of each row.
    leaf: the tensor requiring gradients inside `inputs` (or `inputs` itself) where the input gradient is taken.

    Gradients come from torch.autograd.grad on the outputs that hooks kept, and the network goes on with a clone of
    each, so an in-place ReLU behind a layer cannot overwrite what is kept. Candidates for "auto" are nearly all
    layers and are not cloned: if the last of them was overwritten, the forward runs again with a clone of that one.
    Nothing is left on the module: no hook, no .grad. Of a layer that runs several times the last run is kept. A layer
    that ran without a tensor of its own, or an "auto" without spatial extent, is in `missing`.
    """
    kept, logits, units = _watched_forward(module, forward, inputs, wants, leaf)
    if kept.overwritten():
        kept, logits, units = _watched_forward(module, forward, inputs, wants, leaf, kept.overwritten())
    targets = choose(logits.detach())
    layers, missing = _resolve(wants.layers, kept)
    asked = sorted(wants.gradients & layers.keys())
    points = [kept.outputs[name] for name in asked]
    if wants.input_gradient:
        if leaf is None:
            raise ValueError("an input gradient needs the leaf where it is taken")
        points.append(leaf)
    grads = _gradients(logits, targets, points)
    return Pass(
        logits=logits.detach(),
        targets=targets,
        leaf=leaf.detach() if leaf is not None else None,
        input_gradient=grads[-1] if wants.input_gradient else None,
        activations=_activations(wants, layers, kept),
        gradients={name: kept.maps(name, grad) for name, grad in zip(asked, grads, strict=False)},
        layers=layers,
        missing=missing,
        units=units,
    )


def _watched_forward(
    module: nn.Module,
    forward: Callable[[Any], Tensor],
    inputs: Any,
    wants: Wants,
    leaf: Tensor | None,
    safe: str = "",
) -> tuple[_Kept, Tensor, Mapping[str, Mapping[str, Seen]]]:
    """What hooks kept, the logits, and what the units did. safe: see _Kept."""
    kept = _Kept(rows=len(next(iter(inputs.values())) if isinstance(inputs, Mapping) else inputs), safe=safe)
    watching = watched(module, wants.units, inputs)
    with torch.set_grad_enabled(wants.backward), watching as units, _hooks(module, wants.layers, kept):
        logits = forward(leaf.clone() if leaf is not None and inputs is leaf else inputs)
    return kept, logits, units


def _gradients(logits: Tensor, targets: Tensor, points: list[Tensor]) -> tuple[Tensor, ...]:
    if not points:
        return ()
    total = logits.gather(1, targets[:, None]).sum()
    require_gradient(total)
    grads = torch.autograd.grad(total, points, allow_unused=True)
    return tuple(torch.zeros_like(p) if g is None else g for p, g in zip(points, grads, strict=True))


def _activations(wants: Wants, layers: Mapping[str, str], kept: _Kept) -> dict[str, Tensor]:
    found = wants.activations & layers.keys()
    return {name: kept.maps(name, kept.outputs[name].detach()) for name in sorted(found)}


def _resolve(asked: frozenset[str], kept: _Kept) -> tuple[dict[str, str], dict[str, str]]:
    layers = {name: name for name in asked if name in kept.outputs}
    missing = {name: f"layer {name!r} did not run, or its output is not a tensor" for name in asked - layers.keys()}
    if AUTO in asked and kept.auto is not None:
        del missing[AUTO]
        layers[AUTO], kept.outputs[AUTO] = kept.auto
    elif AUTO in asked:
        missing[AUTO] = "no last layer of this model has spatial extent (channels x height x width, or patch tokens)"
    return layers, missing


@contextmanager
def _hooks(module: nn.Module, layers: frozenset[str], kept: _Kept) -> Iterator[None]:
    """Hooks that fill `kept`, removed whatever happens; none at all if no layer is asked for."""
    handles = [
        part.register_forward_hook(_keeper(name, kept, layers))
        for name, part in module.named_modules()
        if name and layers
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _keeper(name: str, kept: _Kept, layers: frozenset[str]) -> Callable[[nn.Module, Any, Any], Any]:
    def hook(part: nn.Module, args: Any, output: Any) -> Any:
        first = output[0] if isinstance(output, tuple) and output else output
        if not isinstance(first, Tensor) or not first.is_floating_point():
            return output
        kept.like = told(part, first) or kept.like
        extent = extent_of(first, kept.like, kept.grid) if len(first) == kept.rows else None
        candidate = _is_candidate(name, part, first, extent, kept) and AUTO in layers
        if not (candidate or name in layers):
            return output
        own = first if first.requires_grad or not torch.is_grad_enabled() else first.detach().requires_grad_()
        if name in layers:
            kept.outputs[name], kept.extents[name] = own, extent
        if candidate:
            kept.auto, kept.extents[AUTO], kept.version = (name, own), extent, own._version
        if own is first and name not in layers and name != kept.safe:
            return output
        return (own.clone(), *output[1:]) if isinstance(output, tuple) else own.clone()

    return hook


def _is_candidate(name: str, part: nn.Module, output: Tensor, extent: Extent | None, kept: _Kept) -> bool:
    """Whether this output is the new candidate for "auto"; the grid of the last spatial output is noted.

    A candidate is a 4-D output of more than one place, or, behind the patch grid of a transformer, the norm that opens
    a block: Grad-CAM at the last attention output of a ViT is zero but at the class token, at its last norm1 it is
    not. Attention weights, which pass a Dropout or Softmax, are 4-D too, but no pictures; windows of a picture are
    more rows than the batch has.
    """
    if extent is None or extent.cells == 1 or isinstance(part, _NO_PICTURES):
        return False
    if output.ndim == 4:
        kept.grid = extent.grid
        return True
    return name.rpartition(".")[2] in _TOKEN_NORMS
