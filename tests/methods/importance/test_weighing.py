"""Importance of parameters: against autograd example by example, and a logistic regression's Fisher information."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from auditor.errors import AuditorError, NotApplicable
from auditor.methods.importance import weighing
from auditor.methods.importance.weighing import Weighed, Weights, weigh
from tests.asked import convolutional, hooks, pictures


def asked(module: nn.Module, inputs: Tensor, labels: Tensor) -> weighing.Losses:
    def losses(places: Sequence[int]) -> Tensor:
        return functional.cross_entropy(module(inputs[list(places)]), labels[list(places)], reduction="none")

    return losses


def weighed(module: nn.Module, inputs: Tensor, labels: Tensor, kind: weighing.Kind = "fisher") -> Weighed:
    n = len(labels)
    halves, units = (range(n // 2), range(n // 2, n)), {place: str(place) for place in range(n)}
    return weigh(Weights.of(module), asked(module, inputs, labels), kind, halves, units)


def flat(parts: Sequence[Tensor]) -> Tensor:
    return torch.cat([part.flatten() for part in parts])


def by_hand(module: nn.Module, inputs: Tensor, labels: Tensor) -> Tensor:
    """Gradients [n, parameters] of each example's log-likelihood, by .backward()."""
    rows = []
    for one, label in zip(inputs, labels, strict=True):
        module.zero_grad()
        (-functional.cross_entropy(module(one[None]), label[None])).backward()
        rows.append(flat([p.grad for p in module.parameters()]))  # type: ignore[misc]  # all have one
    module.zero_grad()
    return torch.stack(rows)


def test_fisher_and_taylor_are_means_over_examples_of_a_convolutional_net() -> None:
    """Batch normalization and ReLU in place; an odd number of examples in the second half."""
    net, inputs, labels = convolutional(), pictures(9), torch.arange(9) % 4
    gradients = by_hand(net, inputs, labels)
    found = weighed(net, inputs, labels)
    torch.testing.assert_close(flat(found.whole), gradients.square().mean(0), rtol=1e-4, atol=1e-10)
    torch.testing.assert_close(flat(found.halves[0]), gradients[:4].square().mean(0), rtol=1e-4, atol=1e-10)
    torch.testing.assert_close(flat(found.halves[1]), gradients[4:].square().mean(0), rtol=1e-4, atol=1e-10)
    np.testing.assert_allclose(
        (found.blocks * found.counts[:, None]).sum(0) / 9, flat(found.whole).numpy(), rtol=1e-4, atol=1e-10
    )
    own = flat([p.detach() for p in net.parameters()])
    taylor = weighed(net, inputs, labels, "taylor")
    torch.testing.assert_close(flat(taylor.whole), (gradients * own).abs().mean(0), rtol=1e-4, atol=1e-10)
    torch.testing.assert_close(flat(weighed(net, inputs, labels, "magnitude").whole), own.abs())


