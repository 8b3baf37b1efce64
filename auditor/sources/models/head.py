"""A new classification head in the place of the old one, or on an encoder that has none."""

from typing import TYPE_CHECKING, Any

from auditor.errors import SourceError

if TYPE_CHECKING:
    import torch

NAMED = ("classifier", "score", "fc", "_fc", "head", "heads", "output", "out", "linear", "logits")
TWINS = frozenset({"cls_classifier", "distillation_classifier"})
"""The two heads of distilled transformers, whose logits are averaged."""
ENDINGS = {"text": "ForSequenceClassification", "image": "ForImageClassification"}


def renew_head(module: "torch.nn.Module", old: int, new: int, name: str) -> tuple[str, ...]:
    """Put a fresh layer of `new` outputs where the head of `old` outputs is; the dotted names of heads_of.

    It is initialized as torch initializes such a layer, from torch's global generator.
    Raises SourceError when the model `name` has no such layer.
    """
    heads = heads_of(module, old, name)
    for path in heads:
        parent, _, last = path.rpartition(".")
        setattr(module.get_submodule(parent), last, _fresh(module.get_submodule(path), new))
    noted: Any = module  # with the notes of it that transformers and torchvision keep
    config: Any = getattr(noted, "config", None)
    if hasattr(config, "num_labels"):
        config.num_labels = noted.num_labels = new
        config.problem_type = "single_label_classification"
    elif isinstance(getattr(noted, "num_classes", None), int):
        noted.num_classes = new
    return heads


def heads_of(module: "torch.nn.Module", outputs: int, name: str) -> tuple[str, ...]:
    """The dotted name of the head: the last linear (or 1 x 1 convolution) layer of so many outputs, one that is named
    like a head before others; of a distilled transformer the names of both. SourceError where there is none."""
    found = [path for path, layer in module.named_modules() if _is_head(layer, outputs)]
    named = [path for path in found if any(part in NAMED or part in TWINS for part in path.split("."))]
    if not found:
        raise SourceError(
            f"models.{name}: found no linear layer of {outputs} outputs that a new head could replace",
            hint="fine-tune with the head it has: leave `head:` out",
            where=("models", name, "finetune", "head"),
        )
    twins = tuple(path for path in found if path in TWINS)
    return twins if len(twins) == len(TWINS) else ((named or found)[-1],)


def with_head(encoder: "torch.nn.Module", architecture: str, classes: int, name: str) -> "torch.nn.Module":
    """The classifier `architecture` of transformers around the weights of an encoder of the same kind.

    What the encoder has not (the head, and a pooling layer that it was saved without) is drawn from torch's global
    generator. Raises SourceError where transformers has no such class for the model `name`, or its parts do not fit.
    """
    import transformers

    cls: Any = getattr(transformers, architecture, None)
    if cls is None:
        raise SourceError(
            f"models.{name}: transformers has no {architecture} to give this encoder a head",
            hint="save it with a head, as a classifier, and fine-tune that",
            where=("models", name, "finetune", "head"),
        )
    config: Any = encoder.config
    config.num_labels, config.problem_type = classes, "single_label_classification"
    module: torch.nn.Module = cls._from_config(config, attn_implementation="eager")
    trunk: Any = getattr(module, cls.base_model_prefix)
    missing, unexpected = trunk.load_state_dict(encoder.state_dict(), strict=False)
    beyond = [each for each in (*unexpected, *missing) if "pooler." not in each]
    if beyond:
        raise SourceError(
            f"models.{name}: the encoder's weights do not fit the trunk of {architecture}: {', '.join(beyond[:3])}",
            hint="save it with a head, as a classifier, and fine-tune that",
            where=("models", name, "finetune", "head"),
        )
    return module


def _fresh(layer: Any, outputs: int) -> "torch.nn.Module":
    import torch

    if isinstance(layer, torch.nn.Linear):
        return torch.nn.Linear(layer.in_features, outputs, bias=layer.bias is not None)
    return torch.nn.Conv2d(layer.in_channels, outputs, kernel_size=1, bias=layer.bias is not None)


def _is_head(layer: Any, outputs: int) -> bool:
    import torch

    if isinstance(layer, torch.nn.Linear):
        return layer.out_features == outputs
    return isinstance(layer, torch.nn.Conv2d) and layer.kernel_size == (1, 1) and layer.out_channels == outputs
