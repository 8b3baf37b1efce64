"""Lineage as a report shows it: counts, the tensors that matter, spectra, and what the reader must know."""

from collections import Counter
from collections.abc import Sequence
from math import isfinite

from auditor.artifacts.lineage import Kin
from auditor.blocks import MAX_ROWS, AnyBlock, Cell, Line, Lines, Table
from auditor.methods.lineage.record import Pair
from auditor.values import sha256

WORDS = {"rounded": "identical up to rounding", "reshaped": "another shape", "transposed": "transposed"}


def lineage_blocks(kin: Kin) -> tuple[AnyBlock, ...]:
    """The counts, the most telling tensors, and the spectrum of the largest changes."""
    return (_counts(kin), _tensors(kin), *_spectra(kin))


def lineage_notes(kin: Kin) -> list[str]:
    """What the reader must know of the comparison."""
    descent, said = kin.descent, []
    for whose, lead in (("this model", descent.child_lead), (kin.other, descent.parent_lead)):
        said += [f"{lead!r} was taken off the names of {whose} to compare them."] if lead else []
    once = descent.once()
    if descent.correlation() is None:
        said.append(f"parent_correlation is not measured: no matrix has the name and shape of one of {kin.other}.")
    resized = [pair for pair in once if pair.state == "reshaped" or pair.declared]
    if resized:
        said.append(f"{len(resized)} tensors have another shape or belong to a declared new head: {_listed(resized)}.")
    silent = [pair for pair in once if len(pair.shape) >= 2 and pair.shape == pair.before and not pair.compared]
    if silent:
        said.append(f"{len(silent)} tensors are constant in {kin.other} and say nothing of parentage.")
    tied = [pair for pair in descent.pairs if pair.tied]
    if tied:
        pairs = ", ".join(f"{pair.name} = {pair.tied}" for pair in tied[:3]) + (" ..." if len(tied) > 3 else "")
        said.append(f"{len(tied)} tensors hold the bytes of another one and are listed once: {pairs}.")
    rounded = [pair for pair in once if pair.state == "rounded"]
    if rounded:
        said.append(f"{len(rounded)} tensors are equal to the parent's once both have the narrower type.")
    return said


def _listed(pairs: Sequence[Pair]) -> str:
    return ", ".join(pair.name for pair in pairs[:4]) + (" ..." if len(pairs) > 4 else "")


def _counts(kin: Kin) -> Table:
    found = Counter(pair.state for pair in kin.descent.pairs if not pair.tied)
    rows: list[tuple[Cell, ...]] = [(WORDS.get(state, state), count) for state, count in sorted(found.items())]
    sums = {
        "all tensors": sha256(sorted((pair.name, pair.digest) for pair in kin.descent.pairs if pair.digest)),
        f"all tensors of {kin.other}": sha256(
            sorted((pair.name, pair.before_digest) for pair in kin.descent.pairs if pair.before_digest)
        ),
        **{f"file {name}": digest for name, digest in kin.files},
        **{f"file {name} of {kin.other}": digest for name, digest in kin.parent_files},
    }
    rows += [(f"sha256 of {what}", digest[:16]) for what, digest in sums.items()]
    return Table(
        title=f"Beside {kin.other}", columns=("what", "found"), rows=tuple(rows[:MAX_ROWS]),
        more=max(0, len(rows) - MAX_ROWS),
        reading="How many tensors are as they were; tied ones count once. Equal digests of a file or of all tensors "
        "mean equal weights, whatever the file's format.",
    )  # fmt: skip


def _tensors(kin: Kin) -> Table:
    kept = [pair for pair in kin.descent.pairs if not pair.tied and pair.state != "identical"]
    ordered = sorted(kept, key=_place)
    return Table(
        title=f"Tensors that are not as in {kin.other}",
        columns=("tensor", "state", "correlation", "moved", "stable rank", "rank", "sha256, own / parent's"),
        rows=tuple(_row(pair) for pair in ordered[:MAX_ROWS]), more=max(0, len(ordered) - MAX_ROWS),
        reading="Unexplained tensors stand first, marked with (!), then those of another shape, then those that "
        "changed most, and last what is no parameter: moved is norm(change) / norm(parent's), and the ranks are those "
        "of the change, empty where one is full or cannot be told from rounding.",
    )  # fmt: skip


def _place(pair: Pair) -> tuple[bool, bool, bool, float]:
    return not pair.unexplained, not pair.parameter, pair.state in ("changed", "rounded"), -_moved(pair)


def _row(pair: Pair) -> tuple[Cell, ...]:
    state = WORDS.get(pair.state, pair.state) + (" (!)" if pair.unexplained else "")
    state += " (declared new)" if pair.declared else ""
    state += "" if pair.parameter else " (no parameter)"
    numbers = tuple(value if isfinite(value) else None for value in (pair.correlation, pair.relative, pair.stable_rank))
    full = pair.shape and pair.rank >= min(pair.shape[0], pair.size // max(1, pair.shape[0]))
    rank = pair.rank if pair.rank >= 0 and not full else None
    return (pair.name, state, *numbers, rank, f"{pair.digest[:8] or '–'} / {pair.before_digest[:8] or '–'}")


def _moved(pair: Pair) -> float:
    return pair.relative if isfinite(pair.relative) else 0.0


def _spectra(kin: Kin) -> tuple[Lines, ...]:
    lines = []
    for name, values in kin.descent.spectra.items():
        kept = [value / values[0] for value in values.tolist() if value > 1e-9 * values[0]]
        lines.append(Line(label=name, x=tuple(range(1, len(kept) + 1)), y=tuple(kept)))
    if not lines:
        return ()
    return (
        Lines(
            title=f"Spectrum of the largest changes from {kin.other}", x_label="singular value",
            y_label="share of the largest", y_log=True, lines=tuple(lines),
            reading="Each line holds the singular values of one tensor's change, the largest being 1. A line that "
            "drops to nothing after a few values is a change of low rank, as adapters leave.",
        ),
    )  # fmt: skip
