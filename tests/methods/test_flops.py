"""Operations of a forward pass against counts by hand."""

import pytest
import torch
from torch import nn

from auditor.methods.flops import forward_flops


def test_a_linear_layer_and_a_convolution_are_counted_as_by_hand() -> None:
    assert forward_flops(nn.Linear(10, 3), torch.zeros(4, 10), 4) == 2 * 10 * 3
    conv = nn.Conv2d(3, 8, 3, padding=1)
    assert forward_flops(conv, torch.zeros(2, 3, 6, 6), 2) == 2 * 3 * 8 * 9 * 36


def test_nothing_is_left_behind_and_no_example_is_an_error() -> None:
    net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)).eval()
    forward_flops(net, torch.zeros(2, 4), 2)
    assert not net[0]._forward_hooks and net[0].weight.grad is None
    with pytest.raises(ValueError, match="at least one"):
        forward_flops(net, torch.zeros(2, 4), 0)
