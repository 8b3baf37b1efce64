"""Curvature: the spectrum of the second derivatives of a model's loss on its data; one run serves every check."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from auditor.artifacts.roots import Batches, Model
from auditor.errors import NotApplicable
from auditor.methods.curvature.found import Settings, Spectrum
from auditor.needs import Cost, Derived, Need
from auditor.sources.data.batch import BatchLoader
from auditor.sources.models.loaded import LANGUAGE, LoadedModel
from auditor.subject import Subject
from auditor.values import Value

if TYPE_CHECKING:
    from auditor.methods.curvature.products import Part

MatrixName = Literal["hessian", "gauss_newton"]


@dataclass(frozen=True)
class Curvature:
    """What was found, and on what. rows, units: examples, and rows or tokens the loss is the mean of; batches: how
    many; loss: that mean. lr: the learning rate of the model's recipe, if it was fine-tuned here, and the optimizer's
    name."""

    found: Spectrum
    matrix: str
    rows: int
    units: int
    batches: int
    loss: float
    lr: float | None
    optimizer: str
    remarks: tuple[str, ...]

    def notes(self) -> tuple[str, ...]:
        """How it was computed, and what did not come out."""
        found = self.found
        how = "written down whole" if found.full else f"{found.vectors} vectors of that length held at most"
        said = [
            f"{self.matrix.replace('_', '-').capitalize()} of {found.size:,} parameters, mean loss over {self.rows:,} "
            f"examples in {self.batches} batches, {self.loss:.4g}; {found.products:,.0f} products, {how}, beside "
            f"graphs of {found.graph_bytes / 2**20:,.1f} MiB."
        ]
        if found.rebuilt:
            said.append(f"The graphs of {found.rebuilt} batches were built anew for each product, to save memory.")
        if not found.converged:
            worst = float(found.errors.max())
            said.append(f"Not all eigenvalues have converged: the largest relative residual is {worst:.2g}.")
        if found.missed is not None:
            said.append(f"A probe saw an eigenvalue near {found.missed:.4g} beside those listed: equal ones, or ones "
                        "hidden from the start vector, are found once.")  # fmt: skip
        if found.is_skewed:
            said.append(f"Nothing is decided: second derivatives are symmetric, and these are off by {found.skew:.2g} "
                        "of their size. An operation of the model has a wrong one (a function with a backward of its "
                        "own?), or all are lost in rounding, as where the loss is almost zero.")  # fmt: skip
        return (*said, *self.remarks)


@dataclass(frozen=True)
class CurvatureOf(Derived[Curvature]):
    """One run on the first rows of a subject's data."""

    version: ClassVar[int] = 2
    artifact: ClassVar[type] = Curvature
    model: Model
    batches: Batches
    rows: int
    matrix: MatrixName
    layers: tuple[str, ...]
    settings: Settings
    run_seed: int

    @property
    def title(self) -> str:
        """A few words for plans and progress."""
        return f"curvature of {self.model.ref.name}"

    def needs(self) -> Mapping[str, Need[Any]]:
        """The model and its data."""
        return {"model": self.model, "batches": self.batches}

    def cost(self) -> Cost:
        """About as many products as the settings say."""
        return Cost(products=self.settings.products(self.model.ref.parameters))

    def build(self, *args: Any, progress: Callable[[int, int], None] | None = None, **upstream: Any) -> Curvature:
        """Graphs, then products."""
        from auditor.methods.curvature.products import products
        from auditor.methods.curvature.spectrum import spectrum

        model, loader, seed = upstream["model"], upstream["batches"], self.draw_seed(self.run_seed)
        parts = list(parts_of(model, loader, self.rows, seed))
        if not parts:
            raise NotApplicable("no text has a token whose loss could be taken")
        total = self.settings.products(self.model.ref.parameters)

        def told(count: float) -> None:
            if progress is not None:
                progress(min(int(count), total), total)

        with products(model.module, parts, layers=self.layers, matrix=self.matrix, told=told) as operator:
            loss, found = operator.loss(), spectrum(operator, self.settings, seed)
        recipe = self.model.ref.recipe
        return Curvature(
            found, self.matrix, min(loader.rows, -(-self.rows // loader.batch_size) * loader.batch_size),
            int(sum(part.units for part in parts)), len(parts), loss, recipe.lr if recipe else None,
            recipe.optimizer if recipe else "", loader.remarks(self.rows),
        )  # fmt: skip


def parts_of(model: LoadedModel, loader: BatchLoader, rows: int, seed: int) -> "Iterator[Part]":
    """The batches of a model's mean loss over the first rows, by its task; tokens are masked as `seed` draws them."""
    import torch

    from auditor.methods.curvature.losses import of_masked_tokens, of_next_tokens, of_rows

    task, encoder = model.ref.task, loader.encoder
    if task not in LANGUAGE:
        for batch in loader.first(rows):
            yield of_rows(model.logits, batch.inputs, batch.labels)
        return
    generator = torch.Generator().manual_seed(seed)
    plain = replace(loader, encoder=replace(encoder, task="encoder"))  # type: ignore[type-var]  # texts as they are
    for batch in plain.first(rows):
        if task == "causal_lm":
            part = of_next_tokens(model.token_logits, batch.inputs)
        else:
            special, mask = encoder.special_ids, encoder.mask_id  # type: ignore[attr-defined]  # it reads texts
            part = of_masked_tokens(model.token_logits, batch.inputs, special, mask, generator)
        if part is not None:
            yield part


class OfCurvature(Value):
    """What checks of a curvature ask for: those that ask the same share one run."""

    rows: Annotated[int, Field(ge=1, description="The curvature of the mean loss over the first rows of the data.")] = (
        128
    )
    matrix: Annotated[
        MatrixName, Field(description="The Hessian, or the Gauss-Newton matrix: its part without negatives.")
    ] = "hessian"
    layers: Annotated[
        tuple[str, ...], Field(description="Globs over layer or parameter names; default: all parameters.")
    ] = ()
    top: Annotated[int, Field(ge=1, le=30, description="How many of the largest eigenvalues are found.")] = 5
    probes: Annotated[
        int, Field(ge=2, le=100, description="Random vectors for the trace; below 10 nothing is decided.")
    ] = 10

    def applies(self, subject: Subject) -> str | None:
        """Models with a loss on their data."""
        return without_loss(subject)

    def needs(self, subject: Subject) -> Mapping[str, Need[Any]]:
        """One run, shared by all checks of it."""
        return {"curvature": curvature_of(subject, self.rows, self.matrix, self.layers, self.top, self.probes)}


def curvature_of(
    subject: Subject, rows: int, matrix: MatrixName, layers: tuple[str, ...], top: int, probes: int
) -> CurvatureOf:
    """The curvature of a subject's model on its data, shared by all who ask the same."""
    if subject.data is None:
        raise ValueError("a curvature needs data")
    model, batches = Model(subject.model, subject.runtime), Batches(subject.model, subject.data, subject.runtime)
    settings = Settings(top=top, probes=probes)
    return CurvatureOf(model, batches, rows, matrix, layers, settings, subject.runtime.seed)


def without_loss(subject: Subject) -> str | None:
    """Why a subject has no loss on its data, or None."""
    if subject.data is None:
        return "without a data set there is no loss"
    if subject.model.task == "encoder":
        return "an encoder has no loss"
    return None if subject.model.task in LANGUAGE else subject.lacks_labels()
