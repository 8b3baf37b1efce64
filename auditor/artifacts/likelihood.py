"""Likelihood: the loss of a language model on each token of each text, gathered by document and by place."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from auditor.artifacts.roots import Batches, Model
from auditor.blocks import Line, Lines
from auditor.errors import NotApplicable
from auditor.needs import Cost, Derived, Need
from auditor.statistics import moments, t_interval
from auditor.subject import Subject

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

POINTS = 64


@dataclass(frozen=True)
class Likelihoods:
    """One entry a document, in the reading order.

    nats: float64 [n], the losses summed; tokens: int64 [n], how many were scored; bytes: int64 [n], UTF-8 bytes of the
    text from its first scored token on. document, place, loss: each scored token's document, its place there, and its
    loss. window and stride: tokens read at once, and how far windows move on in longer documents. unknown: scored
    tokens that stand for whatever the vocabulary lacks.
    """

    nats: "NDArray[np.float64]"
    tokens: "NDArray[np.int64]"
    bytes: "NDArray[np.int64]"
    document: "NDArray[np.int64]"
    place: "NDArray[np.int64]"
    loss: "NDArray[np.float32]"
    examples: tuple[str, ...]
    groups: tuple[str, ...]
    window: int
    stride: int
    is_masked: bool = False
    remarks: tuple[str, ...] = ()
    unknown: int = 0

    def notes(self) -> tuple[str, ...]:
        """How the texts were read, and what could not be."""
        silent = int((self.tokens == 0).sum())
        said = [f"Windows of {self.window} tokens, {self.stride} apart; {int(self.tokens.sum()):,} tokens scored."]
        said += [f"{silent} of {len(self.tokens):,} documents hold no token that could be scored."] if silent else []
        if self.unknown:
            said.append(
                f"{self.unknown:,} of the {int(self.tokens.sum()):,} scored tokens are the unknown token: that "
                "something unknown stood there is predicted, not what, so all numbers are too low."
            )
        return (*said, *self.remarks)

    def by_place(self) -> Lines:
        """The mean loss by place in the document, over documents, with pointwise 95% intervals."""
        import numpy as np

        edges = np.unique(np.geomspace(1, max(2, int(self.place.max()) + 1), POINTS).astype(np.int64))
        box = np.searchsorted(edges, self.place, side="right")
        points: list[tuple[float, float, float, float]] = []
        for index in np.unique(box).tolist():
            inside = np.flatnonzero(box == index)
            _, owner = np.unique(self.document[inside], return_inverse=True)
            mean, sd, n = moments(np.bincount(owner, self.loss[inside]) / np.bincount(owner))
            if n > 1:
                points.append((float(self.place[inside].mean()), mean, *t_interval(mean, sd, n, 0.95)))
        x, y, low, high = zip(*points, strict=True) if points else ((),) * 4
        line = Line(label="loss", x=x, y=y, low=low, high=high)
        return Lines(
            title="Loss by place in the text",
            reading="The mean loss of the tokens at each place, over documents, with its 95% interval. It falls where "
            "the model makes use of what stands before; places with fewer than two documents are left out.",
            x_label="tokens before", y_label="nats", lines=(line,),
        )  # fmt: skip


@dataclass(frozen=True)
class LikelihoodNeed(Derived[Likelihoods]):
    """The losses on the first `rows` texts. stride: None is half the window; masked: tokens a document, masked LMs."""

    version: ClassVar[int] = 2
    artifact: ClassVar[type] = Likelihoods
    model: Model
    batches: Batches
    rows: int
    stride: int | None
    masked: int
    run_seed: int

    @property
    def title(self) -> str:
        """A few words for plans and progress."""
        return "likelihood of the texts"

    def needs(self) -> Mapping[str, Need[Any]]:
        """The model and its texts."""
        return {"model": self.model, "batches": self.batches}

    def cost(self) -> Cost:
        """At least one forward a batch; a masked model takes one a token."""
        rows = min(self.rows, self.batches.rows)
        return Cost(forwards=-(-rows // self.batches.batch_size) * (self.masked if self._is_masked else 1))

    @property
    def _is_masked(self) -> bool:
        return self.model.ref.task == "masked_lm"

    def build(self, *args: Any, **upstream: Any) -> Likelihoods:
        """Documents in, losses out."""
        import torch

        from auditor.methods.likelihood import causal, masked

        model, loader = upstream["model"], upstream["batches"]
        encoder = loader.encoder
        places = loader.order[: self.rows]
        texts = [loader.dataset.fetch(row) for row in places]
        read = [_document(encoder, text) for text in texts]
        documents, sizes = [one for one, _ in read], [size for _, size in read]
        window = encoder.max_length
        stride = min(self.stride or max(1, window // 2), window)
        logits, most = _asking(model), loader.batch_size
        if self._is_masked:
            generator = torch.Generator().manual_seed(self.draw_seed(self.run_seed))
            stride = window
            found = masked(logits, documents, window, encoder.mask_id, self.masked, model.ref.outputs, most, generator)
        else:
            found = causal(logits, documents, window, stride, model.ref.outputs, most)
        owner, place, nats = (column.numpy() for column in found.columns())
        gathered = self._gathered(loader, places, owner, place, nats, sizes, window, stride)
        return replace(gathered, unknown=_unknown(encoder.tokenizer, documents, owner, place))

    def _gathered(
        self, loader: Any, places: Any, owner: Any, place: Any, nats: Any, sizes: list[int], window: int, stride: int
    ) -> Likelihoods:
        import numpy as np

        n, dataset = len(places), loader.dataset
        if not len(nats):
            raise NotApplicable("no text has a token that could be scored: each needs two at least")
        groups = tuple(dataset.groups[row] for row in places)
        return Likelihoods(
            nats=np.bincount(owner, nats, minlength=n).astype(np.float64),
            tokens=np.bincount(owner, minlength=n).astype(np.int64),
            bytes=np.array(sizes, dtype=np.int64), document=owner.astype(np.int64), place=place.astype(np.int64),
            loss=nats.astype(np.float32), examples=tuple(dataset.examples[row] for row in places),
            groups=groups if any(groups) else (), window=window, stride=stride, is_masked=self._is_masked,
            remarks=loader.unread(),
        )  # fmt: skip


def likelihood_of(subject: Subject, rows: int, stride: int | None, masked: int) -> LikelihoodNeed:
    """The likelihood that a subject's language model gives its texts."""
    if subject.data is None:
        raise ValueError("a likelihood needs texts")
    runtime = subject.runtime
    model, batches = Model(subject.model, runtime), Batches(subject.model, subject.data, runtime)
    return LikelihoodNeed(model, batches, rows, stride, masked, runtime.seed)


