"""Occlusion and RISE: as captum and slow loops have them, analytic on linear models."""

import doctest
from dataclasses import replace
from typing import Any

import captum.attr
import numpy as np
import pytest
import torch
from asked import CONTEXT, MASK, Net, convolutional, cosine, linear, pictures, reader, rows, texts
from scipy.stats import spearmanr

from auditor.errors import NotApplicable
from auditor.methods.attribution import occlusion, rise
from auditor.methods.attribution.explain import explain
from auditor.methods.attribution.occlusion import Occlusion
from auditor.methods.attribution.rise import Rise, part_masks, slopes_on_masks, smooth_masks

TARGETS = torch.tensor([0, 3, 1, 2, 0])


def test_the_examples_in_the_documentation_hold() -> None:
    for module in (occlusion, rise):
        assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize(("options", "side", "stride"), [
    ({"cells": 4}, 3, 3), ({"window": 3, "stride": 3}, 3, 3), ({"window": 4, "stride": 2}, 4, 2),
    ({"window": 5, "stride": 3}, 5, 3),
])  # fmt: skip
def test_occlusion_of_pictures_is_captums(options: dict[str, int], side: int, stride: int) -> None:
    net, inputs = Net(convolutional(inplace=False)), pictures()
    want = captum.attr.Occlusion(net.module).attribute(
        inputs, (3, side, side), (3, stride, stride), target=TARGETS,
        baselines=inputs.mean(dim=(2, 3), keepdim=True).expand_as(inputs).contiguous(),
    )[:, 0]  # fmt: skip
    found = Occlusion(**options).maps(net, inputs, TARGETS, CONTEXT).values
    if "cells" in options:
        assert found.shape == (5, 4, 4)
        found = found.repeat_interleave(3, dim=1).repeat_interleave(3, dim=2)
    assert cosine(found, want) >= 0.9999 and torch.allclose(found, want, atol=1e-4)


def test_occlusion_of_texts_is_captums_feature_ablation_on_words() -> None:
    net, inputs, targets = reader(), texts(), torch.tensor([0, 1, 2])

    def scores(ids: torch.Tensor) -> Any:
        return net.logits({"input_ids": ids, "attention_mask": inputs["attention_mask"]})

    want = captum.attr.FeatureAblation(scores).attribute(inputs["input_ids"], MASK, target=targets).float()
    words = (inputs["input_ids"] > 2).float()
    found = Occlusion().maps(net, inputs, targets, CONTEXT).values
    assert cosine(found, want * words) >= 0.9999 and torch.equal(found != 0, words.bool())


def test_occlusion_of_rows_is_captums_feature_ablation() -> None:
    torch.manual_seed(0)
    net = Net(torch.nn.Sequential(torch.nn.Linear(5, 9), torch.nn.Tanh(), torch.nn.Linear(9, 3)))
    inputs, background, targets = rows(), rows(9) + 1, torch.tensor([0, 1, 2, 0, 1, 2])
    mean = background.mean(dim=0, keepdim=True)
    want = captum.attr.FeatureAblation(net.module).attribute(inputs, mean.expand_as(inputs), target=targets)
    found = Occlusion().maps(net, inputs, targets, replace(CONTEXT, background=background)).values
    assert cosine(found, want) >= 0.9999


def test_occlusion_of_a_linear_model_is_its_weights_times_what_is_removed() -> None:
    (model, weights), inputs, background = linear(), rows(), rows(9) + 1
    context, targets = replace(CONTEXT, background=background), torch.zeros(6, dtype=torch.long)
    found = Occlusion().maps(model, inputs, targets, context).values
    assert torch.allclose(found, weights * (inputs - background.mean(dim=0)), atol=1e-5)


def test_rise_of_a_linear_model_ranks_columns_as_their_weights_do() -> None:
    model, _ = linear(8)
    weights = torch.tensor([0.0, 4.0, -3.0, 1.0, -1.0, 3.0, -2.0, 2.0])
    model.module.weight.data[0] = weights
    context = replace(CONTEXT, background=torch.zeros(1, 8), batch_size=4096)
    found = Rise(masks=4000).maps(model, torch.ones(2, 8), torch.zeros(2, dtype=torch.long), context).values
    assert spearmanr(found[1], weights).statistic == 1
    assert torch.allclose(found[0], weights, atol=0.4) and torch.allclose(found[0], found[1], atol=1e-4)


