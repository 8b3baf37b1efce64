"""Candidates: models that could be shipped, each seed of each asked on the same examples, and what each costs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from auditor.artifacts.entrants import Entrant, Factors, entrants_of
from auditor.artifacts.likelihood import LikelihoodNeed, Likelihoods
from auditor.artifacts.predictions import Predictions, PredictionsProbe
from auditor.artifacts.roots import FIRST_SEED, Batches, Model
from auditor.artifacts.trajectory import Trajectories, Trajectory
from auditor.errors import NotApplicable
from auditor.evidence import Unit
from auditor.needs import Cost, Derived, Need, Sweep
from auditor.sources.data.batch import BatchLoader
from auditor.sources.models.loaded import LANGUAGE, LoadedModel
from auditor.subject import ModelRef, Runtime, Subject

if TYPE_CHECKING:
    from auditor.methods.candidates import Race, Scores, Tolerance

ASKED, MASKED = 16, 64
"""Examples whose operations are counted; tokens of a document that a masked model must guess, at most."""

BYTES = "nats a byte"
NO_RACE = "it takes two fine-tunes with the same validation data"
NO_GRID = "no learning rates are compared: `with: {lr: [1e-4, 1e-3, 1e-2]}`"


@dataclass(frozen=True)
class SeedModel(Model):
    """A fine-tune with the last weights of another seed than the first, which is Model."""

    seed: int

    @property
    def title(self) -> str:
        """The model's name, and the seed."""
        return f"model {self.ref.name}, seed {self.seed}"

    def needs(self) -> Mapping[str, Need[Any]]:
        """The fine-tune of that seed."""
        from auditor.artifacts.finetune import FineTune

        return {"tuned": FineTune(self.ref, self.seed, self.runtime)}


def model_of(ref: ModelRef, seed: int, runtime: Runtime) -> Model:
    """The model as one seed left it; one that was not fine-tuned here is the same for each."""
    return Model(ref, runtime) if seed == FIRST_SEED else SeedModel(ref, runtime, seed)


@dataclass(frozen=True)
class Answers(PredictionsProbe):
    """The predictions of a candidate, which need not be finite: one whose training diverged must not end the others."""

    finite: ClassVar[bool] = False

    @property
    def title(self) -> str:
        """Whose answers."""
        return f"answers of {self.sweep.model.title}"


@dataclass(frozen=True)
class Price:
    """What a model costs: its parameters, and the operations of a forward pass, an example."""

    parameters: int
    flops: float


@dataclass(frozen=True)
class PriceOf(Derived[Price]):
    """The price of a model on the first examples of its data."""

    version: ClassVar[int] = 2
    artifact: ClassVar[type] = Price
    model: Model
    batches: Batches

    @property
    def title(self) -> str:
        """Whose price."""
        return f"operations of {self.model.ref.name}"

    def needs(self) -> Mapping[str, Need[Any]]:
        """Model and data."""
        return {"model": self.model, "batches": self.batches}

    def cost(self) -> Cost:
        """One forward."""
        return Cost(forwards=1)

    def build(self, *args: Any, **upstream: Any) -> Price:
        """Count what one batch takes."""
        from auditor.methods.flops import forward_flops

        model: LoadedModel = upstream["model"]
        loader: BatchLoader = upstream["batches"]
        batch = next(loader.first(min(ASKED, loader.batch_size)))
        forward = model.token_logits if model.ref.task in LANGUAGE else model.logits
        flops = forward_flops(forward, batch.inputs, len(batch.examples))
        return Price(sum(each.numel() for each in model.module.parameters()), flops)


@dataclass(frozen=True)
class Candidate:
    """One that was run: scores of all seeds, records of its fine-tune (None without), and its price."""

    entrant: Entrant
    scores: "Scores"
    trajectory: Trajectory | None
    price: Price
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """As the report calls it."""
        return self.entrant.name


