"""Ablation: exactly the chosen parameters go, everything comes back bit for bit, and losses are those of the model."""

import numpy as np
import pytest
import torch

from auditor.methods.importance.ablation import ablate, as_many, most_important, removed, whole_groups
from auditor.methods.importance.weighing import Weights
from tests.asked import convolutional, pictures
from tests.methods.importance.test_weighing import Tied, asked


def test_the_most_important_are_chosen_over_all_tensors_and_random_sets_take_as_many_of_each() -> None:
    importance = [torch.tensor([[1.0, 9.0], [3.0, 2.0]]), torch.tensor([0.5]), torch.tensor([8.0, 0.1, 7.0])]
    chosen = most_important(importance, 4)
    assert [None if own is None else own.tolist() for own in chosen] == [[1, 2], None, [0, 2]]
    drawn = as_many(chosen, [4, 1, 3], torch.Generator().manual_seed(0))
    assert [None if own is None else len(set(own.tolist())) for own in drawn] == [2, None, 2]
    tied = most_important([torch.ones(3), torch.ones(3)], 4)
    assert [own.tolist() for own in tied if own is not None] == [[0, 1, 2], [0]]


@pytest.mark.parametrize("last", [False, True])
def test_parameters_are_removed_and_come_back_bit_for_bit(last: bool) -> None:
    """Also where tensors lie channels last, and where an error interrupts."""
    net = convolutional()
    if last:
        net = net.to(memory_format=torch.channels_last)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    weights = Weights.of(net)
    value = dict(net.named_parameters())["3.weight"]
    mean = float(value.detach().mean())
    chosen = [torch.tensor([0, 5]) if name == "3.weight" else None for name in weights.names]
    for replacement, expected in (("zero", 0.0), ("mean", mean)):
        with pytest.raises(RuntimeError, match="on purpose"), removed(weights, chosen, replacement):  # type: ignore[arg-type]
            assert value.detach().flatten()[[0, 5]].tolist() == pytest.approx([expected] * 2)
            assert torch.equal(value.detach().flatten()[6:], before["3.weight"].flatten()[6:])
            raise RuntimeError("on purpose")
        assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())


def test_losses_are_those_of_the_model_without_the_parameters() -> None:
    net, inputs, labels = convolutional(), pictures(6), torch.arange(6) % 4
    weights, losses = Weights.of(net), asked(net, inputs, labels)
    chosen = [torch.arange(size) if name == "7.weight" else None
              for name, size in zip(weights.names, weights.sizes, strict=True)]  # fmt: skip
    found = ablate(weights, losses, range(1, 6), 2, chosen, 3, torch.Generator().manual_seed(0))
    assert found.top.shape == (2, 5) and found.random.shape == (2, 3, 5)
    with torch.no_grad():
        np.testing.assert_allclose(found.before, losses(range(1, 6)).numpy(), rtol=1e-5)
        bias = dict(net.named_parameters())["7.bias"]
        alone = torch.nn.functional.cross_entropy(bias.expand(5, 4), labels[1:], reduction="none")
    np.testing.assert_allclose(found.top[0], alone.numpy(), rtol=1e-5)
    np.testing.assert_allclose(found.random[0], np.tile(found.top[0], (3, 1)), rtol=1e-6)  # all of it, at random
    effects = whole_groups(weights, losses, range(1, 6), 2, [{weights.names.index("7.weight")}, set()])
    assert effects[1] == 0
    assert effects[0] == pytest.approx(found.top[1].mean() - found.before.mean(), rel=1e-6)


@pytest.mark.parametrize("by_storage", [False, True])
def test_tied_weights_are_removed_in_all_their_uses(by_storage: bool) -> None:
    net = Tied(by_storage)
    with removed(Weights.of(net), [torch.arange(16)], "zero"):
        assert not net.a.weight.any() and not net.b.weight.any()
    assert net.a.weight.all() and torch.equal(net.a.weight, net.b.weight)
