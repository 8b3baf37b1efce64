"""LIME: the coefficients of a weighted ridge over which parts of the input are kept."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from auditor.methods.attribution.asked import Asked
from auditor.methods.attribution.method import Context, Maps
from auditor.methods.attribution.perturb import Forwards
from auditor.methods.attribution.removal import removal_of, usual_fill
from auditor.methods.local_linear import asked_coalitions, ridge


@dataclass(frozen=True)
class Lime:
    """The method over seeded coalitions of grid cells, tokens or columns; a removed part takes the first fill-in.

    Ribeiro et al., "Why should I trust you?" (2016).
    """

    name: ClassVar[str] = "lime"
    signed: ClassVar[bool] = True
    coalitions: int = 300
    grid: int = 7
    penalty: float = 1.0

    def maps(self, model: Asked, inputs: Any, targets: Tensor, context: Context) -> Maps:
        """Coefficients on the grid [n, rows, columns], on tokens or on columns."""
        removal = removal_of(inputs, usual_fill(inputs), context, self.grid)
        forwards = Forwards(model, context.batch_size)
        seen = asked_coalitions(forwards, removal, targets, self.coalitions, context.generator())
        values = torch.zeros(removal.own.shape, dtype=torch.float64)
        for row, each in enumerate(seen):
            values[row, removal.own[row].cpu()] = torch.from_numpy(ridge(each, self.penalty)[0])
        return Maps(values.reshape(len(values), *removal.shape).float(), halved=forwards.halved)
