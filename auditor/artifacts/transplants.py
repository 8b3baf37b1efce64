"""Transplants: a region of pictures or a column of rows, moved from examples that are taken for another class."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from auditor.artifacts.attributions import Attributions
from auditor.artifacts.explained import Explained
from auditor.artifacts.strategies import DRAWN, TRIED, Strategies, Tried
from auditor.errors import NotApplicable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from auditor.methods.strategies.transplant import Surgery

SHOWN = 4
COLUMNS = 64
MOVES = 4


def search_parts(maps: Attributions, model: Any, loader: Any, halves: Any, seed: int) -> Strategies:
    """The part whose transplant is followed most on the first half, tested on the second."""
    import numpy as np

    from auditor.methods.strategies import regions
    from auditor.methods.strategies.clustering import spectral
    from auditor.methods.strategies.transplant import Surgery, donors_of

    rng = np.random.default_rng(seed)
    predicted, (first, second) = maps.explained.predicted, halves
    surgery = Surgery(model.logits, _inputs(loader, len(predicted)), predicted, loader.batch_size)
    places = _shares(maps, surgery)
    groups = spectral(places[first].reshape(len(first), -1), seed)
    names, masks, means = _parts(places[first], groups.labels, predicted[first], maps.explained)
    try:
        tried = first[:TRIED]
        donors = donors_of(tried, predicted, rng)
        hits = [int(surgery.follows(tried, donors, mask).sum()) for mask in masks]
        donors_b = donors_of(second, predicted, rng)
    except ValueError as error:
        raise NotApplicable(f"{error}, so there is no example of another class to take a part from") from error
    if surgery.inputs.ndim == 4:
        _refine(masks, hits, lambda mask: int(surgery.follows(tried, donors, mask).sum()))
        names = [regions.named(mask) for mask in masks]
    sizes = [int(mask.sum()) for mask in masks]
    best = max(range(len(masks)), key=lambda at: (hits[at], sizes[at], -at))  # a mark is rather cut than covered
    order = np.argsort(-np.array(hits), kind="stable").tolist()
    follow = surgery.follows(second, donors_b, masks[best])
    some = _some(follow)
    return Strategies(
        kind="region" if surgery.inputs.ndim == 4 else "column",
        clusters=groups.labels, count=groups.count, chosen=names[best], target=-1, rows=second, donors=donors_b,
        follow=follow,
        null=surgery.follows(second, donors_b, _elsewhere(masks, best, len(second), rng)),
        position=places[second].reshape(len(second), -1)[:, masks[best].ravel()].sum(axis=1),
        mean_map=_suspicious(means, masks[best]).reshape(-1, masks[best].shape[-1]).astype(np.float32),
        region=masks[best].reshape(-1, masks[best].shape[-1]),
        tried=tuple(Tried(names[at], int(hits[at]), len(tried)) for at in order), tokens=(),
        explained=maps.explained, shown_at=some,
        shown=_shown(loader, surgery, np.stack([second, donors_b], axis=1)[list(some)], masks[best]),
    )  # fmt: skip


def _inputs(loader: Any, rows: int) -> Any:
    import torch

    return torch.cat([batch.inputs for batch in loader.first(rows)])[:rows]


def _shares(maps: Attributions, surgery: "Surgery") -> "NDArray[np.float64]":
    from auditor.methods.strategies.regions import GRID, on_cells, shares

    if surgery.inputs.ndim != 4:
        return shares(maps.maps)
    return on_cells(maps.maps, min(GRID, *surgery.inputs.shape[2:]))


def _parts(places: Any, labels: Any, predicted: Any, explained: Explained) -> tuple[list[str], list[Any], list[Any]]:
    """Candidates with their names, and the mean maps that they come from: of all, of each group, of each class."""
    import numpy as np

    from auditor.methods.strategies import regions

    means = [places.mean(axis=0)]
    means += [places[labels == each].mean(axis=0) for each in np.unique(labels)]
    means += [places[predicted == each].mean(axis=0) for each in np.unique(predicted)]
    if places.ndim == 3:
        masks = regions.candidates(means)
        return [regions.named(mask) for mask in masks], masks, means
    strongest = np.argsort(-np.max(means, axis=0), kind="stable")[:COLUMNS]
    each = list(np.eye(places.shape[1], dtype=bool)[strongest])
    return [explained.column(at) for at in strongest.tolist()], each, means


def _refine(masks: list[Any], hits: list[int], count: Callable[[Any], int]) -> None:
    """Move the best window to the neighbouring place that is followed more, a few times; what is tried is kept."""
    from auditor.methods.strategies.regions import neighbours

    known = {mask.tobytes() for mask in masks}
    for _ in range(MOVES):
        best = hits.index(max(hits))
        fresh = [mask for mask in neighbours(masks[best]) if mask.tobytes() not in known]
        known |= {mask.tobytes() for mask in fresh}
        masks += fresh
        hits += [count(mask) for mask in fresh]


def _elsewhere(masks: Any, best: int, n: int, rng: Any) -> Any:
    """For each example the same region at one of eight other places, or one of the other columns."""
    import numpy as np

    from auditor.methods.strategies.regions import elsewhere

    if masks[best].ndim == 2:
        return np.stack(elsewhere(masks[best], DRAWN, rng))[np.arange(n) % DRAWN]
    others = np.stack([mask for at, mask in enumerate(masks) if at != best] or [masks[best]])
    return others[rng.integers(len(others), size=n)]


def _suspicious(means: Any, mask: Any) -> Any:
    """Of the mean maps of all, of groups and of classes the one that holds most in the chosen part."""
    return max(means, key=lambda mean: float(mean[mask].sum()))


def _some(follow: Any) -> tuple[int, ...]:
    """The first two that follow and the first two that do not, as far as there are any."""
    return tuple(at for kind in (True, False) for at in (follow == kind).nonzero()[0][: SHOWN // 2].tolist())


def _shown(loader: Any, surgery: "Surgery", pairs: Any, mask: Any) -> "tuple[NDArray[np.uint8], ...]":
    """Examples, their donors, and the mixture, as the model sees them."""
    import numpy as np

    from auditor.methods.strategies.transplant import on_pixels

    if surgery.inputs.ndim != 4:
        return ()
    found = []
    for row, donor in pairs.tolist():
        own, other = loader.shown([row, donor])
        inside = on_pixels(mask[None], *own.shape[:2])[0]
        found += [own, other, np.where(inside[..., None], other, own)]
    return tuple(found)
