"""Units: what each channel, feature or neuron of a layer does, summed up example by example while a pass runs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from auditor.errors import UsageError
from auditor.methods.layout import Like, axis_of, told

AUTO = "auto"
HEAD = "head-input"
"""The pattern that means what enters the last linear layer (or 1 x 1 convolution) to run: what the head decides on."""

PLACES = 16
"""Places of an example at which units are compared with each other."""

SHOWN, CHANNELS, LARGEST = 4, 16, 32
"""Examples, channels and side of the maps that are kept to be shown."""

_CHUNK = 4_000_000
_GOLDEN = 0.6180339887498949


@dataclass(frozen=True)
class Seen:
    """The units of one layer on a batch of n examples; places are pixels or tokens (one for plain features).

    count [n]: places that are the example's own. mean, squares [n, units]: float64 mean over its places, and the sum
    of squares about that mean. peak, place [n, units]: the largest activation and where it is. sample float32
    [n, units, PLACES at most]: the activations at places spread evenly. maps [SHOWN at most, CHANNELS at most, h, w]:
    the first channels of the first examples where the layer has spatial extent, else empty.
    """

    count: Tensor
    mean: Tensor
    squares: Tensor
    peak: Tensor
    place: Tensor
    sample: Tensor
    maps: Tensor


def units_of(module: nn.Module, pattern: str) -> tuple[str, ...]:
    """Names of the layers that a pattern means, in the module's order.

    auto: outputs of nonlinearities (modules, not functions), and of blocks (the members of a Sequential or ModuleList
    that have parts of their own); if there are none, of all parts that have none of their own. head-input: what may
    be the head. Any other pattern is a glob over dotted names: `layer1.*`. UsageError where it matches nothing.
    """
    named = [(name, part) for name, part in module.named_modules() if name]
    if pattern == HEAD:
        return tuple(name for name, part in named if _head_axis(part) is not None)
    if pattern == AUTO:
        chosen = [name for name, part in named if _is_nonlinearity(part)]
        chosen += [f"{name}.{child}" for name, part in [("", module), *named] for child in _blocks(part)]
        wanted = {name.removeprefix(".") for name in chosen} or {name for name, part in named if _is_leaf(part)}
        return tuple(name for name, _ in named if name in wanted)
    found = tuple(name for name, _ in named if fnmatchcase(name, pattern))
    if not found:
        names = ", ".join(name for name, part in named[:200] if _is_leaf(part))
        raise UsageError(f"layers {pattern!r}: no layer of the model matches", f"It has: {names[:400]}")
    return found


@contextmanager
def watched(module: nn.Module, patterns: frozenset[str], inputs: Any) -> Iterator[dict[str, dict[str, Seen]]]:
    """While open, runs of the layers that the patterns mean are summed up: pattern -> layer -> what was seen.

    A layer that runs again is another entry, `name (run 2)`. Of head-input there is one entry, by the head's name.
    Outputs that are not floating-point tensors with at least one unit are passed over. Nothing is changed or kept of
    the module; hooks are removed whatever happens.
    """
    found: dict[str, dict[str, Seen]] = {pattern: {} for pattern in patterns}
    if not patterns:
        yield found
        return
    mask = inputs.get("attention_mask") if isinstance(inputs, dict) else None
    watch = _Watch({pattern: frozenset(units_of(module, pattern)) for pattern in patterns}, mask, found)
    handles = [part.register_forward_hook(watch.hook(name)) for name, part in module.named_modules() if name]
    try:
        yield found
        watch.finish()
    finally:
        for handle in handles:
            handle.remove()


def summed_up(values: Tensor, own: Tensor | None = None) -> Seen:
    """Units [n, units, places], or with spatial extent [n, units, h, w]; own [n, places]: which places count."""
    flat = values.flatten(2)
    rows = max(1, _CHUNK // max(1, flat[0].numel()))
    parts = [_moments(flat[at : at + rows], None if own is None else own[at : at + rows])
             for at in range(0, len(flat), rows)]  # fmt: skip
    count, mean, squares, peak, place = (torch.cat(column) for column in zip(*parts, strict=True))
    maps = values[:SHOWN, :CHANNELS].detach().float() if values.ndim == 4 else values.new_zeros((0, 0, 0, 0))
    if maps.numel() and max(maps.shape[2:]) > LARGEST:
        maps = functional.adaptive_avg_pool2d(maps, (min(LARGEST, maps.shape[2]), min(LARGEST, maps.shape[3])))
    return Seen(count, mean, squares, peak, place, _sampled(flat, own), maps.cpu())


@dataclass
class _Watch:
    """The hooks of one pass. like: axis and width of the units of the last layer that says where its units are."""

    wanted: dict[str, frozenset[str]]
    mask: Tensor | None
    found: dict[str, dict[str, Seen]]
    like: Like = (1, 0)
    runs: dict[str, int] = field(default_factory=dict)
    head: tuple[str, Tensor, int] | None = None

    def hook(self, name: str) -> Callable[[nn.Module, Any, Any], None]:
        """The hook of one layer."""

        def see(part: nn.Module, args: Any, output: Any) -> None:
            first = output[0] if isinstance(output, tuple) and output else output
            if not isinstance(first, Tensor) or not first.is_floating_point() or first.ndim < 2 or not len(first):
                return
            self.like = told(part, first) or self.like
            axis = _head_axis(part)
            if HEAD in self.wanted and axis is not None and args:
                self.head = (name, args[0].detach(), axis % args[0].ndim)
            patterns = [pattern for pattern, names in self.wanted.items() if name in names and pattern != HEAD]
            if patterns:
                self.note(name, patterns, first.detach())

        return see

    def note(self, name: str, patterns: list[str], output: Tensor) -> None:
        """Sum up one run of a layer."""
        self.runs[name] = self.runs.get(name, 0) + 1
        label = name if self.runs[name] == 1 else f"{name} (run {self.runs[name]})"
        seen = self._summed(output, axis_of(output, self.like))
        for pattern in patterns:
            self.found[pattern][label] = seen

    def finish(self) -> None:
        """Sum up what entered the head."""
        if self.head is not None:
            name, entered, axis = self.head
            self.found[HEAD][name] = self._summed(entered, axis)

    def _summed(self, values: Tensor, axis: int) -> Seen:
        moved = values.movedim(axis, 1)
        return summed_up(moved if moved.ndim > 2 else moved[:, :, None], self._own(values, axis))

    def _own(self, output: Tensor, axis: int) -> Tensor | None:
        mask = self.mask
        if mask is None or output.ndim != 3 or axis != 2 or output.shape[:2] != mask.shape:
            return None
        return mask.bool()


def _head_axis(part: nn.Module) -> int | None:
    """Where the units of its input are, of what may be a head; else None."""
    if isinstance(part, nn.Linear):
        return -1
    return 1 if isinstance(part, nn.Conv2d) and part.kernel_size == (1, 1) else None


def _is_leaf(part: nn.Module) -> bool:
    return next(part.children(), None) is None


def _is_nonlinearity(part: nn.Module) -> bool:
    """An activation of torch, or of a library that keeps them in a module called activations."""
    if not _is_leaf(part) or isinstance(part, nn.Softmax | nn.LogSoftmax | nn.Softmin | nn.MultiheadAttention):
        return False
    place = type(part).__module__
    return place == "torch.nn.modules.activation" or place.rpartition(".")[2] == "activations"


def _blocks(part: nn.Module) -> list[str]:
    """Members of a list of layers that have parts of their own; a Sequential is only its last member again."""
    if not isinstance(part, nn.Sequential | nn.ModuleList):
        return []
    return [
        name for name, child in part.named_children() if not _is_leaf(child) and not isinstance(child, nn.Sequential)
    ]


def _moments(flat: Tensor, own: Tensor | None) -> tuple[Tensor, ...]:
    """count, mean, squares about the mean, peak and its place over the own places of [n, units, places]."""
    values = flat.double()
    weight = torch.ones_like(values[:, :1]) if own is None else own[:, None, :].double()
    count = weight.sum(dim=2)
    mean = (values * weight).sum(dim=2) / count.clamp(min=1)
    squares = (((values - mean[:, :, None]) ** 2) * weight).sum(dim=2)
    peak, place = values.masked_fill(weight == 0, -torch.inf).max(dim=2)
    return count[:, 0].cpu(), mean.cpu(), squares.cpu(), peak.cpu(), place.cpu()


def _sampled(flat: Tensor, own: Tensor | None) -> Tensor:
    """Activations at PLACES places of each example, spread evenly over its own (all, where it has no more)."""
    n, _, places = flat.shape
    if places <= PLACES and own is None:
        return flat.float().cpu()
    spread = torch.frac((torch.arange(min(PLACES, places), device=flat.device) + 0.5) * _GOLDEN)
    if own is None:
        return flat[:, :, (spread * places).long()].float().cpu()
    order = own.long().argsort(dim=1, descending=True, stable=True)  # own places first
    rank = (spread[None, :] * own.sum(dim=1, keepdim=True)).long()
    index = order.gather(1, rank)[:, None, :].expand(n, flat.shape[1], -1)
    return flat.gather(2, index).float().cpu()
