"""Asking: what is asked of a method's maps again and again (moved inputs, other classes), batch by batch."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from auditor.artifacts.explained import ExplainedProbe
from auditor.artifacts.explanations import Options, batches_of, context_of
from auditor.artifacts.predictions import classes_of
from auditor.artifacts.roots import sweep_of
from auditor.needs import Cost, Derived, Need, Sweep, T_co
from auditor.subject import Subject


@dataclass(frozen=True)
class Asking(Derived[T_co]):
    """The first `rows` rows, and one method with those of its parameters that are not default."""

    sweep: Sweep
    rows: int
    method: str
    options: Options = ()
    classes: tuple[str, ...] = ()
    run_seed: int = 0

    def needs(self) -> Mapping[str, Need[Any]]:
        """The model, its data, and what the model said of the examples."""
        explained = ExplainedProbe(self.sweep, rows=self.rows, classes=self.classes)
        return {"model": self.sweep.model, "batches": self.sweep.batches, "explained": explained}

    def maps(self) -> int:
        """How many maps of each example it takes."""
        return 1

    def cost(self) -> Cost:
        """A forward and a backward a batch and map, for methods of one pass."""
        count = self.sweep.batch_count(self.rows) * self.maps()
        return Cost(forwards=count, backwards=count)

    def each(self, upstream: Mapping[str, Any], apart: bool = True) -> Iterator[tuple[Any, Any, Any]]:
        """Inputs, targets and context of each batch.

        apart: every batch draws from a seed of its own; else all have one seed, for what is drawn example by example.
        """
        from dataclasses import replace

        loader, explained = upstream["batches"], upstream["explained"]
        context = context_of(loader, self.draw_seed(self.run_seed), explained)
        for number, (inputs, targets) in enumerate(batches_of(loader, explained)):
            yield inputs, targets, replace(context, seed=(context.seed + number * apart) % 2**63)


def asking(
    cls: type[Any], subject: Subject, rows: int, target: str, method: str, options: dict[str, Any], **own: Any
) -> Any:
    """The need `cls` of a subject's model on its data."""
    return cls(
        sweep_of(subject, target), rows, method, tuple(sorted(options.items())), classes_of(subject, target),
        subject.runtime.seed, **own,
    )  # fmt: skip
