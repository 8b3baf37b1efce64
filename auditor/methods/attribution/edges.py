"""Edges: a control that shows where a picture has contours and knows nothing of the model."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from auditor.errors import NotApplicable
from auditor.methods.attribution.asked import Asked
from auditor.methods.attribution.method import Context, Maps


def edges(pictures: Tensor) -> Tensor:
    """The magnitude of Sobel's gradient of the mean over channels, [n, c, h, w] -> [n, h, w]; borders repeated.

    Adebayo et al., "Sanity checks for saliency maps" (2018), use an edge detector as such a control.

    >>> step = torch.tensor([0.0, 0.0, 1.0, 1.0]).expand(1, 1, 3, 4)
    >>> edges(step)[0, 1].tolist()
    [0.0, 4.0, 4.0, 0.0]
    """
    across = pictures.new_tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])
    kernels = torch.stack([across, across.T])[:, None]
    grey = functional.pad(pictures.mean(dim=1, keepdim=True), (1, 1, 1, 1), mode="replicate")
    found: Tensor = functional.conv2d(grey, kernels).norm(dim=1)
    return found


@dataclass(frozen=True)
class Edges:
    """The control; it asks the model nothing."""

    name: ClassVar[str] = "edges"
    signed: ClassVar[bool] = False

    def maps(self, model: Asked, inputs: Any, targets: Tensor, context: Context) -> Maps:
        """Contours of the pictures. NotApplicable for texts and rows."""
        if not isinstance(inputs, Tensor) or inputs.ndim != 4:
            raise NotApplicable("edges are a control for pictures only")
        return Maps(edges(inputs))
