"""The loss landscape: around a model, along the straight line of its training run, and between its seeds."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, ClassVar

from auditor.artifacts.curvature import parts_of
from auditor.artifacts.landscape_found import Landscape, Pairs, Path, Surroundings
from auditor.artifacts.roots import FIRST_SEED, Batches, Model
from auditor.artifacts.stages import Stages, StagesOf, stages_of
from auditor.errors import NotApplicable
from auditor.methods.landscape.found import Lane
from auditor.needs import Cost, Derived, Need
from auditor.sources.data.batch import BatchLoader
from auditor.sources.models.loaded import LANGUAGE, LoadedModel
from auditor.subject import Subject

if TYPE_CHECKING:
    from auditor.methods.landscape.scene import Scene

COMPARED = 10
"""Seeds between which lines are drawn at most: 45 pairs."""

STEPPED = 24
"""Kept weights of a history whose loss is taken at most, evenly spread over it."""

REACH = 5.0
"""Half a side of the surface, in radii."""

Tell = Callable[[int, int], None]


@dataclass(frozen=True)
class Ground:
    """On what losses are taken. batches: the data of the loss; fed: the data on which BatchNorm measures; rows: of each
    the first ones."""

    batches: Batches
    fed: Batches
    rows: int
    run_seed: int

    def passes(self, losses: int) -> Cost:
        """What so many losses take, BatchNorm not counted."""
        return Cost(forwards=losses * -(-min(self.rows, self.batches.rows) // self.batches.batch_size))

    def scene(self, model: LoadedModel, loader: BatchLoader, fed: BatchLoader, seed: int) -> "Scene":
        """The model on its data. NotApplicable where no loss can be taken."""
        from auditor.methods.landscape.scene import Scene, has_statistics, measures

        parts = list(parts_of(model, loader, self.rows, seed))
        if not parts:
            raise NotApplicable("no text has a token whose loss could be taken")
        if not has_statistics(model.module) or model.ref.task in LANGUAGE:
            return Scene(model.module, parts, None)
        batches = list(fed.first(self.rows))
        full = [each.inputs for each in batches if len(each.labels) == fed.batch_size]
        inputs = full or [each.inputs for each in batches]
        scene = Scene(model.module, parts, lambda: [model.logits(each) for each in inputs])
        if not measures(scene):
            raise NotApplicable("BatchNorm cannot measure on batches of one row: take a larger batch_size")
        return scene


@dataclass(frozen=True)
class SurroundingsOf(Derived[Surroundings]):
    """Rises and surface of one model."""

    artifact: ClassVar[type] = Surroundings
    model: Model
    ground: Ground
    layers: tuple[str, ...]
    directions: int
    radius: float
    grid: int

    @property
    def title(self) -> str:
        """A few words for plans and progress."""
        return f"loss around {self.model.ref.name}"

    def needs(self) -> Mapping[str, Need[Any]]:
        """The model, and both data sets."""
        return {"model": self.model, "batches": self.ground.batches, "fed": self.ground.fed}

    def cost(self) -> Cost:
        """One loss a point."""
        return self.ground.passes(2 + 2 * self.directions + self.grid**2)

    def build(self, *args: Any, progress: Tell | None = None, **upstream: Any) -> Surroundings:
        """Point by point; the model is left as it was found."""
        from auditor.methods.landscape.directions import Asked, around

        model, loader, fed = upstream["model"], upstream["batches"], upstream["fed"]
        seed = self.draw_seed(self.ground.run_seed)
        asked = Asked(self.directions, self.radius, self.grid, REACH * self.radius)
        scene = self.ground.scene(model, loader, fed, seed)
        found = around(scene, self.layers, asked, seed, _counter(progress, asked.points))
        rows = min(loader.rows, -(-self.ground.rows // loader.batch_size) * loader.batch_size)
        data = self.ground.fed.data.name if scene.feed is not None else ""
        return Surroundings(found, rows, self.ground.batches.data.name, data, loader.remarks(self.ground.rows))


@dataclass(frozen=True)
class PathOf(Derived[Path]):
    """The path of one history with weights (of a fine-tune its first seed)."""

    version: ClassVar[int] = 2
    artifact: ClassVar[type] = Path
    stages: Need[Stages]
    ground: Ground
    points: int

    @property
    def title(self) -> str:
        """Whose path."""
        return f"loss along the path of {self.ground.batches.model.name}"

    def needs(self) -> Mapping[str, Need[Any]]:
        """The stages and the data; of a fine-tune also its run, which may have diverged."""
        found: dict[str, Need[Any]] = {
            "stages": self.stages, "batches": self.ground.batches, "fed": self.ground.fed
        }  # fmt: skip
        return found | ({"run": self.stages.needs()["tuned"]} if "tuned" in self.stages.needs() else {})

    def cost(self) -> Cost:
        """One loss a point, and one for each kept weights."""
        return self.ground.passes(self.points + STEPPED)

    def build(self, *args: Any, progress: Tell | None = None, **upstream: Any) -> Path:
        """A module of its own is filled anew for each point."""
        from auditor.methods.landscape.scene import along, state_of
        from auditor.methods.landscape.trodden import trodden
        from auditor.methods.training.diagnosis import has_diverged
        from auditor.methods.training.picture import thinned

        stages: Stages = upstream["stages"]
        steps = [stages.steps[place] for place in thinned(len(stages.steps), STEPPED)]
        model = stages.fresh()
        scene = self.ground.scene(model, upstream["batches"], upstream["fed"], self.draw_seed(self.ground.run_seed))
        ends = []
        for step in (steps[0], steps[-1]):
            stages.fill(model, step)
            ends.append(state_of(model.module))
        told = _counter(progress, self.points + len(steps))
        losses = along(scene, ends[0], ends[1], self.points, told)
        way = trodden(scene, lambda step: stages.fill(model, step), steps, ends[0], ends[1], told)
        diverged = "run" in upstream and has_diverged(upstream["run"])
        return Path(_lane(f"step {steps[0]} to step {steps[-1]}", losses), way, diverged)


@dataclass(frozen=True)
class PairsOf(Derived[Pairs]):
    """The lines between the seeds of a fine-tune."""

    artifact: ClassVar[type] = Pairs
    stages: StagesOf
    ground: Ground
    points: int
    seeds: int

    @property
    def title(self) -> str:
        """Whose seeds."""
        return f"loss between the seeds of {self.ground.batches.model.name}"

    def needs(self) -> Mapping[str, Need[Any]]:
        """The runs; their stages know how to build a module."""
        from auditor.artifacts.finetune import FineTune

        ref, runtime = self.stages.ref, self.stages.runtime
        runs = {f"seed{seed}": FineTune(ref, seed, runtime) for seed in range(FIRST_SEED, FIRST_SEED + self.seeds)}
        return {"stages": self.stages, "batches": self.ground.batches, "fed": self.ground.fed, **runs}

    def cost(self) -> Cost:
        """One loss a point and pair."""
        return self.ground.passes(self.points * self.seeds * (self.seeds - 1) // 2)

    def build(self, *args: Any, progress: Tell | None = None, **upstream: Any) -> Pairs:
        """Pair by pair, on a module of its own."""
        import torch

        from auditor.artifacts.finetune import parts
        from auditor.methods.landscape.scene import along

        model = upstream["stages"].fresh()
        scene = self.ground.scene(model, upstream["batches"], upstream["fed"], self.draw_seed(self.ground.run_seed))
        runs = {place: upstream[f"seed{place}"] for place in range(FIRST_SEED, FIRST_SEED + self.seeds)}
        lost = tuple(place for place, run in runs.items() if run.diverged)
        pairs = tuple(combinations([place for place in runs if place not in lost], 2))
        told, lanes = _counter(progress, self.points * len(pairs)), []
        for one, other in pairs:
            ends = [
                {name: torch.as_tensor(array).to(model.device) for name, array in runs[place].weights().items()}
                for place in (one, other)
            ]
            lanes.append(_lane(f"seeds {one} and {other}", along(scene, ends[0], ends[1], self.points, told)))
        return Pairs(pairs, tuple(lanes), lost, self.seeds, parts(self.stages.ref)[0].seeds)


@dataclass(frozen=True)
class LandscapeOf(Derived[Landscape]):
    """What a subject has of it."""

    stored: ClassVar[bool] = False
    tensors: ClassVar[bool] = False
    artifact: ClassVar[type] = Landscape
    around: SurroundingsOf
    path: PathOf | None
    pairs: PairsOf | None
    absent: tuple[tuple[str, str], ...]

    @property
    def title(self) -> str:
        """Whose landscape."""
        return f"loss landscape of {self.around.model.ref.name}"

    def needs(self) -> Mapping[str, Need[Any]]:
        """Those that there are."""
        every = {"around": self.around, "path": self.path, "pairs": self.pairs}
        return {name: need for name, need in every.items() if need is not None}

    def build(self, *args: Any, **upstream: Any) -> Landscape:
        """All in one."""
        return Landscape(upstream["around"], upstream.get("path"), upstream.get("pairs"), dict(self.absent))


def landscape_of(
    subject: Subject, rows: int, layers: tuple[str, ...], directions: int, radius: float, grid: int, points: int
) -> LandscapeOf:
    """The landscape of a subject's model on its data; BatchNorm measures on the data named `train`, else on those of
    the fine-tune, else on the audited ones. ValueError without data."""
    if subject.data is None:
        raise ValueError("a landscape needs data")
    ref, runtime = subject.model, subject.runtime
    fed = subject.others.get("train") or ref.train or subject.data
    ground = Ground(Batches(ref, subject.data, runtime), Batches(ref, fed, runtime), rows, runtime.seed)
    around = SurroundingsOf(Model(ref, runtime), ground, layers, directions, radius, grid)
    path, no_path = _path(subject, ground, points)
    pairs, no_pairs = _pairs(subject, ground, points)
    absent = (("path_barrier", no_path), ("seed_barrier", no_pairs))
    return LandscapeOf(around, path, pairs, tuple((name, why) for name, why in absent if why))


def _path(subject: Subject, ground: Ground, points: int) -> tuple[PathOf | None, str]:
    try:
        stages = stages_of(subject)
    except NotApplicable as error:
        return None, str(error)
    recipe, history = subject.model.recipe, subject.history
    kept = min(recipe.keep, recipe.steps) if recipe else len(history.steps) if history else 0
    if kept < 2:
        return None, "its history keeps the weights of one step alone, and a line needs two"
    return PathOf(stages, ground, points), ""


def _pairs(subject: Subject, ground: Ground, points: int) -> tuple[PairsOf | None, str]:
    recipe = subject.model.recipe
    if recipe is None:
        return None, "only a fine-tune that the audit runs itself has several seeds to compare"
    if recipe.seeds < 2:
        return None, "the recipe trains one seed, and a line between seeds needs two (`seeds: 5`)"
    stages = StagesOf(subject.model, subject.runtime)
    return PairsOf(stages, ground, points, min(recipe.seeds, COMPARED)), ""


def _lane(name: str, losses: list[float]) -> Lane:
    import numpy as np

    return Lane(name, np.array(losses, dtype=np.float64))


def _counter(progress: Tell | None, total: int) -> Callable[[], None]:
    """Called once a loss."""
    done = 0

    def told() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(min(done, total), total)

    return told