@dataclass(frozen=True)
class Candidates:
    """The audited model's first, then the others; examples, groups: of the columns of all scores. unit: of a loss."""

    each: tuple[Candidate, ...]
    examples: tuple[str, ...]
    groups: tuple[str, ...]
    unit: str
    notes: tuple[str, ...] = ()

    @property
    def drawn(self) -> Unit:
        """What was drawn at random beside seeds."""
        return "group" if self.groups else "document" if self.each[0].entrant.ref.task in LANGUAGE else "example"

    @property
    def grid(self) -> dict[float, Candidate]:
        """By learning rate the candidates that differ in it alone, the audited model among them; {} without any."""
        tried = [one for one in self.each if one.entrant.factor == "lr"]
        return {one.entrant.ref.recipe.lr: one for one in (self.each[0], *tried) if one.entrant.ref.recipe and tried}

    def race(self) -> "Race | None":
        """The steps of all fine-tunes to a loss that each reaches; None where these cannot be compared."""
        from auditor.methods.candidates import race

        return race({one.name: one.trajectory.runs for one in self._tuned() if one.trajectory})

    def tolerance(self, confidence: float) -> "Tolerance | None":
        """What the grid of learning rates says; None without one."""
        from auditor.methods.candidates import lr_tolerance

        losses = {rate: None if one.scores.diverged else one.scores.loss for rate, one in self.grid.items()}
        return lr_tolerance(losses, self.groups, confidence)

    def cannot(self) -> dict[str, str]:
        """The metrics that these candidates cannot have, and why."""
        why = {
            "accuracy_difference": "" if self.each[0].scores.right is not None else "there are no classes",
            "steps_to_target_validation": "" if len(self._tuned()) > 1 else NO_RACE,
            "lr_tolerance": "" if self.grid else NO_GRID,
        }
        return {name: reason for name, reason in why.items() if reason}

    def _tuned(self) -> list[Candidate]:
        """Those fine-tuned here whose validation losses are of the same data, in the same unit as the first's."""
        first, by_bytes = self.each[0].entrant.ref.validation, self.unit == BYTES
        return [
            one for one in self.each
            if (own := one.entrant.ref.validation) and first and not by_bytes
            and (own.entry, own.files) == (first.entry, first.files)
        ]  # fmt: skip


