"""How well a language model predicts a text: its pre-training objective on the audit's own data."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from auditor.artifacts.likelihood import Likelihoods, likelihood_of
from auditor.check import About, Check, Pillar
from auditor.errors import NotApplicable
from auditor.evidence import Evidence, Measurement, Metric, Quantiles
from auditor.needs import Need
from auditor.statistics import cluster_bootstrap
from auditor.subject import Subject

if TYPE_CHECKING:
    import numpy as np

LANGUAGE = ("causal_lm", "masked_lm")

MASKED = "a masked model gives a text no probability of its own"


class Likelihood(Check):
    """How well does a language model predict this text?

    Figure: the loss by place in the text.
    """

    pillar: ClassVar[Pillar] = "task"
    about: ClassVar[About] = About(
        title="Likelihood",
        question="How well does the language model predict the tokens of this text?",
        formula="nll = - sum_i log p(x_i | x_<i) / tokens;  perplexity = exp(nll);  masked models: nll = - sum_i log "
        "p(x_i | all others) / tokens, pseudo_perplexity = exp(nll);  bits_per_byte = sum_i nll_i / (ln 2 x bytes)",
        method="Each document is read with the model's own tokenizer. One longer than the window is read in windows "
        "that move on by `stride` tokens (half a window unless stated): a token is scored once, with at least window - "
        "stride tokens before it, but for the first window's. A causal model scores every token that has one before "
        "it; special tokens are never scored. For a masked model, tokens are replaced by the mask one at a time, at "
        "most `masked` a document, drawn from the seed. The unit of resampling is the document (or the group): tokens "
        "of a text are not independent, so whole documents are drawn.",
        reading="A perplexity of 50 is the uncertainty of 50 equally likely tokens. Bits per byte do not depend on "
        "the tokenizer and can be compared between models; perplexities only between models of one tokenizer. A "
        "pseudo-perplexity is much smaller than a perplexity, as both sides of a token are seen.",
        limits="A text that was part of the training data is predicted too well. Low perplexity is no proof of truth "
        "or usefulness. In the last place of a window the model may rely on less context than in use. Bytes before "
        "the first scored token are not counted.",
        citation="Jelinek et al., Perplexity, a measure of the difficulty of speech recognition tasks, 1977. Salazar "
        "et al., Masked language model scoring, ACL 2020. Gao et al., The Pile, 2020, on bits per byte.",
    )
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(name="nll", unit="nats", better="down", interval="bootstrap", resampling="document",
               doc="The mean negative log likelihood of a scored token.",
               what_to_try="Compare with a text like those the model was trained on: if that is fine, adapt the "
               "model to this kind of text; else check weights and tokenizer."),
        Metric(name="perplexity", better="down", interval="bootstrap", resampling="document",
               doc="exp(nll) of a causal model.",
               what_to_try="Look at the curve by place: high everywhere means foreign text or wrong weights, high at "
               "the start only means that documents are short."),
        Metric(name="pseudo_perplexity", better="down", interval="bootstrap", resampling="document",
               doc="exp(nll) of a masked model, each token predicted from all others.",
               what_to_try="Adapt the model to this kind of text by further masked training."),
        Metric(name="bits_per_byte", unit="bits", better="down", interval="bootstrap", resampling="document",
               doc="Bits that a causal model needs to write down a byte of the text; independent of the tokenizer.",
               what_to_try="Compare with a general compressor (about 2 bits on English): above that, the model "
               "knows nothing of this text."),
    )  # fmt: skip

    rows: int = Field(256, ge=1, description="Score the first documents of the data.")
    stride: int | None = Field(None, ge=1, description="Tokens that windows move on by; null: half a window.")
    masked: int = Field(64, ge=1, description="Tokens masked in each document, at most (masked models).")

    def applies(self, subject: Subject) -> str | None:
        """Language models with texts."""
        if subject.data is None:
            return "likelihood needs texts"
        return None if subject.model.task in LANGUAGE else f"the model's task is {subject.model.task}"

    def needs(self, subject: Subject) -> Mapping[str, Need[Any]]:
        """The losses."""
        return {"found": likelihood_of(subject, self.rows, self.stride, self.masked)}

    def measure(self, *, found: Likelihoods, seed: int) -> Evidence:
        """Loss a token, perplexity, bits a byte; the loss by place."""
        import numpy as np

        kept = np.flatnonzero(found.tokens)
        nats, tokens, size = found.nats[kept], found.tokens[kept], found.bytes[kept]
        units = [found.groups[row] for row in kept] if found.groups else [str(row) for row in kept]
        if len(set(units)) < 2:
            raise NotApplicable("one document alone says nothing of the spread over documents")

        def nll(rows: "np.ndarray[Any, Any]") -> float:
            return float(nats[rows].sum() / tokens[rows].sum())

        estimates: dict[str, Callable[..., float]] = {"nll": nll}
        if found.is_masked:
            estimates["pseudo_perplexity"] = lambda rows: float(np.exp(nll(rows)))
        else:
            estimates["perplexity"] = lambda rows: float(np.exp(nll(rows)))
            estimates["bits_per_byte"] = lambda rows: float(nats[rows].sum() / size[rows].sum() / np.log(2))
        everyone = np.arange(len(kept))
        drawn = {name: Quantiles(values=cluster_bootstrap(each, units, seed)) for name, each in estimates.items()}
        return Evidence(
            measurements=tuple(
                self._drawn(name, each(everyone), drawn[name], len(set(units)), bool(found.groups))
                for name, each in estimates.items()
            ),
            blocks=(found.by_place(),),
            samples={"nll": tuple((nats / tokens).tolist())},
            examples=tuple(found.examples[row] for row in kept),
            notes=found.notes(),
            inapplicable=dict.fromkeys(("perplexity", "bits_per_byte"), MASKED)
            if found.is_masked
            else {"pseudo_perplexity": "the model is causal"},
        )

    def _drawn(self, name: str, value: float, drawn: Quantiles, n: int, is_grouped: bool) -> Measurement:
        found = self.replicated(name, value, drawn, n)
        return found.model_copy(update={"unit_of_resampling": "group"}) if is_grouped else found
