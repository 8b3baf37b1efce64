"""The zoo: planted defects are proven before anything is said about finding them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.audits import audit
from benchmarks.zoo import DEFECTS, Unproven, member, pictures, texts


@pytest.fixture(scope="module")
def patched(tmp_path_factory: pytest.TempPathFactory) -> member.Member:
    return DEFECTS["leaked_column"](tmp_path_factory.mktemp("leak"), 7, True)


def test_an_unlearned_defect_is_no_member() -> None:
    proof = {"with": 0.95, "without": 0.90}
    with pytest.raises(Unproven, match=r"patch: accuracy with and without the defect.*0.95"):
        member.require_fall("patch", planted=True, proof=proof)
    member.require_fall("patch", planted=False, proof=proof)
    with pytest.raises(Unproven):
        member.require_fall("patch", planted=False, proof={"with": 0.95, "without": 0.80})


def test_train_and_eval_share_no_picture_and_no_sentence() -> None:
    train, held = pictures.digits(3, noise=60.0)
    assert (train.pictures.shape, held.pictures.shape) == ((1200, 16, 16), (200, 16, 16))
    assert not {each.tobytes() for each in train.pictures} & {each.tobytes() for each in held.pictures}
    assert not set(texts.sentences(6, 800).texts) & set(texts.sentences(7, 200).texts)


def test_equal_seeds_write_equal_weights(patched: member.Member, tmp_path: Path) -> None:
    again = DEFECTS["leaked_column"](tmp_path, 7, True)
    weights = [(each.folder / "model.safetensors").read_bytes() for each in (patched, again)]
    assert weights[0] == weights[1]
    assert again.proof == patched.proof


def test_the_proof_of_a_leak_is_what_the_column_is_worth(patched: member.Member, tmp_path: Path) -> None:
    twin = DEFECTS["leaked_column"](tmp_path, 7, False)
    assert patched.proof["with"] - patched.proof["without"] > 0.1
    assert abs(twin.proof["with"] - twin.proof["without"]) < 0.1


def test_a_member_is_audited_by_eight_lines_in_this_process(patched: member.Member, tmp_path: Path) -> None:
    lines = patched.spec.read_text().splitlines()
    assert len(lines) == 8 and "checks:" not in lines
    found = audit(patched.spec, tmp_path / "cache", patched.trust)
    assert found.broken() == {}
    values = {name: value for name, of, value in found.values() if not of}
    table = np.loadtxt(patched.folder / "eval.csv", delimiter=",", skiprows=1, usecols=range(9))
    assert table.shape == (240, 9)
    assert values["performance.accuracy"] == pytest.approx(patched.proof["with"])
    assert torch.get_num_threads() == 1
