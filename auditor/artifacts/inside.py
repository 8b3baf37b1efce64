"""Inside: the features before a model's head, and what its first normalization layer receives."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from auditor.artifacts.roots import Batches, Model
from auditor.methods.data.normalization import Received
from auditor.needs import Cost, Derived, Need
from auditor.sources.data.batch import BatchLoader
from auditor.sources.models.loaded import LoadedModel

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Inside:
    """Of the first rows: float32 [n, d] features that enter `layer` (the head, or "" where the logits stand for them),
    and what the normalization layer `normalization` received ("" if the model has none with running statistics)."""

    features: "NDArray[np.float32]"
    layer: str
    received: Received
    normalization: str


@dataclass(frozen=True)
class InsideOf(Derived[Inside]):
    """The inside of a model on the first `rows` rows of a data set."""

    artifact: ClassVar[type] = Inside
    model: Model
    batches: Batches
    rows: int

    @property
    def title(self) -> str:
        """Whose inside."""
        return f"features of {self.batches.data.name}"

    def needs(self) -> Mapping[str, Need[Any]]:
        """Model and rows."""
        return {"model": self.model, "batches": self.batches}

    def cost(self) -> Cost:
        """One forward a batch."""
        wanted = min(self.rows, self.batches.rows)
        return Cost(forwards=-(-wanted // self.batches.batch_size))

    def build(self, *args: Any, **upstream: Any) -> Inside:
        """One pass without gradients."""
        import numpy as np

        from auditor.methods.data.inside import Watched

        model: LoadedModel = upstream["model"]
        loader: BatchLoader = upstream["batches"]
        with Watched(model.module, model.logits) as watched:
            for batch in loader.first(self.rows):
                watched.see(batch.inputs)
        rows = min(self.rows, loader.rows)
        return Inside(
            features=np.concatenate(watched.features)[:rows].astype(np.float32),
            layer=watched.head,
            received=watched.received(rows),
            normalization=watched.normalization,
        )
