"""Freezing parts of a model by name, their normalization statistics with them."""

from collections.abc import Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase

import torch

from auditor.errors import SourceError


def freeze(module: torch.nn.Module, globs: Sequence[str], name: str) -> tuple[str, ...]:
    """Leave the parameters whose names match a glob alone; their names, in order (`*` also stands for dots).

    Raises SourceError, about the model `name`, for a glob that matches nothing or when nothing is left to train.
    """
    parameters = dict(module.named_parameters())
    found = [each for each in parameters if any(fnmatchcase(each, glob) for glob in globs)]
    for glob in globs:
        if not any(fnmatchcase(each, glob) for each in found):
            near = get_close_matches(glob.replace("*", ""), parameters, n=3, cutoff=0.3) or list(parameters)[:3]
            raise SourceError(
                f"models.{name}.finetune.freeze: no parameter is named like {glob!r}",
                hint=f"its parameters have names like {', '.join(near)}; `*` stands for any letters and dots",
                where=("models", name, "finetune", "freeze"),
            )
    for each in found:
        parameters[each].requires_grad_(False)
    if not any(parameter.requires_grad for parameter in parameters.values()):
        raise SourceError(
            f"models.{name}.finetune: nothing is left to train",
            hint="freeze fewer parameters",
            where=("models", name, "finetune", "freeze"),
        )
    return tuple(found)


def still_layers(module: torch.nn.Module) -> tuple[torch.nn.Module, ...]:
    """The layers with running statistics whose own parameters are all left alone: training leaves these alone too."""
    norms = (each for each in module.modules() if getattr(each, "running_mean", None) is not None)
    return tuple(each for each in norms if _is_still(list(each.parameters(recurse=False))))


def _is_still(own: list[torch.nn.Parameter]) -> bool:
    return bool(own) and not any(parameter.requires_grad for parameter in own)
