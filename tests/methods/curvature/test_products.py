"""Products with Hessian and Gauss-Newton matrix against the full matrix in float64; the module stays as it was."""

import gc
import weakref
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

from auditor.errors import NotApplicable
from auditor.methods.curvature.losses import of_rows
from auditor.methods.curvature.products import Matrix, Part, products
from auditor.methods.curvature.spectrum import full_matrix
from tests.methods.curvature.bending import columns, convolutional, parts, smooth, squares, whole
from tests.tiny_transformers import bert, texts


def close(found: Any, truth: Any, within: float = 1e-5) -> bool:
    return bool(np.abs(found - truth).max() <= within * np.abs(truth).max())


@pytest.mark.parametrize("retained", [2**30, 0, 20_000])
def test_the_mean_over_unequal_batches_whether_graphs_are_kept_or_not(retained: int) -> None:
    net, (inputs, labels) = convolutional(), squares()
    truth = whole(net, lambda f: cross_entropy(f(inputs.double()), labels))
    with products(net, parts(net, inputs, labels, [4, 12]), retained=retained) as operator:
        found = full_matrix(operator)
        assert operator.count == operator.size == len(truth)
        assert {2**30: 0, 0: 3}.get(retained, operator.rebuilt) == operator.rebuilt
        assert operator.graph_bytes <= retained and (operator.graph_bytes > 0) == (retained > 0)
    assert close(found, truth)
    assert close(found, found.T)


def test_a_batch_alone() -> None:
    net, (inputs, labels) = smooth(width=4), columns(20)
    truth = whole(net, lambda f: cross_entropy(f(inputs[8:].double()), labels[8:]))
    with products(net, parts(net, inputs, labels, [8])) as operator:
        assert close(full_matrix(operator.alone(1)), truth)


def test_the_module_is_left_as_it_was_found() -> None:
    net, (inputs, labels) = convolutional(), squares()
    net.train()
    net[4].eval()
    net[0].bias.requires_grad_(False)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    modes = [part.training for part in net.modules()]
    with pytest.raises(KeyError), products(net, parts(net, inputs, labels, [])) as operator:
        operator(torch.ones(operator.size))
        raise KeyError
    assert modes == [part.training for part in net.modules()]
    assert [p.requires_grad for p in net.parameters()] == [name != "0.bias" for name, _ in net.named_parameters()]
    assert all(p.grad is None for p in net.parameters())
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


def test_buffers_that_a_forward_changes_are_put_back() -> None:
    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(3, 2)
            self.register_buffer("seen", torch.zeros(1))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.seen += 1
            return self.inner(x).tanh()

    net, x, y = Counting(), torch.randn(5, 3), torch.zeros(5, dtype=torch.long)
    with products(net, [Part(lambda: net(x), lambda z: cross_entropy(z, y), 5)]) as operator:
        operator(torch.ones(operator.size))
    assert net.seen.item() == 0


def test_graphs_are_freed() -> None:
    class Mark:
        pass

    net, (inputs, labels) = smooth(width=3), columns(8)
    marks: list[weakref.ref[Mark]] = []

    def outputs() -> torch.Tensor:
        found = net(inputs).sigmoid()  # its node keeps its own output
        mark = Mark()
        found.grad_fn.metadata["mark"] = mark
        marks.append(weakref.ref(mark))
        return found

    with products(net, [Part(outputs, lambda z: cross_entropy(z, labels), 8)]) as operator:
        operator(torch.ones(operator.size))
        assert marks[0]() is None and marks[1]() is not None  # the first was built to be counted
    del operator
    gc.collect()
    assert marks[1]() is None


@pytest.mark.parametrize("same_object", [True, False])
def test_tied_weights_count_once_and_gather_both_uses(same_object: bool) -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False)
            self.two.weight = self.one.weight if same_object else nn.Parameter(self.one.weight.data)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.two(self.one(x).tanh())

    torch.manual_seed(0)
    net, x, y = Tied(), torch.randn(6, 3), torch.tensor([0, 1, 2, 0, 1, 2])
    weight = net.one.weight.detach().double()
    truth = torch.autograd.functional.hessian(
        lambda w: cross_entropy((x.double() @ w.view(3, 3).T).tanh() @ w.view(3, 3).T, y), weight.flatten()
    ).numpy()
    with products(net, [Part(lambda: net(x), lambda z: cross_entropy(z, y), 6)]) as operator:
        assert operator.size == 9
        assert close(full_matrix(operator), truth)


@pytest.mark.parametrize("width", [3, 5])
def test_weights_that_share_storage_turned_are_refused(width: int) -> None:
    net = nn.Sequential(nn.Linear(3, width, bias=False), nn.Tanh(), nn.Linear(width, 3, bias=False))
    net[2].weight = nn.Parameter(net[0].weight.data.t())
    with pytest.raises(NotApplicable, match=r"0\.weight and 2\.weight share storage"), products(net, []):
        pass


def test_a_glob_gives_the_block_of_its_layers() -> None:
    net, (inputs, labels) = smooth(width=4), columns(20)
    truth = whole(net, lambda f: cross_entropy(f(inputs.double()), labels))
    for layers, kept in ((("2",), slice(64, None)), (("0.weight",), slice(0, 60)), (("0", "2.*"), slice(None))):
        with products(net, parts(net, inputs, labels, []), layers=layers) as operator:
            assert close(full_matrix(operator), truth[kept, kept])
    with pytest.raises(NotApplicable, match=r"no parameter matches head\*"), products(net, [], layers=("head*",)):
        pass