def test_a_logistic_regression_has_the_fisher_information_of_the_textbook() -> None:
    """(y - p)^2 x^2 for each example, which for labels of the model's own is p (1 - p) x^2 in the mean."""
    draw = torch.Generator().manual_seed(0)
    inputs = torch.randn(3000, 3, generator=draw)
    layer = nn.Linear(3, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[0.0, 0, 0], [1.0, -0.5, 0.2]]))
        layer.bias.zero_()
    p = torch.softmax(layer(inputs), 1)[:, 1].detach()
    labels = (torch.rand(3000, generator=draw) < p).long()
    found = weighed(layer, inputs, labels).whole[0][1]
    torch.testing.assert_close(found, ((labels - p)[:, None] ** 2 * inputs**2).mean(0), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(found, ((p * (1 - p))[:, None] * inputs**2).mean(0), rtol=0.1, atol=0.0)


class Tied(nn.Module):
    """One matrix twice: as a shared Parameter, or as two Parameters over one storage."""

    def __init__(self, by_storage: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b = nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)
        self.b.weight = nn.Parameter(self.a.weight.data) if by_storage else self.a.weight

    def forward(self, rows: Tensor) -> Tensor:
        return self.b(torch.tanh(self.a(rows)))


@pytest.mark.parametrize("by_storage", [False, True])
def test_tied_weights_count_once_with_the_gradients_of_all_their_uses(by_storage: bool) -> None:
    inputs, labels = torch.randn(6, 4, generator=torch.Generator().manual_seed(1)), torch.arange(6) % 4
    found = weighed(Tied(by_storage), inputs, labels)
    gradients = by_hand(Tied(False), inputs, labels)
    assert len(found.whole) == 1
    torch.testing.assert_close(flat(found.whole), gradients.square().mean(0), rtol=1e-4, atol=1e-10)


def test_frozen_parts_are_weighed_and_the_module_is_left_as_it_was() -> None:
    net, inputs, labels = convolutional(), pictures(8), torch.arange(8) % 4
    for parameter in net[0].parameters():
        parameter.requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    wanted, hooked = [p.requires_grad for p in net.parameters()], hooks(net)
    found = weighed(net, inputs, labels)
    assert float(found.whole[0].sum()) > 0
    assert [p.requires_grad for p in net.parameters()] == wanted and hooks(net) == hooked and not net.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert all(p.grad is None for p in net.parameters())


def test_it_is_left_as_it_was_when_an_example_fails() -> None:
    net = convolutional().requires_grad_(False)
    with pytest.raises(IndexError):
        weighed(net, pictures(4), torch.arange(6) % 4)
    assert not any(p.requires_grad for p in net.parameters())


def test_what_cannot_be_weighed_is_said() -> None:
    inputs, labels = torch.ones(4, 2), torch.zeros(4, dtype=torch.long)
    with pytest.raises(NotApplicable, match="no parameters"):
        weighed(nn.Identity(), inputs, labels)

    class Cut(nn.Linear):
        def forward(self, rows: Tensor) -> Tensor:
            return super().forward(rows).detach()

    with pytest.raises(NotApplicable, match="no gradient flows"):
        weighed(Cut(2, 2), inputs, labels)
    broken = nn.Linear(2, 2)
    with torch.no_grad():
        broken.weight[0, 0] = torch.nan
    with pytest.raises(AuditorError, match="not finite"):
        weighed(broken, inputs, labels)


def test_a_part_without_a_gradient_and_a_number_alone_weigh_nothing_and_something() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale, self.idle = nn.Parameter(torch.tensor(2.0)), nn.Linear(3, 3)

        def forward(self, rows: Tensor) -> Tensor:
            return self.scale * rows

    net = Odd()
    found = weighed(net, torch.randn(4, 3, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 0]))
    sums = dict(zip(Weights.of(net).names, (float(part.sum()) for part in found.whole), strict=True))
    assert sums["scale"] > 0 and sums["idle.weight"] == 0 == sums["idle.bias"]


def test_units_stay_in_one_block_and_blocks_are_alike_in_size() -> None:
    blocks = list(weighing._blocks(range(60), {place: str(place // 3) for place in range(60)}))
    assert sorted(place for block in blocks for place in block) == list(range(60))
    assert len(blocks) == 16 and {len(block) for block in blocks} == {3, 6}
    assert all(block.count(place) == 1 and {place // 3 * 3, place // 3 * 3 + 2} <= set(block)
               for block in blocks for place in block)  # fmt: skip


def test_large_models_are_read_block_by_block_on_evenly_spread_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    net, inputs, labels = convolutional(), pictures(8), torch.arange(8) % 4
    whole = weighed(net, inputs, labels)
    monkeypatch.setattr(weighing, "SPREAD", 200)
    part = weighed(net, inputs, labels)
    assert torch.equal(flat(part.whole), flat(whole.whole))
    assert abs(part.blocks.shape[1] - 200) <= 8
    assert part.blocks.mean() == pytest.approx(whole.blocks.mean(), rel=0.5)
