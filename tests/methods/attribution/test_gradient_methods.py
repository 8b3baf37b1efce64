"""Methods that take gradients: as captum has them, analytic on linear models, and the same whatever the batch."""

import doctest
from dataclasses import replace
from typing import Any

import captum.attr
import pytest
import torch
from asked import CONTEXT, Net, convolutional, cosine, linear, pictures, reader, rows, texts
from torch import Tensor, nn

from auditor.errors import NotApplicable
from auditor.methods.attribution import integrated_gradients, smoothgrad
from auditor.methods.attribution.explain import explain
from auditor.methods.attribution.integrated_gradients import IntegratedGradients
from auditor.methods.attribution.removal import blurred
from auditor.methods.attribution.smoothgrad import SmoothGrad, noise_of

TARGETS = torch.tensor([0, 3, 1, 2, 0])


def test_the_examples_in_the_documentation_hold() -> None:
    for module in (smoothgrad, integrated_gradients):
        assert doctest.testmod(module, optionflags=doctest.ELLIPSIS).failed == 0


def test_saliency_and_input_x_gradient_are_captums() -> None:
    net, inputs = Net(convolutional(inplace=False)), pictures().requires_grad_()
    want = captum.attr.Saliency(net.module).attribute(inputs, target=TARGETS).amax(dim=1)
    assert cosine(explain("saliency", net, inputs, TARGETS, CONTEXT).values, want) >= 0.9999
    want = captum.attr.InputXGradient(net.module).attribute(inputs, target=TARGETS).detach().sum(dim=1)
    assert cosine(explain("input_x_gradient", net, inputs, TARGETS, CONTEXT).values, want) >= 0.9999


@pytest.mark.parametrize("baseline", ["zero", "mean", "blur"])
def test_integrated_gradients_are_captums_at_the_same_steps(baseline: Any) -> None:
    net, inputs = Net(convolutional(inplace=False)), pictures()
    start = {"zero": torch.zeros_like(inputs), "blur": blurred(inputs),
             "mean": inputs.mean(dim=(2, 3), keepdim=True).expand_as(inputs)}[baseline]  # fmt: skip
    oracle = captum.attr.IntegratedGradients(net.module)
    want = oracle.attribute(inputs, start, target=TARGETS, n_steps=32, method="gausslegendre").sum(dim=1)
    found = IntegratedGradients(baseline, first=32, last=32).maps(net, inputs, TARGETS, CONTEXT)
    assert cosine(found.values, want) >= 0.9999
    difference = (net.logits(inputs) - net.logits(start)).gather(1, TARGETS[:, None])[:, 0]
    error = (want.sum(dim=(1, 2)) - difference).abs() / difference.abs()
    assert torch.allclose(found.facts["completeness_error"], error.float(), atol=1e-4)


def test_integrated_gradients_of_texts_start_from_padding_and_leave_special_tokens_alone() -> None:
    net, inputs, targets = reader(), texts(), torch.tensor([0, 1, 2])
    embed, mask = net.module.embed, inputs["attention_mask"]
    ids = torch.tensor([[1, 0, 0, 0, 2], [1, 0, 2, 0, 0], [1, 0, 0, 2, 0]])
    oracle = captum.attr.IntegratedGradients(lambda leaf, mask: net.module(leaf, mask))
    want = oracle.attribute(embed(inputs["input_ids"]).detach(), embed(ids).detach(), target=targets, n_steps=64,
                            additional_forward_args=(mask,), method="gausslegendre").sum(dim=-1)  # fmt: skip
    found = IntegratedGradients(first=64, last=64).maps(net, inputs, targets, CONTEXT).values
    assert cosine(found, want) >= 0.9999
    assert not found[:, 0].any() and not found[1, 2:].any()


def test_a_mask_is_no_word_that_could_become_padding() -> None:
    net, inputs = reader(), texts()
    inputs["input_ids"][0, 2] = CONTEXT.mask_id
    found = explain("integrated_gradients", net, inputs, torch.tensor([0, 1, 2]), CONTEXT).values
    assert found[0, 2] == 0 and found[0, 1] != 0 != found[0, 3]


def test_only_examples_that_do_not_add_up_yet_go_on() -> None:
    net, inputs = Net(convolutional()), pictures()
    found = IntegratedGradients(first=1, last=64, enough=0.002).maps(net, inputs, TARGETS, CONTEXT)
    error, steps = found.facts["completeness_error"], found.facts["steps"]
    assert len(set(steps.tolist())) > 1 and ((error <= 0.002) | (steps == 64)).all()
    for row in range(5):
        alone = IntegratedGradients(first=int(steps[row]), last=int(steps[row]))
        want = alone.maps(net, inputs[row : row + 1], TARGETS[row : row + 1], CONTEXT).values[0]
        assert torch.allclose(found.values[row], want, atol=1e-5)


