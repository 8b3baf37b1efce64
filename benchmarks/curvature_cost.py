"""Cost of the five largest eigenpairs at a verified residual of 1e-3: the engine, PyHessian, and curvlinops with eigsh.

PYTHONPATH=. python benchmarks/curvature_cost.py [--models resnet18 vit cnn] [--batches 3]
    [--tools pyhessian curvlinops]

One process, one thread, CPU seconds, everything counted from the loss on (graphs, products, verification). Each other
tool runs with the loosest tolerance of a list whose pairs all have |Hv - lambda v| <= 1e-3 |lambda|, by products in
float64. Needs the packages pyhessian and curvlinops-for-pytorch.
"""

import argparse
import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from auditor.methods.curvature.lanczos import Wanted, lanczos
from auditor.methods.curvature.products import Part, products

TOP, WITHIN, ROWS = 5, 1e-3, 32
ENOUGH = 10
"""PyHessian is stopped at this many times the engine's products: where its pairs do not hold by then, its ratios are
lower bounds, and no tighter tolerance is tried."""

LOOSE = {"pyhessian": (1e-6, 1e-7, 1e-8, 1e-9), "curvlinops": (1e-3, 1e-4, 1e-5)}


def resnet18() -> nn.Module:
    """11.2 million parameters, seeded random weights, ten classes; pictures of 3 x 32 x 32."""
    from torchvision.models import resnet18 as made

    return made(num_classes=10)


def vit() -> nn.Module:
    """A vision transformer of 0.8 million parameters."""
    from transformers import ViTConfig, ViTForImageClassification

    sizes = {"hidden_size": 128, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 512}
    config = ViTConfig(image_size=32, patch_size=4, num_channels=3, num_labels=10, **sizes)

    class Logits(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = ViTForImageClassification._from_config(config, attn_implementation="eager")

        def forward(self, inputs: Tensor) -> Tensor:
            return self.inner(inputs).logits

    return Logits()


def cnn() -> nn.Module:
    """A plain convolutional network of 0.5 million parameters."""
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4096, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip


MODELS = {"resnet18": resnet18, "vit": vit, "cnn": cnn}


def pictures(seed: int, rows: int = ROWS) -> tuple[Tensor, Tensor]:
    """Ten seeded patterns under noise: something to learn."""
    shapes = torch.randn(10, 3, 32, 32, generator=torch.Generator().manual_seed(99))
    draw = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 10, (rows,), generator=draw)
    return 0.3 * shapes[labels] + torch.randn(rows, 3, 32, 32, generator=draw), labels


def prepared(name: str) -> nn.Module:
    """After 20 steps of SGD, in eval mode."""
    torch.manual_seed(0)
    module = MODELS[name]()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.02, momentum=0.9)
    for step in range(20):
        inputs, labels = pictures(1000 + step)
        optimizer.zero_grad()
        cross_entropy(module(inputs), labels).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimizer.step()
    return module.eval()


def part_of(module: nn.Module, inputs: Tensor, labels: Tensor) -> list[Part]:
    """One batch."""
    return [Part(lambda: module(inputs), lambda found: cross_entropy(found, labels), len(labels))]


@dataclass(frozen=True)
class Cost:
    """Products and CPU seconds; worst: the largest verified relative residual; values: of the eigenpairs."""

    products: int
    seconds: float
    worst: float
    values: np.ndarray[Any, Any]


Pairs = tuple[np.ndarray[Any, Any], list[Tensor], int]


def engine(module: nn.Module, inputs: Tensor, labels: Tensor) -> Pairs:
    """The engine, its verification products counted."""
    with products(module, part_of(module, inputs, labels)) as operator:
        found = lanczos(operator, Wanted(TOP, tolerance=WITHIN), torch.Generator().manual_seed(0))
        return found.values, list(found.reported), round(operator.count)