def _asking(model: Any) -> "Callable[[Any, Any], Any]":
    import torch

    @torch.inference_mode()
    def logits(ids: Any, mask: Any) -> Any:
        return model.token_logits({"input_ids": ids.to(model.device), "attention_mask": mask.to(model.device)})

    return logits


def _unknown(tokenizer: Any, documents: list[Any], owner: Any, place: Any) -> int:
    """How many of the scored tokens are the unknown token, where it is a token of its own."""
    unknown = tokenizer.unk_token_id
    if unknown is None or unknown in (tokenizer.bos_token_id, tokenizer.eos_token_id):
        return 0
    return sum(int(documents[row].ids[at]) == unknown for row, at in zip(owner.tolist(), place.tolist(), strict=True))


def _document(encoder: Any, text: str) -> tuple[Any, int]:
    """A whole text as tokens, and its UTF-8 bytes from the first token that can be scored."""
    import torch

    from auditor.methods.likelihood import Document

    tokenizer = encoder.tokenizer
    found = tokenizer(text, verbose=False, return_offsets_mapping=tokenizer.is_fast)
    ids = torch.tensor(found["input_ids"], dtype=torch.int64)
    scored = ~torch.isin(ids, torch.tensor(encoder.special_ids, dtype=torch.int64))
    if encoder.task == "causal_lm" and len(scored):
        scored[0] = False  # nothing stands before it
    first = int(scored.int().argmax()) if bool(scored.any()) else 0
    start = found["offset_mapping"][first][0] if tokenizer.is_fast and len(ids) else 0
    return Document(ids, scored), len(text[start:].encode())
