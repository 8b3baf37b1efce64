"""Streaming memory: whether a sweep's peak memory grows with the examples, each number of them in a fresh process."""

import argparse
import resource
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

COUNTS = (256, 1024, 4096)
BATCH, SIDE = 32, 64


@dataclass(frozen=True)
class Pictures:
    """Batches of random pictures, made when they are asked for: nothing of the data itself stays in memory."""

    rows: int

    def __iter__(self) -> Iterator[Any]:
        import torch

        from auditor.sources.data.batch import Batch

        for start in range(0, self.rows, BATCH):
            draw = torch.Generator().manual_seed(start)
            inputs = torch.randn(BATCH, 3, SIDE, SIDE, generator=draw)
            names = tuple(f"picture {start + row}" for row in range(BATCH))
            yield Batch(start, inputs, torch.zeros(BATCH, dtype=torch.long), names, ("",) * BATCH)

    def remarks(self, rows: int) -> tuple[str, ...]:
        """Nothing to say."""
        return ()

    def shown(self, places: Any) -> list[Any]:
        """Grey squares."""
        import numpy as np

        return [np.full((SIDE, SIDE, 3), 128, dtype=np.uint8) for _ in places]


def peak(rows: int) -> float:
    """Peak resident memory in MiB of this process after feature maps of resnet18 over `rows` pictures."""
    import torch
    from torchvision.models import resnet18

    from auditor.artifacts.units import Units, units_of
    from auditor.execute.sweep import sweep
    from auditor.sources.models.loaded import LoadedModel
    from auditor.subject import DataRef, ModelRef, Subject

    torch.set_num_threads(1)
    torch.manual_seed(0)
    ref = ModelRef(digest="m", name="net", source="factory", entry={}, architecture="resnet18", modality="image")
    data = DataRef(digest="d", name="noise", source="tensors", entry={}, modality="image", rows=rows, used=rows)
    need = units_of(Subject(model=ref, data=data), "auto", None, 256)
    found = sweep([need], LoadedModel(ref, resnet18().eval()), Pictures(rows))[need.key]
    assert isinstance(found, Units) and found.examples_a + found.examples_b == rows, found
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Peak memory by number of examples, and its growth."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, help="measure this process alone")
    rows = parser.parse_args().rows
    if rows is not None:
        print(peak(rows))
        return
    command = [sys.executable, __file__, "--rows"]
    found = {n: float(subprocess.check_output([*command, str(n)], text=True)) for n in COUNTS}
    for n, size in found.items():
        print(f"| {n:,} | {size:.0f} MiB | {size / found[COUNTS[0]] - 1:+.1%} |")


if __name__ == "__main__":
    main()
