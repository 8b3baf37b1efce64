"""Explanations: the maps of any method by its name; those that need more than one pass are built example by example."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from auditor.artifacts.attributions import (
    GRADIENT,
    INPUT,
    Attributions,
    GradCamProbe,
    InputXGradientProbe,
    Lines,
    SaliencyProbe,
)
from auditor.artifacts.explained import Explained, ExplainedProbe
from auditor.artifacts.predictions import classes_of
from auditor.artifacts.quick import quick_of
from auditor.artifacts.roots import sweep_of
from auditor.needs import Cost, Derived, Need, Sweep, Tap
from auditor.subject import Subject

Options = tuple[tuple[str, Any], ...]
BACKGROUND = 256
"""Rows of a table that tell what a removed column becomes."""
PASSES = {"smoothgrad": (16, 16), "integrated_gradients": (18, 16), "occlusion": (65, 0), "rise": (512, 0)}
PASSES |= {"attention_rollout": (1, 0), "random": (0, 0), "edges": (0, 0)}
"""Forwards and backwards of each example; pictures, where it depends. One of both for methods that are not here."""


@dataclass(frozen=True)
class AttributionsNeed(Derived[Attributions]):
    """Maps of the first `rows` rows by the method of that name; options: parameters that are not default."""

    artifact: ClassVar[type] = Attributions
    version: ClassVar[int] = 2

    sweep: Sweep
    rows: int
    method: str
    options: Options = ()
    classes: tuple[str, ...] = ()
    run_seed: int = 0

    @property
    def title(self) -> str:
        """A few words for plans and progress."""
        return f"{self.method.replace('_', ' ')} maps"

    def needs(self) -> Mapping[str, Need[Any]]:
        """The model, its data, and what the model said of the examples."""
        explained = ExplainedProbe(self.sweep, rows=self.rows, classes=self.classes)
        return {"model": quick_of(self.sweep), "batches": self.sweep.batches, "explained": explained}

    def cost(self) -> Cost:
        """What the method takes at its defaults, at least."""
        count = self.sweep.batch_count(self.rows)
        forwards, backwards = PASSES.get(self.method, (1, 1))
        return Cost(forwards=forwards * count, backwards=backwards * count)

    def build(self, *args: Any, **upstream: Any) -> Attributions:
        """The maps, batch by batch."""
        from auditor.methods.attribution.explain import method_of

        model, loader, explained = upstream["model"], upstream["batches"], upstream["explained"]
        method = method_of(self.method, **dict(self.options))
        context, lines = context_of(loader, self.draw_seed(self.run_seed), explained), Lines()
        for inputs, targets in batches_of(loader, explained):
            lines.add(method.maps(model, inputs, targets, context), inputs)
        return replace(lines.result(explained), difference=model.difference)


def batches_of(loader: Any, explained: Explained) -> Any:
    """Inputs and explained targets of each batch of the explained examples."""
    import torch

    from auditor.methods.attribution.asked import take

    rows = len(explained.targets)
    for batch in loader.first(rows):
        kept = min(len(batch.examples), rows - batch.start)
        targets = torch.from_numpy(explained.targets[batch.start : batch.start + kept]).to(batch.labels.device)
        yield take(batch.inputs, slice(0, kept)), targets


def context_of(loader: Any, seed: int, explained: Explained | None = None) -> Any:
    """What a method may need of the data: token ids of texts, background rows of tables, how far scores spread."""
    import numpy as np

    from auditor.methods.attribution.method import Context
    from auditor.sources.encode import Columns, Texts

    plain: dict[str, Any] = {"seed": seed, "batch_size": loader.batch_size}
    if explained is not None and explained.scores is not None:
        plain["spread"] = float(np.std(explained.scores))
    if isinstance(loader.encoder, Texts):
        tokenizer = loader.encoder.tokenizer
        first = next(each for each in (tokenizer.mask_token_id, tokenizer.unk_token_id, -1) if each is not None)
        plain |= {"mask_id": first, "pad_id": tokenizer.pad_token_id or 0}
        plain["special_ids"] = tuple(set(tokenizer.all_special_ids) - {tokenizer.mask_token_id, tokenizer.unk_token_id})
    elif isinstance(loader.encoder, Columns):
        plain["background"] = loader.batch(range(min(loader.rows, BACKGROUND))).inputs
    return Context(**plain)


def _saliency(sweep: Sweep, rows: int, classes: tuple[str, ...], **options: Any) -> Need[Attributions]:
    return SaliencyProbe(sweep, frozenset({GRADIENT}), rows, classes, **options)


def _input_x_gradient(sweep: Sweep, rows: int, classes: tuple[str, ...]) -> Need[Attributions]:
    return InputXGradientProbe(sweep, frozenset({INPUT, GRADIENT}), rows, classes)


def _grad_cam(sweep: Sweep, rows: int, classes: tuple[str, ...], **options: Any) -> Need[Attributions]:
    layer = options.get("layer", "auto")
    taps = frozenset({Tap("activation", layer), Tap("activation_gradient", layer)})
    return GradCamProbe(sweep, taps, rows, classes, **options)


SHARED: dict[str, Callable[..., Need[Attributions]]] = {
    "saliency": _saliency,
    "input_x_gradient": _input_x_gradient,
    "grad_cam": _grad_cam,
}
"""Methods of one forward and one backward: they share the sweep that predicts."""


def maps_of(subject: Subject, method: str, rows: int, target: str = "predicted", **options: Any) -> Need[Attributions]:
    """The maps of a subject's model on its data by one method; equal for all checks that ask for them."""
    sweep, classes = sweep_of(subject, target), classes_of(subject, target)
    if method in SHARED:
        return SHARED[method](sweep, rows, classes, **options)
    return AttributionsNeed(sweep, rows, method, tuple(sorted(options.items())), classes, subject.runtime.seed)
