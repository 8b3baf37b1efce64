"""traceability.importance: few weights that count are found, a random ranking gains nothing, and every task has one."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from auditor.artifacts.costs import Costs
from auditor.artifacts.importance import Ablation, Importance
from auditor.checks.traceability.importance import Importances
from auditor.evidence import Evidence
from auditor.execute.codec import decode, encode
from auditor.methods.importance.ablation import Rises, ablate, most_important
from auditor.methods.importance.inequality import told
from auditor.methods.importance.weighing import Weights, weigh
from auditor.sources import data, labels, models
from auditor.spec.model import DataEntry, ModelEntry
from auditor.subject import Runtime, Subject
from tests import tiny_transformers as tiny
from tests.checks.judged import measured, one, outcome
from tests.methods.importance.test_weighing import asked
from tests.tiny import save_all
from tests.tiny_transformers import made

HIDDEN, USED = 32, 3


@cache
def _planted(seed: int = 0) -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    """A trained net of 32 hidden units of which only three reach the output: all others are multiplied by zero."""
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(6, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, 2))
    draw = torch.Generator().manual_seed(seed)
    inputs = torch.randn(256, 6, generator=draw)
    answers = (inputs[:, 0] + inputs[:, 1] > 0).long()
    gate = torch.zeros(HIDDEN)
    gate[:USED] = 1
    optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
    for _ in range(40):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(inputs), answers).backward()
        for layer in (0, 2):
            net[layer].weight.grad[USED:] = 0  # type: ignore[union-attr, index, operator]
        optimizer.step()
        with torch.no_grad():
            net[2].weight[:, USED:] *= 0  # type: ignore[operator, index]
            net[4].weight[:, USED:] *= 0  # type: ignore[operator, index]
    return net.eval(), inputs, answers


def _gains(importance: Any = None) -> Rises:
    net, inputs, answers = _planted()
    weights, losses = Weights.of(net), asked(net, inputs, answers)
    halves = range(64), range(128, 256)
    weighed = weigh(weights, losses, "fisher", halves, {place: str(place) for place in range(256)})
    ranking = weighed.halves[0] if importance is None else importance(weights)
    count = round(0.01 * sum(weights.sizes))
    draw = torch.Generator().manual_seed(5)
    return ablate(weights, losses, halves[1], 64, most_important(ranking, count), 10, draw)


def test_shares_beyond_0_and_1_are_told_as_such() -> None:
    spread = np.random.default_rng(0).normal(0, 0.01, 32)
    found = _evidence(_gains(), gini_told=spread + 1.1, effective_told=spread - 0.1)
    for name, value in (("gini", 1.0), ("effective_share", 0.0)):
        said = one(found, name)
        assert (said.value, said.distribution.mean) == (value, value)  # type: ignore[union-attr]
        assert f"{name} is estimated at {value:g} or beyond" in " ".join(found.notes)
    assert "beyond" not in " ".join(_evidence(_gains()).notes)


def test_few_weights_that_count_are_found_and_a_random_ranking_gains_nothing() -> None:
    def at_random(weights: Weights) -> list[torch.Tensor]:
        draw = torch.Generator().manual_seed(3)
        return [torch.rand(value.shape, generator=draw) for value in weights.values()]

    found, control = _evidence(_gains()), _evidence(_gains(at_random))
    assert outcome(one(found, "ablation_gain"), at_least=0.02) == "pass"
    assert one(found, "ablation_gain").value > 5 * abs(one(control, "ablation_gain").value)
    assert outcome(one(control, "ablation_gain"), at_least=0.02) != "pass"
    assert "set to" in " ".join(found.notes)


def test_where_few_weights_count_the_importance_is_seen_to_be_unequal() -> None:
    planted, inputs, answers = _planted()
    torch.manual_seed(0)
    even = nn.Linear(6, 2)
    units = {place: str(place) for place in range(256)}
    told_of = []
    for net in (planted, even):
        weights = Weights.of(net)
        found = weigh(weights, asked(net, inputs, answers), "fisher", (range(32), range(32, 64)), units)
        told_of.append(told(found.blocks, found.counts))
    assert told_of[0] is not None and told_of[1] is not None
    assert told_of[0].gini.mean() > 0.95 > 0.5 > told_of[1].gini.mean()
    assert told_of[0].effective_share.mean() < 0.03 < 0.5 < told_of[1].effective_share.mean()


def _evidence(rises: Rises, groups: tuple[str, ...] = (), **more: Any) -> Evidence:
    n = len(rises.before)
    curve = np.array([[0.0, 1.0, 1.0], [0.01, 2.0, 1.0]])
    ablation = Ablation(rises.before, rises.top, rises.random, curve, 13, more.pop("free", 13),
                        tuple(map(str, range(n))), groups)  # fmt: skip
    return Importances().measure(importance=_importance(**more), ablation=ablation)


def _importance(**more: Any) -> Importance:
    pseudo = np.random.default_rng(0).normal(0.5, 0.01, 32)
    given: dict[str, Any] = {
        "tensors": ("a.weight", "a.bias", "b.weight"), "sizes": (8, 2, 4), "total": np.array([3.0, 1.0, 6.0]),
        "first": np.array([3.0, 1.0, 6.0]), "gini": 0.6, "effective_share": 0.4, "gini_told": pseudo,
        "effective_told": pseudo, "read": 14, "lorenz": np.array([[0.0, 1.0], [0.0, 1.0]]), "examples": 64,
        "is_grouped": False,
    }  # fmt: skip
    return Importance(**{**given, **more})


def _rises(n: int = 40, sets: int = 10, spread: float = 0.0) -> Rises:
    rng = np.random.default_rng(1)
    random = np.full((2, sets, n), 1.0) + spread * rng.normal(size=(2, sets, 1))
    return Rises(np.ones(n), np.stack([np.full(n, 3.0), 2 + rng.normal(0, 0.1, n)]), random)


def test_the_smaller_gain_decides_and_the_spread_of_the_random_sets_widens_its_interval() -> None:
    tight, wide = (one(_evidence(_rises(spread=spread)), "ablation_gain") for spread in (0.0, 1.0))
    assert tight.value == pytest.approx(1.0, abs=0.1)  # not 2
    assert (tight.n, tight.unit_of_resampling, tight.unit) == (40, "example", "nats")
    assert tight.distribution.sd == pytest.approx(0.1, abs=0.03)  # type: ignore[union-attr]  # Moments
    between = _rises(spread=1.0).random[1, :, 0].std(ddof=1) / 10**0.5
    assert wide.distribution.sd / 40**0.5 == pytest.approx(between, rel=0.05)  # type: ignore[union-attr]
    grouped = one(_evidence(_rises(), tuple(str(row // 4) for row in range(40))), "ablation_gain")
    assert (grouped.n, grouped.unit_of_resampling) == (10, "group")


def test_what_cannot_be_measured_is_said() -> None:
    broken = _rises()
    broken.top[0, 3] = np.inf
    found = _evidence(broken)
    assert not measured(found, "ablation_gain") and "not finite" in " ".join(found.notes)
    full = _evidence(_rises(), free=0)
    assert not measured(full, "ablation_gain") and "all that their tensors hold" in " ".join(full.notes)
    nothing = _evidence(_rises(), gini=None, effective_share=None)
    assert [each.name for each in nothing.measurements] == ["ablation_gain"]
    assert "no parameter has any importance" in " ".join(nothing.notes)


def test_magnitude_is_an_exact_fact_and_two_blocks_are_a_single_replicate() -> None:
    empty = np.zeros(0)
    exact = _evidence(_rises(), read=0, gini_told=empty, effective_told=empty)
    few = _evidence(_rises(), gini_told=empty, effective_told=empty)
    assert [(one(each, "gini").kind, one(each, "gini").value) for each in (exact, few)] == [
        ("exact", 0.6), ("unreplicated", 0.6),
    ]  # fmt: skip
    grouped = one(_evidence(_rises(), is_grouped=True), "gini")
    assert (grouped.n, grouped.unit_of_resampling, grouped.kind) == (32, "group", "sampled")


def test_figures_are_a_curve_bars_and_a_curve() -> None:
    blocks = _evidence(_rises()).blocks
    assert [block.kind for block in blocks] == ["lines", "bars", "lines"]
    bars = {bar.label: bar.value for bar in blocks[1].bars}  # type: ignore[union-attr]
    assert bars["b: importance"] == pytest.approx(0.6) and bars["b: parameters"] == pytest.approx(4 / 14)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("importance")
    save_all(root)
    words = ("good film", "bad film a a", "the very good film", "bad", "a very very bad film", "the film the film")
    lines = [f"{text},{number / 7}" for number, text in enumerate(words * 3)]
    (root / "films.csv").write_text("text,stars\n" + "\n".join(lines) + "\n")
    return root


def subject(root: Path, model: str, label: str | None = None) -> Subject:
    ref = models.describe(ModelEntry(name="m", source="transformers", options={"path": model}), root)
    options = {"path": "films.csv", "text": "text", **({"label": label} if label else {})}
    rows = data.describe(DataEntry(name="d", source="csv", options=options), root)
    return Subject(model=ref, data=labels.match(ref, rows), runtime=Runtime(batch_size=4))


@pytest.mark.parametrize(
    ("model", "label"), [("gpt", None), ("llama", None), ("masked", None), ("regression", "stars")]
)
def test_language_models_and_regressions_have_an_importance(root: Path, model: str, label: str | None) -> None:
    given = subject(root, model, label)
    check = Importances(rows=18, top=0.05)
    assert check.applies(given) is None
    found = {name: made(need, root) for name, need in check.needs(given).items()}
    importance, ablation = found["importance"], found["ablation"]
    assert decode(*encode(importance), Importance).gini == importance.gini
    net = made(check.needs(given)["importance"].gathered.model, root)  # type: ignore[attr-defined]
    assert len(importance.tensors) == len({p.data_ptr() for p in net.module.parameters()})
    silent = {"gpt": 0, "llama": 0, "masked": 0, "regression": 0}[model]
    lone = 3 if model in ("gpt", "llama") else silent  # "bad" alone has no token before it
    assert importance.examples == 18 - lone
    if lone:
        assert f"{lone} texts hold no token that could be scored and are left out." in importance.remarks
    evidence = check.measure(**found)
    assert {each.name for each in evidence.measurements} == {"gini", "effective_share", "ablation_gain"}
    assert np.isfinite(ablation.top).all() and importance.total.sum() > 0


@pytest.mark.parametrize("model", ["gpt", "masked", "regression"])
def test_the_costs_of_texts_do_not_depend_on_their_batch(root: Path, model: str) -> None:
    given = subject(root, model, "stars" if model == "regression" else None)
    need: Any = Importances().needs(given)["importance"]
    costs = Costs(made(need.gathered.model, root), made(need.gathered.batches, root), 18, 7)
    with torch.no_grad():
        together = costs.losses(costs.places)
        alone = torch.cat([costs.losses([place]) for place in costs.places])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
    assert (together != 0).all()


def test_a_causal_cost_is_the_model_s_own_loss(root: Path) -> None:
    need: Any = Importances().needs(subject(root, "gpt"))["importance"]
    net, loader = made(need.gathered.model, root), made(need.gathered.batches, root)
    costs = Costs(net, loader, 18, 0)
    place = costs.places[0]
    ids = loader.encoder.tokenizer(loader.dataset.fetch(loader.order[place]), return_tensors="pt")["input_ids"]
    with torch.no_grad():
        assert float(costs.losses([place])) == pytest.approx(float(net.module(input_ids=ids, labels=ids).loss))


def test_classifiers_of_texts_and_pictures(tmp_path: Path) -> None:
    for name, given in (
        ("text", tiny.saved_texts(tmp_path, tiny.bert(), name="t")),
        ("image", tiny.saved_pictures(tmp_path, tiny.vit(), name="v")),
    ):
        found = {key: made(need, tmp_path) for key, need in Importances(rows=64).needs(given).items()}
        evidence = Importances().measure(**found)
        assert one(evidence, "gini").n == 32, name
        assert 0 < one(evidence, "effective_share").value < 1 and one(evidence, "gini").value < 1
        assert len(found["ablation"].examples) == 32


def test_what_has_no_likelihood_is_skipped(root: Path) -> None:
    assert "encoder" in str(Importances().applies(subject(root, "encoder")))
    given = subject(root, "regression", "stars")
    assert Importances().applies(given.model_copy(update={"data": None})) == "it needs data"
    bare = subject(root, "regression")
    assert "it needs labels" in str(Importances().applies(bare))
