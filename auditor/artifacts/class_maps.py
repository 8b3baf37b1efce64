"""Class maps: how alike the maps of an example's foremost classes are."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from auditor.artifacts.asking import Asking
from auditor.artifacts.attributions import Lines
from auditor.artifacts.explained import Explained

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class ClassMaps:
    """correlation: float64 [n, k, k], signed rank correlation of the maps of an example's k foremost classes.

    The first class is the explained one, the others follow by their logits. constant: bool [n, k], maps that are the
    same everywhere and so have no order; their correlations are 0 and mean nothing.
    """

    correlation: "NDArray[np.float64]"
    constant: "NDArray[np.bool_]"
    explained: Explained


@dataclass(frozen=True)
class ClassMapsNeed(Asking[ClassMaps]):
    """Correlations of the maps of the `top` foremost classes by one method."""

    artifact: ClassVar[type] = ClassMaps
    top: int = 3

    @property
    def title(self) -> str:
        """A few words for plans and progress."""
        return f"{self.method.replace('_', ' ')} maps of several classes"

    def maps(self) -> int:
        """One a class."""
        return self.top

    def build(self, *args: Any, **upstream: Any) -> ClassMaps:
        """All pairs of classes, example by example."""
        from auditor.methods.attribution.explain import method_of

        method = method_of(self.method, **dict(self.options))
        lines = [Lines() for _ in range(self.top)]
        for inputs, targets, context in self.each(upstream):
            for place, column in enumerate(foremost(upstream["model"], inputs, targets, self.top).T):
                lines[place].add(method.maps(upstream["model"], inputs, column, context), inputs)
        return _compared([each.result(upstream["explained"]) for each in lines], upstream["explained"])


def foremost(model: Any, inputs: Any, targets: Any, top: int) -> Any:
    """The explained class of each row, and the others of largest logit: int64 [n, top]."""
    import torch

    with torch.no_grad():
        return model.logits(inputs).scatter(1, targets[:, None], torch.inf).topk(top, dim=1).indices


def _compared(found: list[Any], explained: Explained) -> ClassMaps:
    import numpy as np

    from auditor.methods.similarity.ranks import signed_rank_correlation

    n, k = len(explained.targets), len(found)
    correlation = np.ones((n, k, k))
    for a in range(k):
        for b in range(a + 1, k):
            pair = signed_rank_correlation(found[a].maps, found[b].maps, found[a].lengths)
            correlation[:, a, b] = correlation[:, b, a] = pair.values
    flat = [each.without_order for each in found]
    return ClassMaps(correlation, np.stack(flat, axis=1), explained)