def pyhessian(module: nn.Module, inputs: Tensor, labels: Tensor, tolerance: float, most: int) -> Pairs:
    """Power iteration with deflation."""
    theirs: Any = import_module("pyhessian.hessian")  # whose name the class of the same name hides
    plain, asked = theirs.hessian_vector_product, [0]

    def counting(*args: Any) -> Any:
        asked[0] += 1
        return plain(*args)

    theirs.hessian_vector_product = counting
    try:
        found = theirs.hessian(module, nn.CrossEntropyLoss(), data=(inputs, labels), cuda=False)
        values, vectors = found.eigenvalues(maxIter=-(-most // TOP), tol=tolerance, top_n=TOP)
    finally:
        theirs.hessian_vector_product = plain
        module.zero_grad()
    return np.array(values), [torch.cat([each.flatten() for each in one]) for one in vectors], asked[0]


def curvlinops(module: nn.Module, inputs: Tensor, labels: Tensor, tolerance: float, most: int) -> Pairs:
    """ARPACK on a linear operator."""
    from curvlinops import HessianLinearOperator
    from scipy.sparse.linalg import LinearOperator, eigsh

    weights = list(module.parameters())
    operator = HessianLinearOperator(
        module, nn.CrossEntropyLoss(), weights, [(inputs, labels)], check_deterministic=False
    )
    inner, asked = operator.to_scipy(), [0]

    def counting(vector: np.ndarray[Any, Any]) -> Any:
        asked[0] += 1
        return inner @ vector.astype(np.float32)

    start = torch.randn(inner.shape[0], generator=torch.Generator().manual_seed(0)).numpy()
    outer = LinearOperator(inner.shape, matvec=counting, dtype=np.float32)
    values, vectors = eigsh(outer, k=TOP, which="LA", tol=tolerance, v0=start, maxiter=most)
    return values[::-1], [torch.tensor(vectors[:, at].copy()) for at in range(TOP)[::-1]], asked[0]


def timed(run: Callable[[], Pairs], module: nn.Module, inputs: Tensor, labels: Tensor) -> Cost:
    """Run it, and verify its pairs by products in float64."""
    before = time.process_time()
    values, vectors, asked = run()
    seconds = time.process_time() - before
    exact = copy.deepcopy(module).double()
    errors = []
    with products(exact, part_of(exact, inputs.double(), labels)) as operator:
        for vector in vectors:
            unit = vector.double() / vector.double().norm()
            bent = operator(unit)
            value = unit @ bent
            errors.append(float((bent - value * unit).norm() / value.abs()))
    return Cost(asked, seconds, max(errors), values)


def loosest(name: str, module: nn.Module, inputs: Tensor, labels: Tensor, most: int) -> Cost:
    """The first tolerance whose pairs hold, or the last that was tried."""
    for tolerance in LOOSE[name]:
        found = timed(partial(OTHERS[name], module, inputs, labels, tolerance, most), module, inputs, labels)
        print(
            f"    {name} at {tolerance:g}: {found.products} products, {found.seconds:.1f} s, {found.worst:.1e}",
            flush=True,
        )
        if found.worst <= WITHIN or found.products >= 0.8 * most:
            break
    return found


def peak(reset: bool = False) -> int:
    """Bytes of the largest resident set since the last reset."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])


def ratio(module: nn.Module, inputs: Tensor, labels: Tensor, repeats: int = 7) -> float:
    """CPU seconds of one product over those of a forward and backward, medians."""
    part = part_of(module, inputs, labels)[0]
    plain, bent = [], []
    with products(module, [part]) as operator:
        vector = torch.randn(operator.size)
        for _ in range(repeats):
            start = time.process_time()
            torch.autograd.grad(part.loss(part.outputs()), list(module.parameters()))
            middle = time.process_time()
            operator(vector)
            plain.append(middle - start)
            bent.append(time.process_time() - middle)
    return median(bent) / median(plain)


def memory(module: nn.Module, inputs: Tensor, labels: Tensor) -> tuple[float, float]:
    """Peak beyond the start, and what the retained graph and k + 20 vectors would take: MiB."""
    size = 4 * sum(each.numel() for each in module.parameters())
    start = peak(reset=True)
    with products(module, part_of(module, inputs, labels)) as operator:
        lanczos(operator, Wanted(TOP, tolerance=WITHIN), torch.Generator().manual_seed(0))
        allowed = operator.graph_bytes + (TOP + 20) * size
    return (peak() - start) / 2**20, allowed / 2**20


def rows(name: str, batches: int, tools: list[str]) -> Iterator[dict[str, Cost]]:
    """Each batch, by all three in turn."""
    module = prepared(name)
    part = pictures(1)
    used, allowed = memory(module, *part)
    print(f"{name}: product / (forward + backward) {ratio(module, *part):.2f}; peak {used:.0f} of {allowed:.0f} MiB")
    for seed in range(1, batches + 1):
        inputs, labels = pictures(seed)
        mine = timed(partial(engine, module, inputs, labels), module, inputs, labels)
        print(f"  batch {seed}: engine {mine.products} products, {mine.seconds:.1f} s, {mine.worst:.1e}", flush=True)
        most = ENOUGH * mine.products
        others = {each: loosest(each, module, inputs, labels, most) for each in tools}
        for each, cost in others.items():
            off = np.abs(mine.values / cost.values - 1).max()
            times = f"{cost.products / mine.products:.1f} and {cost.seconds / mine.seconds:.1f}"
            print(f"    eigenvalues within {off:.1e} of {each}; times the products, seconds: {times}", flush=True)
        yield {"engine": mine, **others}


OTHERS: dict[str, Callable[..., Pairs]] = {"pyhessian": pyhessian, "curvlinops": curvlinops}


def main() -> None:
    """Print each run, and the medians of products and seconds with the worst residual as rows of a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--batches", type=int, default=3)
    parser.add_argument("--tools", nargs="+", default=list(OTHERS), choices=list(OTHERS))
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in options.models:
        found = list(rows(name, options.batches, options.tools))
        cells = [name]
        for tool in ("engine", *options.tools):
            many = [each[tool] for each in found]
            cells.append(f"{median(c.products for c in many):g} / {median(c.seconds for c in many):.2f} s / "
                         f"{max(c.worst for c in many):.1e}")  # fmt: skip
        print("|", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