def test_rise_of_a_linear_model_of_pictures_is_affine_in_its_weights_at_the_masks_resolution() -> None:
    weights = torch.zeros(12, 12)
    weights[:4, 8:] = 1.0
    weights[8:, :4] = -1.0
    layer = torch.nn.Linear(144, 1)
    layer.weight.data[0] = weights.flatten()
    net = Net(torch.nn.Sequential(torch.nn.Flatten(), layer))
    inputs = torch.ones(1, 1, 12, 12)
    inputs[:, :, 5:7, 5:7] = -17.0  # a picture of mean 0.5, where each pixel of the corners is 0.5 above the fill
    inputs += 0.5 - inputs.mean()
    found = Rise(masks=3000, cells=3).maps(net, inputs, torch.tensor([0]), replace(CONTEXT, batch_size=3000)).values[0]
    masks = smooth_masks(3000, (12, 12), 3, 0.5, torch.Generator().manual_seed(99)).flatten(1).numpy()
    cov = np.cov(masks, rowvar=False)
    gap = (inputs[0, 0] - inputs.mean()).flatten().numpy() * weights.flatten().numpy()
    want = cov @ gap / np.diag(cov)
    assert cosine(found, torch.from_numpy(want)) > 0.99
    assert found[:3, 9:].min() > found[4:8, 4:8].max() > found[4:8, 4:8].min() > found[9:, :3].max()


def test_rise_is_a_loop_over_the_same_masks() -> None:
    net, inputs = Net(convolutional()), pictures()
    masks = smooth_masks(40, (12, 12), 4, 0.5, CONTEXT.generator())
    gone = inputs.mean(dim=(2, 3), keepdim=True)
    scores = torch.stack(
        [net.logits(gone + mask * (inputs - gone)).gather(1, TARGETS[:, None])[:, 0] for mask in masks]
    )
    want = slopes_on_masks(scores.T.detach(), masks.flatten(1)).reshape(5, 12, 12)
    found = Rise(masks=40, cells=4).maps(net, inputs, TARGETS, CONTEXT).values
    assert torch.allclose(found, want, rtol=1e-3, atol=1e-5)


def test_masks_keep_their_share_and_do_not_hang_on_how_many_parts_there_are() -> None:
    smooth = smooth_masks(400, (20, 30), 5, 0.3, CONTEXT.generator())
    assert smooth.shape == (400, 20, 30) and smooth.min() >= 0 and smooth.max() <= 1
    assert smooth.mean().item() == pytest.approx(0.3, abs=0.02) and smooth.mean(dim=0).std() < 0.03
    short, long = part_masks(16, 3, 0.5, CONTEXT.generator()), part_masks(16, 9, 0.5, CONTEXT.generator())
    assert torch.equal(short, long[:, :3])


@pytest.mark.parametrize("method", ["occlusion", "rise"])
def test_a_texts_map_does_not_depend_on_the_batch_it_is_in(method: str) -> None:
    net, inputs, targets = reader(), texts(), torch.tensor([0, 1, 2])
    found = explain(method, net, inputs, targets, CONTEXT).values
    alone = {name: tensor[1:2, :3] for name, tensor in inputs.items()}
    want = explain(method, net, alone, targets[1:2], replace(CONTEXT, batch_size=3)).values
    assert torch.allclose(found[1:2, :3], want, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("method", ["occlusion", "rise"])
def test_batches_halve_when_memory_runs_out_and_the_maps_say_so(method: str) -> None:
    net = Net(convolutional())
    whole = explain(method, net, pictures(), TARGETS, replace(CONTEXT, batch_size=64))
    net.most = 30
    halved = explain(method, net, pictures(), TARGETS, replace(CONTEXT, batch_size=64))
    assert (whole.halved, halved.halved) == (0, 2) and torch.allclose(whole.values, halved.values, rtol=1e-3, atol=1e-5)


def test_only_pictures_have_sliding_windows_and_only_tables_with_a_background_lose_columns() -> None:
    with pytest.raises(NotApplicable, match="sliding"):
        Occlusion(window=3).maps(reader(), texts(), torch.tensor([0, 1, 2]), CONTEXT)
    for method in (Occlusion(), Rise()):
        with pytest.raises(NotApplicable, match="rows of the data"):
            method.maps(linear()[0], rows(), torch.zeros(6, dtype=torch.long), CONTEXT)
