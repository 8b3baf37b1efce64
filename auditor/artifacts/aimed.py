"""Aimed: a model that gives one score an example: a token's logit, an output, a unit, a similarity."""

from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from auditor.artifacts.targets import Aim
from auditor.errors import NotApplicable, UsageError
from auditor.sources.models.loaded import LoadedModel
from auditor.sources.models.readout import MASK

if TYPE_CHECKING:
    import torch

PLAIN = Aim("plain")


@dataclass(frozen=True)
class Aimed(LoadedModel):
    """A loaded model whose logits are the score of one target, n x 1. reference: the embedding compared with."""

    aim: Aim = PLAIN
    column: int = 0
    reference: "torch.Tensor | None" = None

    def logits(self, inputs: Any) -> "torch.Tensor":
        """The target's score of each example, n x 1."""
        if self.aim.kind == "unit":
            return self._unit(inputs)[:, None]
        whole = super().logits(inputs)
        if self.reference is not None:
            import torch

            return torch.nn.functional.cosine_similarity(whole, self.reference[None])[:, None]
        if self.column >= whole.shape[1]:  # of some encoders the width is not known before they run
            raise UsageError(
                f"target output[{self.column}]: the model has {whole.shape[1]} outputs", "Use output[0] and up."
            )
        return whole[:, self.column : self.column + 1]

    def _unit(self, inputs: Any) -> "torch.Tensor":
        """A unit of a layer: its mean over an example's own places."""
        kept, handles = _Unit(self.aim), []
        for name, part in self.module.named_modules():
            if name:
                handles.append(part.register_forward_hook(kept.hook(name)))
        try:
            super().logits(inputs)
        finally:
            for handle in handles:
                handle.remove()
        return kept.pooled(inputs.get(MASK) if isinstance(inputs, dict) else None)


@dataclass
class _Unit:
    """The output of the aim's layer, of its last run, and the axis of its units."""

    aim: Aim
    like: tuple[int, int] = (1, 0)
    axis: int = 1
    output: Any = None

    def hook(self, name: str) -> Any:
        """The hook of one layer; the network goes on with a clone, so that nothing can overwrite what is kept."""

        def see(part: Any, args: Any, output: Any) -> Any:
            from auditor.methods.layout import axis_of, told

            first = output[0] if isinstance(output, tuple) and output else output
            if not hasattr(first, "is_floating_point") or not first.is_floating_point() or first.ndim < 2:
                return None
            self.like = told(part, first) or self.like
            if name != self.aim.name:
                return None
            self.output, self.axis = first, axis_of(first, self.like)
            return (first.clone(), *output[1:]) if isinstance(output, tuple) else first.clone()

        return see

    def pooled(self, own: Any) -> "torch.Tensor":
        """The unit's mean over places; of texts over the tokens that are no padding."""
        if self.output is None:
            raise NotApplicable(f"layer {self.aim.name!r} did not run, or its output is not a tensor")
        moved = self.output.movedim(self.axis, 1)
        if self.aim.index >= moved.shape[1]:
            raise UsageError(
                f"target: layer {self.aim.name!r} has {moved.shape[1]} units", f"Use [0] to [{moved.shape[1] - 1}]."
            )
        values: torch.Tensor = moved[:, self.aim.index].flatten(1)
        if own is None or values.shape != own.shape:
            return values.mean(dim=1)
        weight = own.to(values)
        mean: torch.Tensor = (values * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1)
        return mean


def aimed(model: LoadedModel, loader: Any, aim: Aim) -> Aimed:
    """The view of a model that gives an aim's score alone. UsageError for a token, layer or place that is not there."""
    own = {field.name: getattr(model, field.name) for field in fields(LoadedModel)}
    if aim.kind == "token":
        return Aimed(**own, aim=aim, column=token_id(loader.encoder.tokenizer, aim.name))
    if aim.kind == "unit":
        from auditor.methods.passes import check_layer

        check_layer(model.module, aim.name)
    reference = _reference(model, loader, aim.name) if aim.kind == "similarity" else None
    return Aimed(**own, aim=aim, column=aim.index, reference=reference)


def token_id(tokenizer: Any, text: str) -> int:
    """The id of one token: an entry of the vocabulary, or a text that becomes just one. UsageError names the pieces."""
    vocabulary = tokenizer.get_vocab()
    if text in vocabulary:
        return int(vocabulary[text])
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    if len(ids) == 1 and ids[0] != tokenizer.unk_token_id:
        return int(ids[0])
    pieces = [str(piece) for piece in tokenizer.convert_ids_to_tokens(ids)]
    near = get_close_matches(text, vocabulary, n=3)
    raise UsageError(
        f"target token:{text!r}: no single token of this vocabulary, but {len(ids)}: {', '.join(pieces[:8])}",
        f"Near it: {', '.join(near)}." if near else "Name an entry of the vocabulary; a leading space may matter.",
    )


def _reference(model: LoadedModel, loader: Any, name: str) -> "torch.Tensor":
    """The embedding of a text, or of the example at place N of the reading order, `#N`, counted from 0."""
    import torch

    if name.startswith("#"):
        place = int(name[1:]) if name[1:].isdecimal() else -1
        if not 0 <= place < loader.rows:
            raise UsageError(f"target similarity:{name}: the data has {loader.rows} rows", "Use #0 and up.")
        inputs = loader.batch(range(place, place + 1)).inputs
    else:
        inputs = {key: each.to(model.device) for key, each in loader.encoder.encode([name]).items()}
    with torch.no_grad():
        return model.logits(inputs)[0]
