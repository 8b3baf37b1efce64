"""Straight lines between weights: barriers in closed form, BatchNorm measured anew, and what was borrowed put back."""

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss

from auditor.methods.curvature.products import Part
from auditor.methods.landscape.found import Lane, pseudo_values
from auditor.methods.landscape.scene import Scene, along, between, borrowed, has_statistics, state_of
from auditor.methods.landscape.trodden import trodden
from auditor.statistics import t_interval


class Number(nn.Module):
    """A single weight, given as it is."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([[value]], dtype=torch.float64))

    def forward(self) -> Tensor:
        return self.weight


def scene(module: nn.Module, loss: Callable[[Tensor], Tensor]) -> Scene:
    return Scene(module, [Part(module, loss, 1)], None)


def line(loss: Callable[[Tensor], Tensor], start: float, end: float, points: int = 101) -> Lane:
    ends = [state_of(Number(value)) for value in (start, end)]
    return Lane("", np.array(along(scene(Number(7.0), loss), ends[0], ends[1], points, lambda: None)))


def test_the_barrier_between_the_minima_of_a_double_well() -> None:
    def well(w: Tensor) -> Tensor:
        return ((w**2 - 1) ** 2).sum()

    assert line(well, -1, 1).barrier() == pytest.approx(1.0)
    tilted = line(lambda w: well(w) + 0.3 * w.sum(), -1, 1)  # the line between the losses takes the tilt away
    assert tilted.barrier() == pytest.approx(1.0)
    assert tilted.losses[[0, -1]] == pytest.approx([-0.3, 0.3])
    one_side = line(well, 0, 1)  # downhill, but above the chord at first: (a^2 - 1)^2 - (1 - a)
    best = max((a * a - 1) ** 2 - (1 - a) for a in np.linspace(0, 1, 101))
    assert one_side.barrier() == pytest.approx(best) and best > 0.1


def test_a_convex_loss_has_no_barrier_and_a_straight_one_neither_depth() -> None:
    bowl = line(lambda w: (w**2).sum(), -2, 3)
    assert bowl.barrier() == 0.0
    assert bowl.depth() == pytest.approx(-25 * 0.01 * 0.99)  # a (a - 1) (w1 - w0)^2 at the points beside the ends
    straight = line(lambda w: 4 * w.sum() + 1, -2, 3)
    assert straight.barrier() == pytest.approx(0, abs=1e-12) and straight.depth() == pytest.approx(0, abs=1e-12)
    still = line(lambda w: (w**2).sum(), 2, 2)
    assert still.barrier() == 0.0


def test_a_loss_that_is_not_finite_is_never_a_number() -> None:
    pole = line(lambda w: (1 / (w**2 - 0.25)).sum(), -1, 1, 5)  # infinite at -.5 and .5
    assert pole.is_open() and pole.has_ends()
    assert pole.barrier() == 0.0 and pole.depth() == pytest.approx(-4 - 4 / 3)
    assert line(lambda w: w.sum().log(), -1, 1).barrier() is None
    assert line(lambda w: w.sum().log(), -1, 1).depth() is None
    assert line(lambda w: torch.where(w.abs() < 1, torch.nan, w).sum(), -1, 1).depth() is None
    assert not line(lambda w: w.sum(), -1, 1).is_open()


def net(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))


def rings() -> tuple[Tensor, Tensor]:
    """A disc inside a ring, which no straight line parts."""
    draw = torch.Generator().manual_seed(0)
    angle = torch.rand(200, generator=draw) * 2 * torch.pi
    labels = torch.arange(200) % 2
    reach = 0.5 + labels + 0.1 * torch.randn(200, generator=draw)
    return torch.stack([reach * angle.cos(), reach * angle.sin()], 1), labels


def test_a_network_with_permuted_units_lies_behind_a_barrier() -> None:
    inputs, labels = rings()
    module = net()
    steps = torch.optim.Adam(module.parameters(), lr=0.03)
    for _ in range(200):
        steps.zero_grad()
        cross_entropy(module(inputs), labels).backward()
        steps.step()
    start = state_of(module)
    order = torch.randperm(16, generator=torch.Generator().manual_seed(1))
    end = {
        "0.weight": start["0.weight"][order], "0.bias": start["0.bias"][order],
        "2.weight": start["2.weight"][:, order], "2.bias": start["2.bias"],
    }  # fmt: skip
    on = Scene(module, [Part(lambda: module(inputs), lambda z: cross_entropy(z, labels), 200)], None)
    apart = Lane("", np.array(along(on, start, end, 11, lambda: None)))
    assert apart.losses[0] == pytest.approx(apart.losses[-1], rel=1e-4)  # the same function
    assert (apart.barrier() or 0) > 0.2 > 4 * apart.losses[0]
    nearby = {name: value + 0.01 * torch.randn(value.shape) for name, value in start.items()}
    close = Lane("", np.array(along(on, start, nearby, 11, lambda: None)))
    assert (close.barrier() or 0) < 0.01


def normed() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(64, 3)
    )


def pictures(n: int = 48) -> Tensor:
    return torch.randn(n, 1, 6, 6, generator=torch.Generator().manual_seed(2)) * 2 + 1


def test_batchnorm_measures_anew_at_each_point() -> None:
    module, inputs = normed(), pictures()
    batches = inputs.split(16)
    part = Part(lambda: module(inputs), lambda z: (z**2).mean(), 48)
    on = Scene(module, [part], lambda: [module(each) for each in batches])
    with borrowed(module):
        between(module, state_of(module), {n: 2 * v for n, v in state_of(module).items()}, 0.5)
        loss = on.loss()
        out = [module[0](each) for each in batches]
        means = torch.stack([each.mean(dim=(0, 2, 3)) for each in out]).mean(0)
        variances = torch.stack([each.var(dim=(0, 2, 3), unbiased=True) for each in out]).mean(0)
        torch.testing.assert_close(module[1].running_mean, means)
        torch.testing.assert_close(module[1].running_var, variances)
        x = module[0](inputs)
        by_hand = (x - means[:, None, None]) / (variances + 1e-5).sqrt()[:, None, None]
        by_hand = by_hand * module[1].weight[:, None, None] + module[1].bias[:, None, None]
        slow = (module[5](by_hand.relu().flatten(1)) ** 2).mean()
    assert loss == pytest.approx(float(slow), rel=1e-5)
    assert has_statistics(module) and not has_statistics(net())


def test_statistics_of_the_ends_would_show_a_valley_that_is_none() -> None:
    """w and 3 w before BatchNorm are one function, and all between them too: what new statistics see, and held ones
    (even those between both) do not."""
    module, inputs = nn.Sequential(nn.Linear(2, 2, bias=False), nn.BatchNorm1d(2)), torch.randn(64, 2)
    for _ in range(200):
        module.train()(inputs)
    start = state_of(module)
    end = {**start, "0.weight": 3 * start["0.weight"], "1.running_mean": 3 * start["1.running_mean"],
           "1.running_var": 9 * start["1.running_var"]}  # fmt: skip
    part = Part(lambda: module(inputs), lambda z: (z**2).mean(), 64)
    anew = Lane("", np.array(along(Scene(module, [part], lambda: module(inputs)), start, end, 11, lambda: None)))
    held = Lane("", np.array(along(Scene(module, [part], None), start, end, 11, lambda: None)))
    assert anew.barrier() == pytest.approx(0, abs=1e-3)
    assert anew.losses == pytest.approx(np.full(11, anew.losses[0]), rel=1e-3)
    assert np.ptp(held.losses) > 0.05


@pytest.mark.parametrize("fails", [False, True])
def test_weights_buffers_and_modes_are_put_back_bit_for_bit(fails: bool) -> None:
    module = normed().train()
    module[4].eval()
    module[0].weight.requires_grad_(False)
    module.register_buffer("beside", torch.tensor([float("nan"), -0.0]), persistent=False)
    before = {name: each.detach().clone() for name, each in (*module.named_parameters(), *module.named_buffers())}
    modes = [part.training for part in module.modules()]
    seen: list[Tensor] = []

    def outputs() -> Tensor:
        assert not module.training and not module[3].training
        if fails and len(seen) > 2:
            raise torch.OutOfMemoryError("no room")
        seen.append(module(pictures()))
        return seen[-1]

    on = Scene(module, [Part(outputs, lambda z: z.mean(), 48)], lambda: module(pictures()))
    end = {name: value * 0 for name, value in state_of(module).items()}
    try:
        along(on, state_of(module), end, 5, lambda: None)
        assert not fails
    except torch.OutOfMemoryError:
        assert fails
    assert [part.training for part in module.modules()] == modes
    for name, each in (*module.named_parameters(), *module.named_buffers()):
        assert each.detach().numpy().tobytes() == before[name].numpy().tobytes(), name
    assert not module[0].weight.requires_grad and all(each.grad is None for each in module.parameters())
    assert not seen[0].requires_grad
    assert [module[1].momentum, module[1].num_batches_tracked.item()] == [0.1, 0]


def test_ends_are_exact_and_tied_or_whole_numbers_are_carried() -> None:
    module = nn.ModuleDict({"a": nn.Linear(3, 3), "b": nn.Linear(3, 3), "n": nn.BatchNorm1d(3)})
    module["b"].weight = module["a"].weight
    start = {name: torch.full_like(value, 1 if value.is_floating_point() else 5) for name, value in
             module.state_dict().items()}  # fmt: skip
    end = {name: torch.full_like(value, 0.1 if value.is_floating_point() else 9) for name, value in
           module.state_dict().items()}  # fmt: skip
    for share, wanted in ((0.0, start), (1.0, end)):
        between(module, start, end, share)
        for name, value in module.state_dict().items():
            assert torch.equal(value, wanted[name] if value.is_floating_point() else start[name])
    between(module, start, end, 0.5)
    assert module["b"].weight is module["a"].weight
    torch.testing.assert_close(module["a"].weight, torch.full((3, 3), 0.55))


def test_losses_weigh_rows() -> None:
    module, inputs = nn.Linear(2, 1), torch.randn(10, 2)

    def part(rows: slice) -> Part:
        return Part(lambda: module(inputs[rows]), lambda z: mse_loss(z, inputs[rows, :1]), len(inputs[rows]))

    split = Scene(module, [part(slice(0, 8)), part(slice(8, 10))], None)
    with borrowed(module):
        assert split.own() == pytest.approx(float(mse_loss(module(inputs), inputs[:, :1])), rel=1e-6)


def test_the_path_of_a_run_that_bends() -> None:
    states = {0: [0.0, 0.0], 5: [1.0, 2.0], 9: [4.0, 0.0]}
    module = nn.Linear(2, 1, bias=False)

    def fill(step: int) -> None:
        with torch.no_grad():
            module.weight.copy_(torch.tensor([states[step]]))

    fill(0)
    start = state_of(module)
    fill(9)
    end = state_of(module)
    on = Scene(module, [Part(lambda: module.weight, lambda w: w.sum(), 1)], None)
    found = trodden(on, fill, list(states), start, end, lambda: None)
    assert found.steps == (0, 5, 9)
    assert found.share == pytest.approx([0, 0.25, 1]) and found.losses == pytest.approx([0, 3, 4])
    assert found.shown == pytest.approx(1) and module.weight.tolist() == [states[9]]
    apart = np.linalg.norm(found.flat[:, None] - found.flat, axis=-1)
    assert apart[[0, 0, 1], [1, 2, 2]] == pytest.approx([5**0.5, 4, 13**0.5], rel=1e-5)
    states[5] = [float("nan"), 0.0]
    assert trodden(on, fill, list(states), start, end, lambda: None).flat.shape == (0, 2)
    states.update({5: [0.0, 0.0], 9: [0.0, 0.0]})
    assert trodden(on, fill, list(states), start, start, lambda: None).share.tolist() == [0, 0, 0]


def covered(values_of: Callable[[Any], Callable[[int, int], float]], truth: float, seeds: int = 5) -> float:
    """How often Student's interval over the pseudo-values holds the truth."""
    draw, hits = np.random.default_rng(0), 0
    pairs = list(combinations(range(seeds), 2))
    for _ in range(1000):
        value = values_of(draw)
        found = np.array(pseudo_values(pairs, [value(*pair) for pair in pairs]))
        low, high = t_interval(float(found.mean()), float(found.std(ddof=1)), seeds, 0.95)
        hits += low <= truth <= high
    return hits / 1000


def test_pairs_have_the_interval_of_their_seeds() -> None:
    def sums(draw: Any) -> Callable[[int, int], float]:
        own = draw.normal(0.5, 1, 5)
        return lambda a, b: own[a] + own[b]

    def unlike(draw: Any) -> Callable[[int, int], float]:
        return lambda a, b: draw.normal(1, 1)

    def distances(draw: Any) -> Callable[[int, int], float]:
        at = draw.normal(0, 1, (5, 3))
        return lambda a, b: float(((at[a] - at[b]) ** 2).sum())

    assert covered(sums, 1.0) == pytest.approx(0.95, abs=0.02)
    assert covered(unlike, 1.0) > 0.95
    assert covered(distances, 6.0) > 0.9


def test_the_mean_of_the_pseudo_values_is_that_of_the_pairs() -> None:
    pairs = list(combinations((2, 4, 5, 9), 2))
    values: Sequence[float] = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0]
    assert np.mean(pseudo_values(pairs, list(values))) == pytest.approx(np.mean(values))
    for wrong in (pairs[:1], pairs[:5]):
        with pytest.raises(ValueError, match="all pairs"):
            pseudo_values(wrong, list(values[: len(wrong)]))