def test_a_difference_of_scores_near_zero_is_measured_against_their_spread() -> None:
    total, difference = torch.tensor([0.01]), torch.tensor([0.0])
    assert integrated_gradients.completeness_error(total, difference, 1.0).item() == pytest.approx(0.2)
    assert integrated_gradients.completeness_error(difference, difference, 0.0).item() == 0


def test_baselines_that_inputs_do_not_have_are_named() -> None:
    model, _ = linear()
    for baseline, net, inputs in (("pad", model, rows()), ("blur", reader(), texts()), ("mean", model, rows())):
        targets = torch.zeros(
            len(next(iter(inputs.values())) if isinstance(inputs, dict) else inputs), dtype=torch.long
        )
        with pytest.raises(NotApplicable, match=baseline):
            explain("integrated_gradients", net, inputs, targets, CONTEXT, baseline=baseline)


def test_linear_models_have_their_analytic_maps() -> None:
    (model, weights), inputs, targets = linear(), rows(), torch.zeros(6, dtype=torch.long)
    background = rows(9) + 2
    context = replace(CONTEXT, background=background)

    def found(name: str, **options: Any) -> Tensor:
        return explain(name, model, inputs, targets, context, **options).values

    assert torch.allclose(found("saliency"), weights.abs().expand(6, 5))
    assert torch.allclose(found("smoothgrad"), weights.abs().expand(6, 5), atol=1e-6)
    assert torch.allclose(found("input_x_gradient"), weights * inputs)
    assert torch.allclose(found("integrated_gradients"), weights * (inputs - background.mean(dim=0)), atol=1e-5)
    assert torch.allclose(found("integrated_gradients", baseline="zero"), weights * inputs, atol=1e-6)


def test_smoothgrad_is_the_mean_of_a_loop_over_the_same_noise() -> None:
    net, inputs = Net(convolutional()), pictures()
    noise = noise_of(inputs, 4, CONTEXT.generator())
    total = torch.zeros_like(inputs)
    for draw in range(4):
        for row in range(5):
            x = inputs[row]
            leaf = (x + 0.15 * (x.max() - x.min()) * noise[draw]).unsqueeze(0).requires_grad_(True)
            total[row] += torch.autograd.grad(net.logits(leaf.clone())[0, TARGETS[row]], leaf)[0][0] / 4
    found = SmoothGrad(draws=4).maps(net, inputs, TARGETS, CONTEXT).values
    assert torch.allclose(found, total.abs().amax(dim=1), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("method", ["smoothgrad", "integrated_gradients"])
def test_a_map_does_not_depend_on_the_batch_it_is_in(method: str) -> None:
    net, inputs, targets = reader(), texts(), torch.tensor([0, 1, 2])
    found = explain(method, net, inputs, targets, CONTEXT).values
    alone = {name: tensor[1:2, :3] for name, tensor in inputs.items()}
    want = explain(method, net, alone, targets[1:2], replace(CONTEXT, batch_size=3)).values
    assert torch.allclose(found[1:2, :3], want, rtol=1e-4, atol=1e-6) and not found[1, 3:].any()


def test_noise_leaves_padding_out_of_a_texts_range() -> None:
    leaf = torch.tensor([[[1.0, 2.0], [50.0, -50.0]]])
    assert smoothgrad.own_range(leaf, torch.tensor([[True, False]])).tolist() == [1.0]


@pytest.mark.parametrize("method", ["smoothgrad", "integrated_gradients"])
def test_batches_halve_when_memory_runs_out_and_the_maps_say_so(method: str) -> None:
    net, options = Net(convolutional()), {"last": 16} if method == "integrated_gradients" else {}
    whole = explain(method, net, pictures(), TARGETS, CONTEXT, **options)
    net.most = 3
    halved = explain(method, net, pictures(), TARGETS, CONTEXT, **options)
    assert whole.halved == 0 < halved.halved and torch.allclose(whole.values, halved.values, rtol=1e-3, atol=1e-6)
    net.most = 0
    with pytest.raises(torch.OutOfMemoryError):
        explain(method, net, pictures(), TARGETS, CONTEXT)


@pytest.mark.parametrize("method", ["smoothgrad", "integrated_gradients"])
def test_gradients_that_are_not_finite_are_refused(method: str) -> None:
    with pytest.raises(ValueError, match="not finite"):
        net = convolutional()
        net[3].weight.data[0, 0] = torch.nan
        explain(method, Net(net), pictures(), TARGETS, CONTEXT)


def test_a_score_without_gradient_is_said_to_have_none_and_one_without_input_is_flat() -> None:
    class Rounded(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.detach().round()

    class Constant(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bias = nn.Parameter(torch.ones(3))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.bias.expand(len(x), 3)

    inputs, targets = torch.rand(4, 3), torch.zeros(4, dtype=torch.int64)
    with pytest.raises(NotApplicable, match="no gradient reaches"):
        explain("saliency", Net(Rounded()), inputs, targets, CONTEXT)
    assert not explain("saliency", Net(Constant()), inputs, targets, CONTEXT).values.any()
