"""Quick: a frozen copy of a network that gives the same logits in less time, for forwards and input gradients only."""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

TOLERANCE = 1e-4
"""Largest difference from the original's logits, relative to their spread, that a copy may show."""


def quick_copy(module: nn.Module, run: Callable[[nn.Module], Tensor]) -> tuple[nn.Module, float]:
    """A copy in eval mode with convolutions and the BatchNorms behind them folded, channels last, and its difference.

    run(module) -> logits of some real inputs. The difference is the largest over those logits, relative to the
    standard deviation of the original's. A copy that differs by more than TOLERANCE (a convolution whose output is
    also read elsewhere, a module that keeps state), or that cannot run (`view` knows one memory layout alone), is
    thrown away for one that is less changed; where all of them differ (a module that answers otherwise each time, or
    reads what no copy has) the module itself is returned, with no difference. Never train the copy nor take its
    Hessian.
    """
    with torch.no_grad():
        want = run(module)
        spread = float(want.std(correction=0)) or 1.0
        for fold, last in ((True, True), (True, False), (False, True)):
            made = _prepared(module, run, fold, last)
            difference = _difference(made, run, want) / spread
            if difference <= TOLERANCE:
                return made, difference
    return module, 0.0


def _difference(made: nn.Module, run: Callable[[nn.Module], Tensor], want: Tensor) -> float:
    """The largest difference of its logits; infinite where it cannot run, and NaN is not accepted either."""
    try:
        return float((run(made) - want).abs().max())
    except RuntimeError:
        return float("inf")


def _prepared(module: nn.Module, run: Callable[[nn.Module], Tensor], fold: bool, last: bool) -> nn.Module:
    made = copy.deepcopy(module).eval().requires_grad_(False)
    for convolution, norm in conv_norm_pairs(made, run) if fold else ():
        parts: Any = made.get_submodule(convolution), made.get_submodule(norm)
        _put(made, convolution, fuse_conv_bn_eval(*parts))
        _put(made, norm, nn.Identity())
    for part in made.modules():
        if last and isinstance(part, nn.Conv2d):
            part.to(memory_format=torch.channels_last)
    return made


def conv_norm_pairs(module: nn.Module, run: Callable[[nn.Module], Tensor]) -> list[tuple[str, str]]:
    """Names of each convolution and the BatchNorm that takes its output, each of them run once in a forward."""
    outputs: dict[int, tuple[str, Tensor]] = {}
    pairs: list[tuple[str, str]] = []
    counts: dict[str, int] = {}

    def watch(name: str) -> Callable[..., None]:
        def hook(part: nn.Module, args: Any, output: Any) -> None:
            counts[name] = counts.get(name, 0) + 1
            if isinstance(part, nn.Conv2d):
                outputs[id(output)] = (name, output)
            elif args and id(args[0]) in outputs:
                pairs.append((outputs[id(args[0])][0], name))

        return hook

    kinds = (nn.Conv2d, nn.BatchNorm2d)
    handles = [p.register_forward_hook(watch(name)) for name, p in module.named_modules() if isinstance(p, kinds)]
    try:
        run(module)
    finally:
        for handle in handles:
            handle.remove()
    return [(a, b) for a, b in pairs if counts[a] == counts[b] == 1]


def _put(module: nn.Module, name: str, part: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(module.get_submodule(parent), last, part)
