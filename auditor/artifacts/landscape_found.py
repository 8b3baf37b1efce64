"""What is found of a loss landscape, with what a reader must know of each part."""

from dataclasses import dataclass
from math import isfinite

from auditor.methods.landscape.found import Around, Lane, Trodden, pseudo_values
from auditor.statistics import moments


@dataclass(frozen=True)
class Surroundings:
    """The loss around a model. fed: the data on which its BatchNorm measured, "" where it has none."""

    found: Around
    rows: int
    data: str
    fed: str
    remarks: tuple[str, ...]

    def known(self) -> list[float]:
        """The rises that are finite."""
        return [rise for rise in self.found.rises.tolist() if isfinite(rise)]

    def is_open(self) -> bool:
        """Whether some are not, so that the mean of the others is only a lower bound."""
        return len(self.known()) < len(self.found.rises)

    def notes(self) -> tuple[str, ...]:
        """How it was computed."""
        said = [f"Mean loss over {self.rows:,} examples of {self.data}: {self.found.centre:.4g} at the model itself."]
        if self.fed:
            said.append(f"BatchNorm measured its statistics anew on {self.fed} for each loss; with those it holds the "
                        f"model's loss is {self.found.own:.4g}.")  # fmt: skip
        if not isfinite(self.found.centre):
            said.append("flatness is not measured: the loss of the model itself is not finite.")
        elif self.is_open():
            lost, bound = len(self.found.rises) - len(self.known()), len(self.known()) > 1
            said.append(f"{lost} of {len(self.found.rises)} directions lead to a loss that is not finite; flatness is "
                        f"{'a lower bound' if bound else 'not measured'}.")  # fmt: skip
        return (*said, *self.remarks)


@dataclass(frozen=True)
class Path:
    """The straight line between the first and the last kept weights of a history, and the kept weights between.

    diverged: of a fine-tune, whether the run ended in a loss that is not below that before its first step."""

    lane: Lane
    trodden: Trodden
    diverged: bool

    def is_open(self) -> bool:
        """Whether its barrier is only a lower bound."""
        return self.diverged or self.lane.is_open()

    def notes(self) -> tuple[str, ...]:
        """What does not come out."""
        if not self.lane.has_ends():
            return ("path_barrier is not measured: the loss at an end of the path is not finite.",)
        if self.lane.is_flat():
            return (f"path_barrier is not measured: the loss is {self.lane.losses[0]:.4g} all along, as of a network "
                    "that is dead or saturated, or that was not trained.",)  # fmt: skip
        bound = (
            "path_barrier is a lower bound: the run diverged, its loss ends no lower than it began, or the line has a "
        )
        return (bound + "loss that is not finite.",) if self.is_open() else ()


@dataclass(frozen=True)
class Pairs:
    """The straight lines between the last weights of all pairs of seeds. lost: seeds that diverged and have no end;
    seeds: of how many, `trained` in all."""

    pairs: tuple[tuple[int, int], ...]
    lanes: tuple[Lane, ...]
    lost: tuple[int, ...]
    seeds: int
    trained: int

    def measured(self) -> list[tuple[tuple[int, int], Lane]]:
        """The pairs whose loss is finite at both ends."""
        return [(pair, lane) for pair, lane in zip(self.pairs, self.lanes, strict=True) if lane.has_ends()]

    def is_open(self) -> bool:
        """Whether the mean barrier is only a lower bound."""
        return bool(self.lost) or any(lane.is_open() for lane in self.lanes)

    def barrier(self) -> tuple[float, float, int] | None:
        """Mean over the pairs, the standard deviation over seeds, and how many; None without a pair.

        The deviation is that of the jackknife's pseudo-values, or that of the depths' (Lane.depth) where it is larger:
        cutting off what lies below zero never widens a spread, but it hides that of barriers which are all zero.
        """
        found = [(pair, lane.barrier() or 0.0, lane.depth()) for pair, lane in self.measured()]
        if not found:
            return None
        pairs, heights = [pair for pair, _, _ in found], [height for _, height, _ in found]
        depths = [height if depth is None else depth for _, height, depth in found]
        mean, seeds = sum(heights) / len(heights), len({seed for pair in pairs for seed in pair})
        if seeds < 3:
            return mean, 0.0, 1
        return mean, max(moments(pseudo_values(pairs, column))[1] for column in (heights, depths)), seeds

    def notes(self) -> tuple[str, ...]:
        """What was left out."""
        said = [f"Seed {seed} diverged and is left out of seed_barrier." for seed in self.lost]
        if self.seeds < self.trained:
            said.append(f"The first {self.seeds} of {self.trained} seeds are compared.")
        if lost := len(self.lanes) - len(self.measured()):
            said.append(f"{lost} of {len(self.lanes)} pairs of seeds have an end whose loss is not finite.")
        if not self.measured():
            said.append("seed_barrier is not measured: no two seeds have a finite loss.")
        elif self.is_open():
            said.append("seed_barrier is a lower bound.")
        return tuple(said)


@dataclass(frozen=True)
class Landscape:
    """All of it; absent: why there is no path or there are no pairs, by the metric that would tell of them."""

    around: Surroundings
    path: Path | None
    pairs: Pairs | None
    absent: dict[str, str]

    def notes(self) -> tuple[str, ...]:
        """What a reader must know of each part."""
        return tuple(said for each in (self.around, self.path, self.pairs) if each is not None for said in each.notes())
