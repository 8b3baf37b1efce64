"""Planted fits: the files hold the defect that each names and twins do not; what an audit says of them is counted."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from benchmarks.audits import audit, deciding
from benchmarks.confusion import NOTHING, RIGHT, SAID, UNDECIDED, page, said
from benchmarks.detection import members
from benchmarks.zoo import FITS, Member
from benchmarks.zoo.fits import NOISE, OWN_TWINS, digits, recipe

SEED = 200


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, bool], Member]:
    folder = tmp_path_factory.mktemp("fits")
    quick = [name for name in FITS if name != "sharp_minimum"]
    return {(name, planted): FITS[name](folder / f"{name}-{planted}", SEED, planted)
            for name in quick for planted in (True, False)}  # fmt: skip


def labels(member: Member, part: str) -> list[str]:
    with (member.folder / f"{part}.csv").open(encoding="utf-8") as stream:
        return [row["label"] for row in csv.DictReader(stream)]


def weights(member: Member) -> dict[str, torch.Tensor]:
    return load_file(member.folder / "model.safetensors")


def test_a_member_is_a_spec_of_eight_lines_that_fine_tunes_a_start(made: dict) -> None:
    for (name, _), member in made.items():
        lines = member.spec.read_text().splitlines()
        assert len(lines) == 8 and '"seeds": 5' in lines[3] and '"from": "parent"' in lines[3], name


def test_what_is_planted_differs_from_its_twin_in_that_alone(made: dict) -> None:
    for name in ("healthy", "diverging_rate", "small_set"):
        planted, twin = weights(made[name, True]), weights(made[name, False])
        assert all(torch.equal(planted[key], twin[key]) for key in twin)
    for name in ("diverging_rate", "small_model", "dead_block", "deep_sigmoid", "exploding_start"):
        assert all(labels(made[name, True], part) == labels(made[name, False], part) for part in ("train", "eval"))


def test_no_twin_is_counted_that_is_a_healthy_fit_by_another_name(made: dict) -> None:
    def content(member: Member) -> list[bytes]:
        spec = [line.encode() for line in member.spec.read_text().splitlines() if not line.startswith("name:")]
        return [
            *spec,
            *((member.folder / part).read_bytes() for part in ("model.safetensors", "train.csv", "eval.csv")),
        ]

    healthy = content(made["healthy", False])
    own = {name for (name, planted), one in made.items() if not planted and content(one) != healthy}
    assert own == set(OWN_TWINS) - {"sharp_minimum"}
    counted = {name: count for name, planted, count in members(list(FITS), 20, 20) if not planted}
    assert counted == dict.fromkeys(OWN_TWINS, 5)


def test_the_proofs_of_the_files(made: dict) -> None:
    rates = [made["diverging_rate", planted].proof["rate"] for planted in (True, False)]
    assert rates[0] >= 200 * rates[1]
    shuffled, twin = (labels(made["shuffled_labels", planted], "train") for planted in (True, False))
    assert sorted(shuffled) == sorted(twin) and np.mean([a == b for a, b in zip(shuffled, twin, strict=True)]) < 0.2
    noisy, clean = (labels(made["label_noise", planted], "train") for planted in (True, False))
    wrong = float(np.mean([a != b for a, b in zip(noisy, clean, strict=True)]))
    assert wrong == pytest.approx(NOISE, abs=0.05) and made["label_noise", True].proof["wrong"] == wrong
    assert weights(made["small_model", True])["head.weight"].shape == (10, 2)
    assert len(labels(made["small_set", True], "train")) == 32
    assert [float(weights(made["dead_block", planted])[f"blocks.{at}.first.bias"].min()) < -9
            for planted in (True, False) for at in (0, 1)].count(True) == 1  # fmt: skip
    assert "sigmoid" in made["deep_sigmoid", True].spec.read_text()
    assert (
        made["exploding_start", True].proof["first_loss"]
        > 1e3
        > 10
        > made["exploding_start", False].proof["first_loss"]
    )


def test_recipes_and_rows_are_drawn_from_the_seed() -> None:
    assert recipe(3) == recipe(3) and len({str(recipe(seed)) for seed in range(20)}) == 20
    once, again = digits(3, 1.0), digits(3, 1.0)
    assert np.array_equal(once[0].rows, again[0].rows) and not np.array_equal(once[0].rows, digits(4, 1.0)[0].rows)


def test_a_sharp_minimum_has_the_training_loss_of_its_flat_twin(tmp_path: Path) -> None:
    proofs = [FITS["sharp_minimum"](tmp_path / str(planted), SEED, planted).proof for planted in (True, False)]
    assert all(0.03 < proof["train_loss"] <= 0.05 for proof in proofs)


def row(name: str, planted: bool = True, **more: Any) -> dict[str, Any]:
    return {"name": name, "planted": planted, "seed": 0, "proven": True, "failed": [], "open": [], "broken": {},
            "word": "", "seconds": 1.0, **more}  # fmt: skip


def test_what_was_said_is_the_first_cause() -> None:
    both = ["gradient_norm.exploding_layers", "diagnosis.diverged_share"]
    assert said(row("x", failed=both)) == "diverged" and said(row("x")) == NOTHING
    assert said(row("x", open=["landscape.flatness"])) == UNDECIDED
    assert said(row("x", open=["data.leak_share"])) == NOTHING, "checks that did not run"
    assert said(row("x", broken={"diagnosis": "why"})) == UNDECIDED and set(RIGHT) == set(FITS)


def test_the_page_counts_and_names_what_is_not_right() -> None:
    caught = row("small_set", failed=["diagnosis.overfit_gap"], word="overfitting")
    rows = [caught, row("small_set", word="undetermined"),
            row("small_set", planted=False), row("small_set", planted=False, failed=["landscape.flatness"], seed=7),
            {"name": "healthy", "planted": True, "seed": 3, "proven": False, "seconds": 1.0}]  # fmt: skip
    text = page(rows, "COMMAND")
    assert "| small set |" in text and "1 of 2 |" in text and "| overfitting (1), undetermined (1) |" in text
    assert "- twin of small set, seed 7: sharp minimum (failed: landscape.flatness; open: none)" in text
    assert "did not hold: healthy 3." in text and next(iter(SAID)) in text


@pytest.mark.slow
@pytest.mark.parametrize("name", FITS)
def test_the_preset_alone_says_what_was_planted_and_nothing_of_its_twin(name: str, tmp_path: Path) -> None:
    for planted in (True, False):
        member = FITS[name](tmp_path / str(planted), SEED, planted)
        found = audit(member.spec, tmp_path / "cache", member.trust, deciding(member.spec, "optimizability."))
        row = {"failed": found.failed(), "open": found.open(), "broken": found.broken()}
        assert said(row) in (RIGHT[name] if planted else (NOTHING,)), row
