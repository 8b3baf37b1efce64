"""A new classification head in the place of the old one."""

from typing import TYPE_CHECKING, Any

from auditor.errors import SourceError

if TYPE_CHECKING:
    import torch


def renew_head(module: "torch.nn.Module", old: int, new: int, name: str) -> str:
    """Put a fresh layer of `new` outputs where the last linear (or 1 x 1 convolution) layer of `old` outputs is.

    It is initialized as torch initializes such a layer, from torch's global generator. Returns its dotted name.
    Raises SourceError when the model `name` has no such layer.
    """
    import torch

    found: list[str] = [path for path, layer in module.named_modules() if _is_head(layer, old)]
    if not found:
        raise SourceError(
            f"models.{name}: found no linear layer of {old} outputs that a new head could replace",
            hint="fine-tune with the head it has: leave `head:` out",
            where=("models", name, "finetune", "head"),
        )
    parent, _, last = found[-1].rpartition(".")
    layer: Any = module.get_submodule(found[-1])
    fresh: torch.nn.Module
    if isinstance(layer, torch.nn.Linear):
        fresh = torch.nn.Linear(layer.in_features, new, bias=layer.bias is not None)
    else:
        fresh = torch.nn.Conv2d(layer.in_channels, new, kernel_size=1, bias=layer.bias is not None)
    setattr(module.get_submodule(parent), last, fresh)
    config = getattr(module, "config", None)
    if hasattr(config, "num_labels"):
        config.num_labels = module.num_labels = new  # type: ignore[union-attr,assignment]  # a transformers model
    return found[-1]


def _is_head(layer: Any, outputs: int) -> bool:
    import torch

    if isinstance(layer, torch.nn.Linear):
        return layer.out_features == outputs
    return isinstance(layer, torch.nn.Conv2d) and layer.kernel_size == (1, 1) and layer.out_channels == outputs
