"""Low-rank adapters beside a model's own weights, and the plain model that computes the same as both together."""

import re
import warnings
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

import torch

from auditor.errors import SourceError

_BASE, _ADAPTER = ".base_layer.", ".lora_"


def adapt(
    module: torch.nn.Module, rank: int, alpha: float, targets: Sequence[str], also: Sequence[str], name: str
) -> None:
    """Put adapters beside the layers whose names match a glob: W x + (alpha / rank) B A x, where A is rank x inputs.

    B begins at zero, so the model computes what it did; A is drawn from torch's global generator. All else is left
    alone, except the layers `also`. Hu et al., LoRA (ICLR 2022), by peft.
    Raises SourceError, about the model `name`, without peft, or for a glob that names no layer that can be adapted.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise SourceError(
            f"models.{name}.finetune.lora: adapters need the package peft, which cannot be imported ({error})",
            hint="pip install peft",
            where=("models", name, "finetune", "lora"),
        ) from error
    chosen = _chosen(module, targets, name)
    pattern = "|".join(re.escape(each) for each in chosen)
    config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=pattern)  # type: ignore[arg-type]  # a float will do
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="fan_in_fan_out")  # peft finds out by itself, and says so
        inject_adapter_in_model(config, module)
    for path, parameter in module.named_parameters():
        parameter.requires_grad_(_ADAPTER in path or path.startswith(tuple(f"{each}." for each in also)))


def plain_name(name: str) -> str:
    """A parameter's name without what adapters put into it."""
    return name.replace(_BASE, ".")


def merged(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The state of the module without adapters that computes the same: W + (alpha / rank) B A for adapted layers.

    A module without adapters gives its own state.
    """
    layers = {path: layer for path, layer in module.named_modules() if hasattr(layer, "get_delta_weight")}
    own = {f"{path}.{part}" for path, layer in layers.items() for part in layer.state_dict() if _ADAPTER in f".{part}"}
    found = {}
    for name, value in module.state_dict().items():
        if name not in own:
            path = name.partition(_BASE)[0]
            found[plain_name(name) if path in layers else name] = value.detach()
    for path, layer in layers.items():
        adapted: Any = layer
        change = adapted.get_delta_weight("default").detach()
        found[f"{path}.weight"] = found[f"{path}.weight"] + change
    return found


def _chosen(module: torch.nn.Module, targets: Sequence[str], name: str) -> list[str]:
    """The linear layers and convolutions that the globs name."""
    kinds = ("Linear", "Conv1D", "Conv2d")
    known = {path: layer for path, layer in module.named_modules() if path and type(layer).__name__ in kinds}
    found = [path for path in known if any(fnmatchcase(path, glob) for glob in targets)]
    missing = [glob for glob in targets if not any(fnmatchcase(path, glob) for path in found)]
    shared = [path for path in found if _is_shared(module, known[path])]
    if missing or shared:
        raise SourceError(
            f"models.{name}.finetune.lora.targets: "
            + (f"no linear layer or convolution is named like {missing[0]!r}" if missing
               else f"{shared[0]} shares its weights with another layer"),
            hint=f"its layers have names like {', '.join(list(known)[-3:])}; `*` stands for any letters and dots",
            where=("models", name, "finetune", "lora"),
        )  # fmt: skip
    return found


def _is_shared(module: torch.nn.Module, layer: torch.nn.Module) -> bool:
    weight = layer.weight
    return sum(each is weight for _, each in module.named_parameters(remove_duplicate=False)) > 1
