"""LoadedModel: a module ready to be asked, whatever its source and modality."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from auditor.errors import NotApplicable
from auditor.sources.models.readout import EMBEDDINGS, IDS, POSITION, only_at, positions, read
from auditor.subject import Modality, ModelRef

if TYPE_CHECKING:
    import torch

LANGUAGE = ("causal_lm", "masked_lm")


@dataclass(frozen=True)
class LoadedModel:
    """A model in eval mode with float32 parameters on `device`.

    Inputs are a tensor (pictures n x channels x height x width; rows n x columns) or, for text, a dictionary of the
    tokenizer's tensors, which for a language model hold the `position` where it is read. difference: of a quick copy,
    the largest difference of its logits from the original's, relative to their spread; None for an original. reduced:
    whether perturbed inputs (methods/attribution/perturb.py), and nothing else, are run in bfloat16.
    """

    ref: ModelRef
    module: "torch.nn.Module"
    device: str = "cpu"
    difference: float | None = None
    reduced: bool = False

    @property
    def modality(self) -> Modality:
        """image, text or tabular."""
        return self.ref.modality

    def logits(self, inputs: Any) -> "torch.Tensor":
        """n x outputs, whatever the task: see readout.read.

        A language model is read at each text's `position`. Beside `input_ids`, text inputs may hold `inputs_embeds`:
        their embeddings.
        """
        task = self.ref.task
        if not isinstance(inputs, Mapping):
            return read(task, self.module(inputs), inputs)
        more, at = only_at(self.module, positions(inputs)) if task in LANGUAGE else ({}, None)
        return read(task, self._called(inputs, more), inputs, at)

    def token_logits(self, inputs: Mapping[str, Any]) -> "torch.Tensor":
        """A language model's logits at every token: n x tokens x vocabulary."""
        found: torch.Tensor = self._called(inputs, {}).logits
        return found

    def _called(self, inputs: Mapping[str, Any], more: Mapping[str, Any]) -> Any:
        rest = {name: tensor for name, tensor in inputs.items() if name not in (EMBEDDINGS, POSITION)}
        with _embedded(self.module, inputs.get(EMBEDDINGS)):
            return self.module(**rest, **more)

    def gradient_inputs(self, inputs: Any) -> "tuple[torch.Tensor, Any]":
        """Where a gradient can be taken, and the inputs to call `logits` with so that it flows there.

        Pictures and rows: the tensor itself, requiring gradients. Text: the token embeddings (n x tokens x width),
        since integer ids have no gradient; the inputs then hold them beside the ids, from which a model may tell
        padding: the logits are the same, bit for bit, as without them. Inputs that hold embeddings keep theirs.
        """
        if not isinstance(inputs, Mapping):
            leaf = inputs.detach().clone().requires_grad_(True)
            return leaf, leaf
        embed: Any = self.module.get_input_embeddings()  # type: ignore[operator]  # a transformers model
        own = inputs[EMBEDDINGS] if EMBEDDINGS in inputs else embed(inputs[IDS])
        leaf = own.detach().clone().requires_grad_(True)
        return leaf, {**inputs, EMBEDDINGS: leaf}

    def layers(self) -> tuple[str, ...]:
        """Dotted names of all submodules, as registered (containers before their parts)."""
        return tuple(name for name, _ in self.module.named_modules() if name)


@contextmanager
def _embedded(module: Any, leaf: "torch.Tensor | None") -> Iterator[None]:
    """Let the embedding layer give `leaf`, once. NotApplicable where the model does not ask it exactly once."""
    if leaf is None:
        yield
        return
    asked = 0

    def give(layer: Any, args: Any, output: Any) -> "torch.Tensor":
        nonlocal asked
        asked += 1
        return leaf.clone()  # a model may change it in place, which a leaf forbids

    handle = module.get_input_embeddings().register_forward_hook(give)
    try:
        yield
    finally:
        handle.remove()
    if asked != 1:
        raise NotApplicable(f"the model asks its embedding layer {asked} times, so no gradient belongs to its tokens")


def ready(ref: ModelRef, module: "torch.nn.Module", device: str) -> LoadedModel:
    """The module in eval mode, in float32, on the device."""
    return LoadedModel(ref=ref, module=module.float().to(device).eval(), device=device)