def test_the_gauss_newton_matrix() -> None:
    net, (inputs, labels) = smooth(width=4), columns(12)
    with products(net, parts(net, inputs, labels, [5]), matrix="gauss_newton") as operator:
        found = full_matrix(operator)
    jacobian = torch.func.jacrev(lambda given: torch.func.functional_call(net, given, (inputs,)))(
        {name: p.detach() for name, p in net.named_parameters()}
    )
    by_output = torch.cat([each.flatten(2) for each in jacobian.values()], dim=2)
    p = net(inputs).softmax(dim=1).detach()
    bend = torch.diag_embed(p) - p[:, :, None] * p[:, None]
    truth = torch.einsum("nci,ncd,ndj->ij", by_output, bend, by_output) / 12
    assert close(found, truth.numpy())
    assert np.linalg.eigvalsh((found + found.T) / 2).min() > -1e-6


def test_squared_error_of_a_linear_model_is_exact() -> None:
    x, y = torch.randn(10, 3), torch.randn(10)
    net = nn.Linear(3, 1, bias=False)
    truth = 2 * (x.double().T @ x.double()).numpy() / 10
    for matrix in ("hessian", "gauss_newton"):
        with products(net, [of_rows(net, x, y)], matrix=matrix) as operator:  # type: ignore[arg-type]
            assert close(full_matrix(operator), truth)
    with pytest.raises(NotApplicable, match="2 outputs"), products(net, [of_rows(nn.Linear(3, 2), x, y)]):
        pass


def test_a_loss_that_is_linear_in_the_weights_has_no_curvature() -> None:
    x, net = torch.randn(4, 3), nn.Linear(3, 1)
    for matrix in ("hessian", "gauss_newton"):
        part = Part(lambda: net(x), lambda z: z.mean(), 4)
        with products(net, [part], matrix=matrix) as operator:  # type: ignore[arg-type]
            assert not operator(torch.ones(4)).any()


def test_parameters_that_nothing_uses_get_zeros() -> None:
    net, (inputs, labels) = nn.ModuleList([smooth(width=2), nn.Linear(3, 3)]), columns(8)
    with products(net, parts(net[0], inputs, labels, [])) as operator:
        assert not operator(torch.ones(operator.size))[-12:].any()


@pytest.mark.parametrize("matrix", ["hessian", "gauss_newton"])
def test_weights_that_none_of_the_forward_uses_are_refused(matrix: Matrix) -> None:
    net, (inputs, labels) = nn.ModuleList([smooth(width=2), nn.Linear(3, 3)]), columns(8)
    with (
        pytest.raises(NotApplicable, match="does not depend on the chosen weights"),
        products(net, parts(net[0], inputs, labels, []), layers=("1",), matrix=matrix),
    ):
        pass


@pytest.mark.parametrize("normalized", [nn.utils.parametrizations.weight_norm, nn.utils.weight_norm])
@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
def test_weight_normalization_bends_as_differences_of_gradients_say(normalized: Any) -> None:
    torch.manual_seed(0)
    net, (inputs, labels) = nn.Sequential(normalized(nn.Linear(15, 3)), nn.Tanh(), nn.Linear(3, 4)), columns(20)
    with products(net, parts(net, inputs, labels, [])) as operator:
        found = full_matrix(operator)
    own, exact = list(net.double().parameters()), []

    def slope() -> Any:
        return torch.cat([g.flatten() for g in torch.autograd.grad(cross_entropy(net(inputs.double()), labels), own)])

    for parameter in own:
        for place in parameter.data.view(-1).split(1):
            sides = [(place.add_(by), slope())[1] for by in (1e-5, -2e-5)]
            place.add_(1e-5)
            exact.append(((sides[0] - sides[1]) / 2e-5).numpy())
    assert close(found, np.stack(exact), 1e-4)


def test_attention_kernels_are_replaced_by_one_that_bends() -> None:
    net = bert("sdpa", hidden_size=4, num_hidden_layers=1, num_attention_heads=2, intermediate_size=4)
    inputs, labels = texts(6)
    with products(net, [of_rows(lambda given: net(**given).logits, inputs, labels)], layers=("*attention*",)) as bent:
        found = full_matrix(bent)
    eager = bert("eager", hidden_size=4, num_hidden_layers=1, num_attention_heads=2, intermediate_size=4)
    eager.load_state_dict(net.state_dict())
    kept = [n for n, p in eager.named_parameters() for _ in range(p.numel())]
    truth = whole(eager, lambda f: cross_entropy(f(**inputs).logits, labels))
    chosen = [at for at, name in enumerate(kept) if "attention" in name]
    assert close(found, truth[np.ix_(chosen, chosen)], 1e-4)


def test_numbers_that_are_not_finite_are_refused() -> None:
    net, (inputs, labels) = smooth(width=2), columns(8)
    with torch.no_grad():
        net[0].weight[0, 0] = float("nan")
    with pytest.raises(NotApplicable, match="not finite"), products(net, parts(net, inputs, labels, [])):
        pass
    net = smooth(width=2)
    with pytest.raises(NotApplicable, match="not finite"), products(net, parts(net, inputs, labels, [])) as operator:
        operator(torch.full((operator.size,), float("inf")))


def test_mean_squares_of_floats() -> None:
    assert of_rows(lambda x: x, torch.ones(2, 1), torch.zeros(2)).loss(torch.ones(2, 1)) == mse_loss(
        torch.ones(2), torch.zeros(2)
    )
