"""Peak memory and time of reading a series of 20 checkpoints of 100 MB each through the audit's own artifact.

PYTHONPATH=. python benchmarks/checkpoint_memory.py [--files 20] [--megabytes 100]

Each form of the series is made in a temporary folder and read in a process of its own. "peak" is ru_maxrss, the largest
amount of memory that the process ever held, mapped pages of library files included; "private" the largest amount that
belonged to the process alone (RssAnon, looked at every 10 ms).
"""

import argparse
import subprocess
import sys
import tempfile
from multiprocessing import Process
from pathlib import Path

READ = """
import re, resource, sys, threading, time
from pathlib import Path
from auditor.artifacts.buffers import Buffers
from auditor.artifacts.recorded import HistoryTrajectory, Opened
from auditor.subject import ModelRef, Runtime
from auditor.sources.models.histories import with_history
from auditor.spec.model import ModelEntry

root, pattern = Path(sys.argv[1]), sys.argv[2]
entry = ModelEntry(name="m", source="factory", checkpoints=pattern)
bare = ModelRef(digest="", name="m", source="factory", entry={}, architecture="m", modality="tabular")
start = time.time()
ref = with_history(bare, entry, root)
described = time.time()
import torch
torch.set_num_threads(1)
idle = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
private = 0
def watch():
    global private
    while True:
        private = max(private, int(re.search(r"RssAnon:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]))
        time.sleep(0.01)
threading.Thread(target=watch, daemon=True).start()
need = HistoryTrajectory(ref, Runtime())
found = need.build(history=Opened(ref).load(root), buffers=Buffers({})).changes[0]  # there is no module here
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert len(found.steps) == len(ref.history.steps) and found.change.min() > 0
print(f"{peak / 1024:.0f} {idle / 1024:.0f} {private / 1024:.0f} {described - start:.1f} {time.time() - described:.1f}")
"""


def tensors(megabytes: int, step: int) -> dict[str, object]:
    """An embedding of three fifths of the size, and 24 matrices and vectors; they move a little at each step."""
    import torch

    torch.manual_seed(0)
    numbers = megabytes * 1_000_000 // 4
    rows, width = int(numbers * 0.6) // 512, 512
    side = int((numbers * 0.4 / 24) ** 0.5)
    made = {"embed.weight": torch.randn(rows, width)}
    made |= {f"layers.{place}.weight": torch.randn(side, side) for place in range(24)}
    made |= {f"layers.{place}.bias": torch.randn(side) for place in range(24)}
    return {name: value.mul_(1 + step * 1e-5) for name, value in made.items()}


def write(folder: Path, form: str, files: int, megabytes: int) -> None:
    """The series in one of its forms."""
    import torch
    from safetensors.torch import save_file

    for step in range(1, files + 1):
        made = tensors(megabytes, step)
        if form == "safetensors":
            save_file(made, folder / f"step-{step:04d}.safetensors")
        else:
            torch.save(made, folder / f"step-{step:04d}.pt")


def main() -> None:
    """Both forms, one line each. This process stays small: a child's ru_maxrss begins with its parent's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=20)
    parser.add_argument("--megabytes", type=int, default=100)
    given = parser.parse_args()
    print(
        "| form | peak MB | of it before reading | private MB | describing, s | reading, s |\n|---|---|---|---|---|---|"
    )
    for form in ("safetensors", "pt"):
        with tempfile.TemporaryDirectory() as folder:
            making = Process(target=write, args=(Path(folder), form, given.files, given.megabytes))
            making.start()
            making.join()
            command = [sys.executable, "-c", READ, folder, f"step-*.{form}"]
            found = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
            print(f"| {given.files} x {given.megabytes} MB .{form} | {' | '.join(found)} |", flush=True)


if __name__ == "__main__":
    main()
