"""interpretability.feature_maps: a dead layer and doubled channels are found, and a healthy model has neither."""

from pathlib import Path
from typing import Any

import healthy
import numpy as np
import pytest
import torch
from healthy import Trained
from making import make
from torch import nn

from auditor.artifacts.units import Units
from auditor.blocks import Bars, Images, Table
from auditor.checks.interpretability.feature_maps import FeatureMaps
from auditor.evidence import Evidence
from auditor.execute.codec import decode, encode
from auditor.execute.sweep import sweep
from auditor.judge.bounds import claim
from auditor.judge.intervals import interval
from auditor.spec.model import Rule


def audited(given: Trained, **params: Any) -> Evidence:
    check = FeatureMaps(**params)
    need: Any = check.needs(given.subject)["units"]
    found = sweep([need], given.model, given.loader)[need.key]
    assert isinstance(found, Units), found
    return check.measure(units=decode(*encode(found), Units))


def value(found: Evidence, name: str, of: str = "") -> float:
    return next(m.value for m in found.measurements if m.name == name and of in ("", m.of))


def outcome(found: Evidence, name: str, bound: float) -> set[str]:
    asked = claim(Rule(check="c", metric=name, set_by="spec.yaml:1", at_most=bound))
    return {asked.outcome(interval(m, 0.95)) for m in found.measurements if m.name == name}


@pytest.fixture(scope="module")
def healthy_digits() -> Evidence:
    return audited(healthy.trained("digits"))


def test_a_healthy_model_passes(healthy_digits: Evidence) -> None:
    assert outcome(healthy_digits, "worst_layer_dead_share", 0.25) == {"pass"}
    assert outcome(healthy_digits, "duplicate_share", 0.25) == {"pass"}
    assert {m.of for m in healthy_digits.measurements if m.name == "dead_share"} == {"relu1", "relu2"}


def test_shares_equal_those_of_all_activations_at_once(healthy_digits: Evidence) -> None:
    given = healthy.trained("digits")
    net: Any = given.model.module
    inputs, _ = healthy.all_of(given.loader)
    with torch.no_grad():
        values = net.relu2(net.conv2(net.relu1(net.conv1(inputs)))).double().flatten(2)
    variance = values.transpose(0, 1).flatten(1).var(dim=1, unbiased=False)
    gone = (variance <= 1e-12 * variance.mean()).double().mean()
    assert value(healthy_digits, "dead_share", "relu2") == float(gone)
    correlation = np.abs(np.corrcoef(values.transpose(0, 1).flatten(1)[variance > 0].numpy()))  # 16 places: all of them
    doubled = (np.tril(correlation, -1) > 0.99).any(axis=1).mean()
    assert value(healthy_digits, "duplicate_share", "relu2") == pytest.approx(doubled)


def test_a_planted_dead_layer_is_found() -> None:
    given = healthy.trained("digits")
    nn.init.constant_(given.model.module.conv2.bias, -1e3)  # type: ignore[union-attr,arg-type]  # a DigitNet
    found = audited(given)
    assert outcome(found, "worst_layer_dead_share", 0.25) == {"fail"}
    assert value(found, "worst_layer_dead_share", "relu2") == 1.0
    assert not [m for m in found.measurements if m.name == "duplicate_share" and m.of == "relu2"]


def test_planted_doubled_channels_are_found() -> None:
    given = healthy.trained("digits")
    conv: Any = given.model.module.conv1
    with torch.no_grad():
        conv.weight[6:] = 2 * conv.weight[:6]
        conv.bias[6:] = 2 * conv.bias[:6]
    found = audited(given)
    assert value(found, "duplicate_share", "relu1") == 0.5
    assert "fail" in outcome(found, "duplicate_share", 0.25)


def test_it_shows_shares_channels_and_top_examples(healthy_digits: Evidence) -> None:
    bars, grids, tops = healthy_digits.blocks
    assert isinstance(bars, Bars) and [bar.label for bar in bars.bars] == ["relu1 (12)", "relu2 (16)"]
    assert isinstance(grids, Images) and [len(row.pictures) for row in grids.rows] == [4, 4]
    assert isinstance(tops, Images) and [len(row.pictures) for row in tops.rows] == [4, 4, 4]


def test_top_examples_are_the_strongest() -> None:
    given = healthy.trained("digits")
    need: Any = FeatureMaps().needs(given.subject)["units"]
    found: Any = sweep([need], given.model, given.loader)[need.key]
    net: Any = given.model.module
    inputs, _ = healthy.all_of(given.loader)
    peaks = net.relu1(net.conv1(inputs)).amax(dim=(2, 3)).detach()
    for unit, rows in enumerate(found.layers[0].tops):
        np.testing.assert_allclose(peaks[rows, unit], peaks[:, unit].topk(4).values, rtol=1e-6)


def test_columns_have_no_pictures_and_few_rows_decide_nothing() -> None:
    found = audited(healthy.trained("breast_cancer"), rows=40)
    assert len(found.blocks) == 1
    (worst,) = [m for m in found.measurements if m.name == "worst_layer_dead_share"]
    assert worst.n < 30 and worst.kind == "unreplicated" and outcome(found, "worst_layer_dead_share", 0.5) != {"pass"}


def test_the_same_question_has_the_same_answer(healthy_digits: Evidence) -> None:
    assert audited(healthy.trained("digits")) == healthy_digits


def test_texts_show_the_tokens_that_move_a_unit() -> None:
    from auditor.artifacts.portraits import portrayed
    from auditor.artifacts.units import Portrait

    words = ((("good", "a good film"), ("good", "very good")), (("bad", "bad film"),))
    empty = np.zeros((0, 0, 0, 0), np.float32)
    (shown,) = portrayed(Portrait("encoder.layer.0", empty, units=(3, 5), top_words=words))
    assert isinstance(shown, Table) and shown.rows[2] == ("unit 5", "bad", "bad film")


def test_texts_are_watched_at_their_own_tokens(tmp_path: Path) -> None:
    subject = healthy.reviews(tmp_path)
    need: Any = FeatureMaps().needs(subject)["units"]
    found = make(need, tmp_path)
    block = next(layer for layer in found.layers if layer.name == "bert.encoder.layer.0")
    model, loader = make(need.sweep.model, tmp_path), make(need.sweep.batches, tmp_path)
    rows = []
    with torch.no_grad():
        for batch in (loader.batch(range(row, row + 1)) for row in range(loader.rows)):
            rows.append(model.module.bert(**batch.inputs).last_hidden_state[0].double())
    tokens = torch.cat(rows)  # one text at a time, so without padding
    np.testing.assert_allclose(block.variance, tokens.var(dim=0, unbiased=False), rtol=1e-4)
    np.testing.assert_allclose(block.peaks[:, 0], tokens.amax(dim=0), rtol=1e-4)
    (_, words) = FeatureMaps().measure(units=found).blocks
    assert isinstance(words, Table) and {row[1] for row in words.rows} <= {"a", "good", "bad", "film", "[CLS]", "[SEP]"}
