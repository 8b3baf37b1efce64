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


@pytest.mark.parametrize("training", [False, True])
def test_kernels_that_do_a_whole_layer_at_once_are_counted_too(training: bool) -> None:
    """In evaluation mode an LSTM, a transformer's layer and fused attention are one operation each."""
    inputs = torch.zeros(2, 5, 8)
    recurrent = nn.LSTM(8, 8, batch_first=True).train(training)
    assert forward_flops(recurrent, inputs, 2) == 2 * 5 * (8 * 32 + 8 * 32)
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    inner = 2 * 5 * (4 * 8 * 8 + 2 * 8 * 16) + 2 * 2 * 5 * 5 * 8
    assert forward_flops(nn.TransformerEncoder(layer, 3).train(training), inputs, 2) == 3 * inner

    def attention(x: torch.Tensor) -> torch.Tensor:
        return nn.functional.scaled_dot_product_attention(x, x, x)

    assert forward_flops(attention, inputs, 2) == 2 * 2 * 5 * 5 * 8


def test_the_kernels_are_as_before_even_after_an_error() -> None:
    def state() -> tuple[bool, ...]:
        backends = torch.backends
        return backends.mha.get_fastpath_enabled(), backends.mkldnn.enabled, backends.cudnn.enabled

    before = state()
    forward_flops(nn.Linear(2, 2), torch.zeros(1, 2), 1)
    with pytest.raises(RuntimeError):
        forward_flops(nn.Linear(2, 2), torch.zeros(1, 3), 1)
    assert state() == before and any(before)