@dataclass(frozen=True)
class CandidatesOf(Derived[Candidates]):
    """All answers of all candidates, which are stored where they were made."""

    stored: ClassVar[bool] = False
    tensors: ClassVar[bool] = False
    artifact: ClassVar[type] = Candidates
    entrants: tuple[Entrant, ...]
    rows: int
    runtime: Runtime
    said: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Who they are."""
        return "candidates " + ", ".join(each.name for each in self.entrants)

    def needs(self) -> Mapping[str, Need[Any]]:
        """The answers of each seed, the price, and of fine-tunes the records."""
        found: dict[str, Need[Any]] = {}
        for at, entrant in enumerate(self.entrants):
            batches = Batches(entrant.ref, entrant.data, self.runtime)
            for seed in range(1, entrant.seeds + 1):
                model = model_of(entrant.ref, seed, self.runtime)
                found[f"answers_{at}_{seed}"] = self._answers(model, batches)
            found[f"price_{at}"] = PriceOf(Model(entrant.ref, self.runtime), batches)
            if entrant.ref.recipe is not None:
                found[f"trajectory_{at}"] = Trajectories(entrant.ref, self.runtime)
        return found

    def _answers(self, model: Model, batches: Batches) -> Need[Any]:
        """Of the first rows; of all where labels are matched in another way, since rows then come in another order."""
        if model.ref.task in LANGUAGE:
            return LikelihoodNeed(model, batches, self.rows, None, MASKED, self.runtime.seed)
        rows = self.rows if batches.data.digest == self.entrants[0].data.digest else None
        return Answers(Sweep(model, batches), rows=rows, classes=batches.data.classes)

    def build(self, *args: Any, **upstream: Any) -> Candidates:
        """Bring all answers to the examples that every candidate has."""
        asked = [
            [upstream[f"answers_{at}_{seed}"] for seed in range(1, entrant.seeds + 1)]
            for at, entrant in enumerate(self.entrants)
        ]
        answers = [one for row in asked for one in row]
        examples = _common(answers)
        unit, losses = _losses(answers)
        placed = [_placed(one, examples) for one in answers]
        columns = iter([(loss[at], one, at) for loss, one, at in zip(losses, answers, placed, strict=True)])
        found = []
        for at, entrant in enumerate(self.entrants):
            trajectory: Trajectory | None = upstream.get(f"trajectory_{at}")
            rows = [next(columns) for _ in range(entrant.seeds)]
            diverged = [run.diverged for run in trajectory.runs] if trajectory else [False] * entrant.seeds
            notes = trajectory.notes() if trajectory else ()
            found.append(Candidate(entrant, _scores(rows, diverged), trajectory, upstream[f"price_{at}"], notes))
        groups = answers[0].groups
        lost = len(set(answers[0].examples)) - len(examples)
        copies = max(len(one.examples) - len(set(one.examples)) for one in answers)
        told = {
            "were not answered by every candidate and are left out": lost,
            "are copies of others, asked once": copies,
        }
        said = tuple(f"{count} examples {how}." for how, count in told.items() if count)
        kept = tuple(groups[place] for place in placed[0]) if groups else ()
        return Candidates(tuple(found), examples, kept, unit, (*self.said, *said, *answers[0].notes()))


def _common(answers: list[Any]) -> tuple[str, ...]:
    """The examples that all have, in the order of the first. NotApplicable with fewer than two."""
    every = set.intersection(*(set(_scored(one)) for one in answers))
    found = tuple(dict.fromkeys(name for name in answers[0].examples if name in every))
    if len(found) < 2:
        raise NotApplicable(f"the candidates share {len(found)} examples that each of them answered")
    return found


def _scored(answers: Any) -> Iterator[str]:
    """The examples that have a loss: texts without a token that could be scored have none."""
    silent = answers.tokens == 0 if isinstance(answers, Likelihoods) else [False] * len(answers.examples)
    return (name for name, without in zip(answers.examples, silent, strict=True) if not without)


def _placed(answers: Any, examples: tuple[str, ...]) -> list[int]:
    place = {name: at for at, name in reversed(list(enumerate(answers.examples)))}
    return [place[name] for name in examples]


def _losses(answers: list[Any]) -> tuple[str, list[Any]]:
    """The unit of a loss, and each candidate's losses by example; not finite is infinite."""
    import numpy as np

    if isinstance(answers[0], Likelihoods):
        unit, losses = _of_texts(answers)
    else:
        from auditor.methods.training.gap import scored

        with np.errstate(all="ignore"):
            losses = [scored(one.logits, one.labels, one.targets, ()).losses for one in answers]
        unit = "nats" if answers[0].targets is None else "squared units of the label"
    return unit, [np.where(np.isfinite(loss), loss, np.inf) for loss in losses]


def _of_texts(answers: list[Likelihoods]) -> tuple[str, list[Any]]:
    """Nats a token where all cut the texts into the same tokens, else nats a byte, which no tokenizer changes."""
    import numpy as np

    first = answers[0]
    alike = all(np.array_equal(one.tokens, first.tokens) for one in answers)
    if not alike and any(one.is_masked for one in answers):
        raise NotApplicable("masked models of different tokenizers guess different things")
    with np.errstate(all="ignore"):
        if alike:
            return "nats a token", [one.nats / one.tokens for one in answers]
        return BYTES, [one.nats / one.bytes for one in answers]


def _scores(rows: list[tuple[Any, Any, list[int]]], diverged: list[bool]) -> "Scores":
    """A seed with answers that are not finite did not end well either."""
    import numpy as np

    from auditor.methods.candidates import Scores

    loss = np.stack([each for each, _, _ in rows])
    right = None
    if isinstance(rows[0][1], Predictions) and rows[0][1].targets is None:
        hits = [(one.logits.argmax(axis=1) == one.labels)[at] for _, one, at in rows]
        right = np.stack(hits) & np.isfinite(loss)
    lost = np.array(diverged) | ~np.isfinite(loss).all(axis=1)
    return Scores(loss, right, int(lost.sum()))


def candidates_of(subject: Subject, factors: Factors, rows: int) -> CandidatesOf:
    """The answers of all candidates of a subject."""
    found, said = entrants_of(subject, factors)
    return CandidatesOf(found, rows, subject.runtime, said)
