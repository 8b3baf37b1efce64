"""What recording costs: CPU seconds of a training step with and without it, in one process, one thread, interleaved."""

import argparse
import gc
import resource
import statistics
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torchvision.models import resnet18

import auditor
from auditor.recorder.projection import signs
from auditor.recorder.reading import read
from auditor.recorder.watch import Watch

BATCH, SIDE = 32, 32


@dataclass
class Training:
    """resnet18 on noise; `after` is called behind each step and timed apart from it."""

    rounds: int
    seconds: dict[str, list[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        torch.manual_seed(0)
        self.model = resnet18(num_classes=10).train()
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-4)
        self.inputs, self.labels = torch.randn(BATCH, 3, SIDE, SIDE), torch.randint(0, 10, (BATCH,))

    def step(self) -> torch.Tensor:
        """One plain step."""
        self.optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(self.model(self.inputs), self.labels)
        loss.backward()
        self.optimizer.step()
        return loss

    def timed(self, name: str, call: Callable[[], Any]) -> Any:
        """What a call gives; its CPU seconds are kept."""
        begun = time.process_time()
        found = call()
        self.seconds.setdefault(name, []).append(time.process_time() - begun)
        return found


def naive(model: torch.nn.Module) -> Callable[[], None]:
    """The usual loop: clone all parameters, then the norm of each change."""
    kept = {name: value.detach().clone() for name, value in model.named_parameters()}

    def look() -> None:
        for name, value in model.named_parameters():
            torch.norm(value.detach() - kept[name]).item()
        kept.update({name: value.detach().clone() for name, value in model.named_parameters()})

    return look


def overhead(rounds: int, folder: Path) -> None:
    """Prints medians: a step, a recorded step that closes an interval, one that does not, and the naive loop."""
    run = Training(rounds)
    look = naive(run.model)
    with (
        auditor.record(run.model, run.optimizer, folder / "every.trace", every=1, dense=0) as every,
        auditor.record(run.model, run.optimizer, folder / "tenth.trace", every=10, dense=0) as tenth,
    ):
        for number in range(rounds + 3):
            if number == 3:
                run.seconds.clear()  # warmed up
            loss = run.timed("step", run.step)
            run.timed("every step", lambda: every.step(loss))  # noqa: B023
            name = "closing" if tenth.at % 10 == 9 else "between"
            run.timed(name, lambda: tenth.step(loss))  # noqa: B023
            run.timed("naive", look)
    middle = {name: statistics.median(times) for name, times in run.seconds.items()}
    step = middle["step"]
    shares = {
        "every 10th step": (middle["closing"] + 9 * middle["between"]) / 10,
        "every step": middle["every step"],
        "naive clone loop, every step": middle["naive"],
    }
    print(f"a step: {1e3 * step:.1f} ms of CPU (median of {rounds})")
    for name, seconds in shares.items():
        print(f"| {name} | {1e3 * seconds:.2f} ms a step | {seconds / step:.2%} |")
    trace = read(folder / "every.trace")
    size = (folder / "every.trace").stat().st_size
    print(f"{size / len(trace.steps):,.0f} bytes a record of {len(trace.tensors)} tensors")


def memory() -> None:
    """Prints what a watch of the model holds, by its tensors and by the process."""
    model = resnet18(num_classes=10)
    parameters = sum(value.numel() * 4 for value in model.parameters())
    Watch({"warm": torch.randn(600, 600)}).mark()  # what the libraries keep for themselves
    gc.collect()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tracemalloc.start()
    watch = Watch(dict(model.named_parameters()))
    watch.mark()
    numpy_bytes = tracemalloc.get_traced_memory()[1]
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    copies = sum(copy.numel() * 4 for copy in watch._before.values()) + watch._small.values.nbytes
    draws = sum(each.rows.numel() * 4 for each in watch._drawn.values())
    sketch = sum(each.nbytes for each in watch._sketch.values())
    table = signs("cpu").numel() * 4
    print(
        f"parameters {parameters / 1e6:.2f} MB; copy {copies / 1e6:.2f} MB, signs of rows {draws / 1e6:.2f}, "
        f"sketch {sketch / 1e6:.2f}, Python's peak {numpy_bytes / 1e6:.2f}, one table of signs {table / 1e6:.2f}; "
        f"the process grew by {grown / 1e6:.1f} MB at its peak, {grown / parameters:.2f} copies"
    )


def main() -> None:
    """The figures of benchmarks/RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    memory()
    with tempfile.TemporaryDirectory() as folder:
        overhead(rounds, Path(folder))


if __name__ == "__main__":
    main()
