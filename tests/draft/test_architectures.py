"""A state dict tells its architecture by the names and shapes of its tensors."""

import pytest
from make_table import all_names, table_of

from auditor.draft.architectures import fingerprint, guess, table


def test_the_table_agrees_with_the_installed_torchvision() -> None:
    for key, name in table_of(["resnet18", "mobilenet_v3_small", "vit_b_16", "regnet_y_400mf"]).items():
        assert table()[key] == name


@pytest.mark.slow
def test_the_whole_table_is_up_to_date() -> None:
    assert table_of(all_names()) == table()


def test_another_head_and_missing_counters_change_nothing() -> None:
    tensors = {"conv1.weight": (8, 3, 3, 3), "bn1.num_batches_tracked": (), "fc.weight": (1000, 8)}
    assert fingerprint(tensors) == fingerprint({"conv1.weight": (8, 3, 3, 3), "fc.weight": (5, 8)})


def test_unknown_tensors_are_no_architecture() -> None:
    assert guess({"encoder.weight": (4, 4)}) is None
