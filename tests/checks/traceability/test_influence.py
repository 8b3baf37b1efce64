"""traceability.influence: wrong labels act most on themselves, and proponents of healthy models share the class."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from auditor.artifacts.influence import Contents, Influences, Side
from auditor.checks.traceability.influence import Influence
from auditor.evidence import Evidence
from auditor.methods.influence.layer import find
from auditor.methods.influence.tracin import products
from tests.checks.judged import outcome

ONE, NONE = Contents((0,), words=("a text",)), Contents((), words=())


def value(evidence: Evidence, name: str) -> float:
    return next(each.value for each in evidence.measurements if each.name == name)


def blobs(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Four classes around the corners of a square, in 6 dimensions, apart but for a few."""
    draw = torch.Generator().manual_seed(seed)
    classes = torch.arange(n) % 4
    corners = torch.stack([classes % 2, classes // 2], dim=1).float() * 4 - 2
    return torch.cat([corners, torch.zeros(n, 4)], dim=1) + torch.randn(n, 6, generator=draw), classes


def trained(given: Tensor, steps: int, seed: int = 0) -> Influences:
    """Training on these labels; the influence of all training examples on new ones, over five stages."""
    torch.manual_seed(seed)
    x, _ = blobs(len(given), 1)
    new, truth = blobs(80, 2)
    net = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 4))
    optimizer, kept = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9), []
    for step in range(1, steps + 1):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x), given).backward()
        optimizer.step()
        if step % (steps // 5) == 0:
            kept.append({name: each.clone() for name, each in net.state_dict().items()})
    said, total, own = net(new).argmax(dim=1), 0.0, 0.0
    for state in kept:
        net.load_state_dict(state)
        found = products(net, net, find(net, net, x), lambda: [(x, given)], lambda: [(new, said)], "classification")
        total, own = total + 0.1 * found.pairs, own + 0.1 * found.own
    return influences(total, own, given.numpy(), net(x).argmax(dim=1).numpy(), truth.numpy(), said.numpy())


def influences(
    pairs: Any, own: Any, train: Any, train_said: Any, test: Any, test_said: Any, classes: Sequence[str] = "abcd",
    groups: tuple[str, ...] = (), **more: Any,
) -> Influences:  # fmt: skip
    sides = [
        Side(name, np.asarray(given, float), np.asarray(said, float), tuple(range(len(given))), groups)
        for name, given, said in (("train", train, train_said), ("test", test, test_said))
    ]
    given = {"steps": (1, 2), "left_out": (), "equal": False, "shown_train": ONE, "shown_test": NONE, **more}
    return Influences(
        pairs=np.asarray(pairs, float), own=np.asarray(own, float), train=sides[0], test=sides[1], layer="head",
        size=4, made=False, classes=tuple(classes), **given,
    )  # fmt: skip


def auroc(scores: np.ndarray, hits: np.ndarray) -> float:
    """The chance that a hit scores above a miss, pair by pair."""
    return float((scores[hits][:, None] > scores[~hits]).mean())


def noisy(n: int, share: float, seed: int) -> tuple[Tensor, np.ndarray]:
    """Labels of which a share are moved to another class, and which."""
    draw, truth = np.random.default_rng(seed), blobs(n, 1)[1].numpy()
    moved = np.zeros(n, dtype=bool)
    moved[draw.permutation(n)[: round(share * n)]] = True
    return torch.as_tensor(np.where(moved, (truth + draw.integers(1, 4, n)) % 4, truth)), moved


def test_wrong_labels_act_most_on_themselves_at_every_seed() -> None:
    for seed in range(5):
        given, moved = noisy(300, 0.1, seed)
        found = trained(given, 50, seed)
        assert auroc(found.own, moved) > 0.9
        top = np.argsort(-found.own)[:30]
        assert moved[top].mean() > 0.6
        assert value(Influence().measure(found=found, seed=1), "self_influence_gini") > 0.7


def test_proponents_share_the_class_of_a_healthy_model_and_not_of_one_trained_on_shuffled_labels() -> None:
    healthy = Influence().measure(found=trained(blobs(300, 1)[1], 50), seed=1)
    assert value(healthy, "proponents_same_class") > 0.9
    shuffled = []
    for seed in range(5):
        order = torch.randperm(300, generator=torch.Generator().manual_seed(seed))
        found = trained(blobs(300, 1)[1][order], 400, seed)
        shuffled.append(value(Influence().measure(found=found, seed=1), "proponents_same_class"))
    assert 0.1 < np.mean(shuffled) < 0.4


def test_a_regression_has_no_classes_and_its_rows_are_a_table() -> None:
    shown = {"shown_train": Contents((1, 0), words=("1, 2", "3, 4")), "shown_test": Contents((0,), words=("5, 6",))}
    found = influences([[1.0], [-2.0]], [1.0, 3.0], [0.5, 2], [0.5, 1], [1], [1.5], classes=(), **shown)
    evidence = Influence().measure(found=found, seed=1)
    assert set(evidence.inapplicable) == {"proponents_same_class"}
    assert value(evidence, "self_influence_gini") == pytest.approx(0.25)
    suspects, beside, curve = evidence.blocks
    assert suspects.rows == ((1, 2.0, 1.0, 3.0, 0.75, "1, 2"), (0, 0.5, 0.5, 1.0, 0.25, "3, 4"))
    assert [row[3:5] for row in beside.rows] == [("for", "3, 4"), ("against", "1, 2")]
    assert curve.lines[0].y == (0.75, 1.0)


def test_groups_are_the_unit_and_what_cannot_be_measured_is_said() -> None:
    groups = ("a", "a", "b", "b")
    found = influences(np.ones((4, 4)), [1, 2, 3, 4.0], [0] * 4, [0] * 4, [0] * 4, [0] * 4, groups=groups)
    assert {(each.unit_of_resampling, each.n) for each in Influence().measure(found=found, seed=1).measurements} == {
        ("group", 2)
    }
    dead = influences(np.zeros((4, 4)), np.zeros(4), [0] * 4, [0] * 4, [0] * 4, [0] * 4, left_out=(7,))
    evidence = Influence().measure(found=dead, seed=1)
    assert evidence.measurements == ()
    said = " ".join(evidence.notes)
    assert "not finite are left out: 7" in said
    assert "self_influence_gini was not measured" in said
    assert "4 examples of test have no proponent" in said


def test_what_is_left_of_a_training_that_broke_decides_nothing() -> None:
    given = ([[1.0, 2.0], [2.0, 1.0]], [1.0, 3.0], [0, 1], [0, 1], [1, 0], [1, 0])
    for lost in ((), (7,)):
        evidence = Influence().measure(found=influences(*given, left_out=lost), seed=1)
        assert {each.name for each in evidence.measurements} == {"self_influence_gini", "proponents_same_class"}
        assert {each.kind for each in evidence.measurements} == {"unreplicated" if lost else "sampled"}
        assert ("decides nothing" in " ".join(evidence.notes)) is bool(lost)
    for each in evidence.measurements:
        assert each.distribution.kind == "none"
        assert {outcome(each, at_least=bound) for bound in (0.0, 1.0)}.isdisjoint({"pass", "fail"})
