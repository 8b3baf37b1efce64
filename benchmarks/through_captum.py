"""The questions of attribution asked one by one: through captum, and of faithfulness in a plain loop."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from captum.attr import FeatureAblation, InputXGradient, IntegratedGradients, LayerGradCam, Saliency
from torch import Tensor, nn

BATCH = 32


@dataclass(frozen=True)
class Question:
    """Scores of the pictures without some cells: removed bool [n, k, cells]; what fills them [n, c, h, w]."""

    removed: Tensor
    gone: Tensor


@dataclass(frozen=True)
class Captum:
    """One model and one set of pictures. spread: of the scores, below which no completeness is asked for."""

    module: nn.Module
    pictures: Tensor
    targets: Tensor
    spread: float

    def predictions(self) -> Tensor:
        """Logits."""
        with torch.no_grad():
            return self.module(self.pictures)

    def saliency(self) -> Tensor:
        """Absolute gradients, the largest over the channels."""
        return self._slopes(self.pictures, self.targets).abs().amax(1)

    def input_x_gradient(self) -> Tensor:
        """Products, summed over the channels."""
        return InputXGradient(self.module).attribute(self.pictures, self.targets).sum(1).detach()

    def grad_cam(self, layer: str) -> Tensor:
        """At one layer."""
        part = self.module.get_submodule(layer)
        return LayerGradCam(self.module, part).attribute(self.pictures, self.targets, relu_attributions=True)[:, 0]

    def smoothgrad(self, noise: Tensor) -> Tensor:
        """Saliency at noisy copies [n, draws, ...] in full batches; NoiseTunnel cannot be given its noise."""
        flat = (self.pictures[:, None] + noise).flatten(0, 1)
        targets = self.targets.repeat_interleave(noise.shape[1])
        slopes = [self._slopes(*part) for part in zip(flat.split(BATCH), targets.split(BATCH), strict=True)]
        return torch.cat(slopes).unflatten(0, noise.shape[:2]).mean(1).abs().amax(1)

    def _slopes(self, pictures: Tensor, targets: Tensor) -> Tensor:
        return Saliency(self.module).attribute(pictures, targets, abs=False).detach()

    def integrated_gradients(self) -> tuple[Tensor, Tensor]:
        """Maps and the steps of each, doubled for those whose completeness error is above .05."""
        zeros, rows = torch.zeros_like(self.pictures), torch.arange(len(self.pictures))
        difference = self._scores(self.pictures, rows) - self._scores(zeros, rows)
        allowed = 0.05 * difference.abs().clamp_min(0.05 * self.spread)
        maps, used, steps = torch.zeros_like(self.pictures), torch.zeros(len(rows)), 16
        method = IntegratedGradients(self.module)
        while len(rows) and steps <= 256:
            maps[rows] = method.attribute(
                self.pictures[rows], zeros[rows], self.targets[rows], n_steps=steps, internal_batch_size=BATCH
            ).to(maps.dtype)  # fmt: skip
            used[rows] = steps
            rows = rows[(maps[rows].flatten(1).sum(1) - difference[rows]).abs() > allowed[rows]]
            steps *= 2
        return maps.sum(1), used

    def occlusion(self, places: Tensor, gone: Tensor) -> Tensor:
        """The fall of the score without each cell, on all its pixels; places: the cell of each pixel."""
        each = max(1, BATCH // len(self.pictures))
        return FeatureAblation(self.module).attribute(
            self.pictures, gone, self.targets, feature_mask=places[None, None], perturbations_per_eval=each
        )[:, 0]  # fmt: skip

    def faithfulness(self, questions: Iterable[Question], places: Tensor) -> list[Tensor]:
        """The scores [n, k] of each question, one after the other."""
        return [self._answer(question, places) for question in questions]

    def _answer(self, question: Question, places: Tensor) -> Tensor:
        n, asked = question.removed.shape[:2]
        rows, flat = torch.arange(n).repeat_interleave(asked), question.removed.flatten(0, 1)
        found = []
        for row, removed in zip(rows.split(BATCH), flat.split(BATCH), strict=True):
            mask = removed[:, places].unsqueeze(1)
            found.append(self._scores(torch.where(mask, question.gone[row], self.pictures[row]), row))
        return torch.cat(found).reshape(n, asked)

    def _scores(self, pictures: Tensor, rows: Tensor) -> Tensor:
        with torch.no_grad():
            return self.module(pictures).gather(1, self.targets[rows, None])[:, 0]
