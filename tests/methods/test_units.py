"""Units of layers: moments against slow ones, padding left out, where the units of a layer are, constant memory."""

import doctest
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models.convnext import CNBlock
from torchvision.models.resnet import BasicBlock

from auditor.artifacts.units import _Gathering
from auditor.errors import AuditorError, UsageError
from auditor.methods import tally
from auditor.methods.passes import Wants, run_pass
from auditor.methods.units import AUTO, summed_up, units_of, watched
from auditor.needs import Tap


def random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def test_doctests() -> None:
    assert doctest.testmod(tally).failed == 0


def test_moments_of_each_example_equal_numpys() -> None:
    values = random(5, 3, 6, 7)
    seen, slow = summed_up(values), values.double().flatten(2).numpy()
    np.testing.assert_allclose(seen.mean, slow.mean(2))
    np.testing.assert_allclose(seen.squares, slow.var(2) * 42)
    np.testing.assert_array_equal(seen.peak, slow.max(2))
    np.testing.assert_array_equal(seen.place, slow.argmax(2))
    assert seen.count.tolist() == [42] * 5 and seen.sample.shape == (5, 3, 16) and seen.maps.shape == (4, 3, 6, 7)


def test_places_compared_are_distinct_and_spread() -> None:
    grid = torch.arange(28.0 * 28).reshape(1, 1, 28, 28)
    places = summed_up(grid).sample[0, 0].long()
    assert len(set(places.tolist())) == 16
    assert len(set((places % 28).tolist())) >= 12 and len(set((places // 28).tolist())) >= 12


def test_padding_counts_nowhere() -> None:
    values, own = random(4, 3, 40), torch.arange(40)[None] < torch.tensor([40, 20, 5, 1])[:, None]
    own[1] = own[1].flip(0)  # padded on the left
    values = values.masked_fill(~own[:, None], 1e6)
    seen = summed_up(values, own)
    for row in range(4):
        slow = values[row][:, own[row]].double().numpy()
        np.testing.assert_allclose(seen.mean[row], slow.mean(1))
        np.testing.assert_allclose(seen.squares[row], ((slow - slow.mean(1, keepdims=True)) ** 2).sum(1), atol=1e-9)
        assert set(seen.sample[row, 0].tolist()) <= set(values[row, 0, own[row]].tolist())
    assert seen.peak.max() < 100


def test_merged_parts_equal_the_whole_and_a_large_offset_costs_nothing() -> None:
    rows = np.random.default_rng(0).normal(size=(900, 4)) + np.array([0, 1e6, -1e6, 5])
    moving, pairs = tally.Moving(), tally.Moving()
    for at in range(0, 900, 70):
        part = rows[at : at + 70]
        moving.add(*tally.merged(np.ones(len(part)), part, np.zeros_like(part)))
        pairs.add(*tally.products(part))
    np.testing.assert_allclose(moving.variance, rows.var(axis=0), rtol=1e-9)
    np.testing.assert_allclose(np.asarray(pairs.squares) / 899, np.cov(rows.T), rtol=1e-7, atol=1e-9)


def test_dead_and_duplicate_units_are_found_by_their_definition() -> None:
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(500, 6))
    rows[:, 3] = -2 * rows[:, 0] + 1e-3 * rng.normal(size=500)
    rows[:, 4] = 7.0
    rows[:, 5] = 0.9 * rows[:, 1] + 0.43 * rng.normal(size=500)
    _, _, squares = tally.products(rows)
    gone = tally.dead(np.diag(squares) / 500)
    assert gone.tolist() == [False] * 4 + [True, False]
    assert tally.duplicates(squares, ~gone).tolist() == [-1, -1, -1, 0, -1, -1]


class Net(nn.Module):
    """A residual block, a ConvNeXt block (channels last inside), and a head on features."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 1)
        self.layers = nn.Sequential(BasicBlock(6, 6), CNBlock(6, 1.0, 0.0))
        self.head = nn.Sequential(nn.Linear(6, 5), nn.GELU(), nn.Linear(5, 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.layers(self.stem(x)).mean(dim=(2, 3)))


def test_layers_are_found_and_their_units_wherever_they_stand() -> None:
    module = Net().eval()
    assert units_of(module, AUTO) == ("layers.0", "layers.0.relu", "layers.1", "layers.1.block.4", "head.1")
    with watched(module, frozenset({AUTO}), None) as found:
        module(random(2, 3, 8, 8))
    shapes = {name: tuple(seen.mean.shape) for name, seen in found[AUTO].items()}
    assert shapes == {
        "layers.0.relu": (2, 6), "layers.0.relu (run 2)": (2, 6), "layers.0": (2, 6),
        "layers.1.block.4": (2, 24), "layers.1": (2, 6), "head.1": (2, 5),
    }  # fmt: skip
    assert found[AUTO]["layers.1.block.4"].count.tolist() == [64, 64]
    assert sum(len(part._forward_hooks) for part in module.modules()) == 0


def test_as_many_tokens_as_units_do_not_take_their_place() -> None:
    """GPT-2: blocks of 16 units, an activation of 64 between them, and texts of 16 tokens among shorter ones."""
    from transformers import GPT2Config, GPT2Model

    config = GPT2Config(vocab_size=9, n_embd=16, n_layer=1, n_head=2, n_positions=16, bos_token_id=1, eos_token_id=1)
    net = GPT2Model(config).eval()
    for tokens in (16, 5, 16):
        inputs = {"input_ids": torch.zeros(2, tokens, dtype=torch.long)}
        with torch.no_grad(), watched(net, frozenset({AUTO}), inputs) as seen:
            net(**inputs)
        found = {name: layer.mean.shape[1] for name, layer in seen[AUTO].items()}
        assert found == {"h.0.mlp.act": 64, "h.0": 16}


def test_a_pattern_names_layers_or_is_a_usage_error() -> None:
    assert units_of(Net(), "layers.0.conv?") == ("layers.0.conv1", "layers.0.conv2")
    with pytest.raises(UsageError, match="no layer of the model matches"):
        units_of(Net(), "layer9.*")


def test_models_without_modules_of_nonlinearities_are_watched_at_their_leaves() -> None:
    class Bare(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Linear(3, 4), nn.Linear(4, 2)

    assert units_of(Bare(), AUTO) == ("one", "two")


def test_a_pass_with_units_gives_the_same_logits_and_gradients() -> None:
    module, inputs = Net().eval(), random(3, 3, 8, 8)

    def first(logits: torch.Tensor) -> torch.Tensor:
        return logits.argmax(1)

    with_units = Wants(activations=frozenset({"stem"}), gradients=frozenset({"stem"}), units=frozenset({AUTO}))
    bare = Wants(activations=frozenset({"stem"}), gradients=frozenset({"stem"}))
    one, other = (run_pass(module, module, inputs, first, wants) for wants in (with_units, bare))
    assert torch.equal(one.logits, other.logits) and torch.equal(one.gradients["stem"], other.gradients["stem"])
    assert set(one.units) == {AUTO} and other.units == {}


def gathered(batches: int) -> _Gathering:
    tap = Tap("units", AUTO)
    collector = _Gathering(tap, seed=3, cap=8)
    for at in range(batches):
        seen = summed_up(torch.randn(16, 12, 5, 5, generator=torch.Generator().manual_seed(at)))
        names = tuple(f"x{at}-{row}" for row in range(16))
        batch = SimpleNamespace(groups=("",) * 16)
        collector.see(step(at * 16, names, {tap: {"layer": seen}}, batch))
    return collector


def step(start: int, names: tuple[str, ...], taps: Any, batch: Any) -> Any:
    from auditor.needs import Step

    return Step(start, None, None, None, None, names, taps, {}, batch)


def held(collector: _Gathering) -> int:
    """Bytes of all that a collector keeps of its layers."""
    return sum(
        np.asarray(array).nbytes
        for layer in collector.layers.values()
        for array in (layer.maps, layer.peaks, layer.tops, layer.spots, layer.pairs.squares, layer.pairs.mean,
                      *(part for half in layer.halves for part in (half.mean, half.squares)))
    )  # fmt: skip


def test_memory_does_not_grow_with_the_examples() -> None:
    few, many = gathered(2), gathered(40)
    assert held(few) == held(many) and sum(many.counts) == 640


def test_units_that_are_not_finite_are_an_error_and_not_alive() -> None:
    collector = gathered(2)
    seen = summed_up(torch.full((16, 12, 5, 5), torch.nan))
    collector.see(step(32, tuple(f"n{row}" for row in range(16)), {Tap("units", AUTO): {"layer": seen}},
                       SimpleNamespace(groups=("",) * 16)))  # fmt: skip
    with pytest.raises(AuditorError, match="layer layer: 12 of 12 units are not finite"):
        collector.result()


def test_units_above_the_cap_are_drawn_by_the_seed_and_said_so() -> None:
    found = gathered(4).result()
    (layer,) = found.layers
    assert len(layer.compared) == 8 and len(set(layer.compared.tolist())) == 8
    assert layer.compared.tolist() == gathered(2).result().layers[0].compared.tolist()
    assert "a seeded choice of 8 was compared" in found.notes()[0]
