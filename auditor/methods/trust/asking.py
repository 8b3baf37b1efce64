"""Asking: the scores of many partly removed inputs, each distinct one run once, whoever asks for it."""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from auditor.methods.attribution.perturb import Forwards
from auditor.methods.attribution.removal import Removal


@dataclass
class Asks:
    """What is asked of a batch of n examples; add() gives the columns under which the answers will stand.

    bare: f(x) of the examples as they are, float32 [n]: it is known and never asked again. targets [n].
    """

    removal: Removal
    targets: Tensor
    bare: Tensor
    blocks: list[Tensor] = field(default_factory=list)
    size: int = 0

    def add(self, removed: Tensor) -> slice:
        """removed: bool [n, k, parts], the parts to take away from each example in each of k questions."""
        self.blocks.append(removed & self.removal.own.to(removed.device)[:, None])
        self.size += removed.shape[1]
        return slice(self.size - removed.shape[1], self.size)

    def answers(self, forwards: Forwards) -> Tensor:
        """f(x without what was asked), float32 [n, all questions]; equal questions are one forward."""
        removed = torch.cat(self.blocks, dim=1).cpu()
        n, asked, parts = removed.shape
        flat = removed.reshape(n * asked, parts)
        rows = torch.arange(n).repeat_interleave(asked)
        first, place = distinct(rows, flat)
        bare = ~flat[first].any(dim=1)
        found = torch.empty(len(first))
        found[bare] = self.bare.float().cpu()[rows[first[bare]]]
        run = first[~bare]
        device = self.targets.device
        found[~bare] = forwards.scores(self.removal, self.targets, rows[run].to(device), flat[run].to(device)).cpu()
        return found[place].reshape(n, asked)


def distinct(rows: Tensor, removed: Tensor) -> tuple[Tensor, Tensor]:
    """The first place of each distinct pair of row and removed parts, and for every pair the place among those.

    >>> distinct(torch.tensor([0, 0, 1]), torch.tensor([[True], [True], [True]]))
    (tensor([0, 2]), tensor([0, 0, 1]))
    """
    bits = np.packbits(removed.numpy(), axis=1)
    keys = np.concatenate([rows.numpy().astype(">i8").view(np.uint8).reshape(-1, 8), bits], axis=1)
    lines = np.ascontiguousarray(keys).view(np.dtype((np.void, keys.shape[1]))).ravel()
    _, first, place = np.unique(lines, return_index=True, return_inverse=True)
    return torch.from_numpy(first), torch.from_numpy(place.ravel())
