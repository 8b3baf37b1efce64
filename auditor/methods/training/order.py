"""Order: records that stand in each other's place, seen by how much shorter the path is once they are exchanged."""

from dataclasses import dataclass

import numpy as np

from auditor.methods.training.picture import thinned
from auditor.methods.training.record import Floats, Ints

SHORTER, SHORTER_AT_AN_END = 0.1, 0.2
"""Share of the gaps at both places that an exchange must save, with and without a gap on both sides of both records.
120 healthy small trainings reach .02 at most. At an end scatter that fades with the learning rate saves up to .15."""

MOST = 512
"""Records compared with each other; of longer histories, which one process wrote, evenly spread ones."""


@dataclass(frozen=True)
class Exchange:
    """Two records (places in the history) that would have to change places, and the share of their gaps saved."""

    first: int
    second: int
    saved: float


def exchanges(distances: Floats, most: int = 64) -> tuple[Exchange, ...]:
    """The exchanges of two records that put a path in order, found one after the other.

    distances: [N, N] between the records. At records a < b the path has up to four gaps (two beside each; the one
    between neighbours stays). An exchange counts if it shortens the sum of their lengths by a share of at least .1 (.2
    with the first or last record); of those, the one that shortens the path most is made, and the search goes on,
    `most` times at most.
    A straight path saves one half, a random walk .29, records that merely scatter around one place nothing.
    """
    order = np.arange(len(distances))
    found: list[Exchange] = []
    while len(found) < most:
        made = _best(distances[np.ix_(order, order)])
        if made is None:
            break
        a, b, saved = made
        found.append(Exchange(int(order[a]), int(order[b]), saved))
        order[[a, b]] = order[[b, a]]
    return tuple(found)


def records_compared(count: int) -> Ints:
    """Places of the records that are compared."""
    return thinned(count, MOST)


def _best(d: Floats) -> tuple[int, int, float] | None:
    if not len(d):
        return None
    before, after = _gaps(d)
    with np.errstate(divide="ignore", invalid="ignore"):
        saved = np.where(before > 0, 1 - after / before, 0.0)
    least = np.full(d.shape, SHORTER)
    for end in (0, -1):
        least[end, :] = least[:, end] = SHORTER_AT_AN_END
    gain = np.where(np.triu(saved >= least, 1), before - after, 0.0)
    if gain.max() <= 0:
        return None
    a, b = divmod(int(gain.argmax()), len(d))
    return a, b, float(saved[a, b])


def _gaps(d: Floats) -> tuple[Floats, Floats]:
    """[N, N] at a < b, the length of the gaps beside records a and b as they stand, and once exchanged."""
    count = len(d)
    left, right = np.zeros((count, count)), np.zeros((count, count))  # from record i to the one before, after place j
    left[:, 1:], right[:, :-1] = d[:, :-1], d[:, 1:]
    own = np.diag(left) + np.diag(right)
    before = own[:, None] + own[None, :]
    after = left.T + right.T + left + right  # b at a's place (rows a), a at b's place
    for a in range(count - 1):
        b = a + 1
        before[a, b] = left[a, a] + right[b, b]
        after[a, b] = left[b, a] + right[a, b]
    return before, after
