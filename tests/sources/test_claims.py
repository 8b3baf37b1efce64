"""Files that claim more than they hold, or hold what cannot be read, end in one plain message."""

import io
import resource
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from auditor.errors import AuditorError, SourceError
from auditor.sources import data
from auditor.sources.models.header import read_header
from auditor.sources.models.pickled import read_pickled
from auditor.spec.model import DataEntry


def described(root: Path, source: Any, **options: Any) -> Any:
    return data.describe(DataEntry(name="d", source=source, options=options), root)


def test_an_array_that_claims_terabytes(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        for name, shape in (("inputs", (2, 1 << 20, 1 << 21)), ("labels", (2,))):
            head = io.BytesIO()
            np.lib.format.write_array_header_1_0(head, {"descr": "|u1", "fortran_order": False, "shape": shape})
            archive.writestr(f"{name}.npy", head.getvalue())
    with pytest.raises(SourceError, match=r"not a sound \.npz"):
        described(tmp_path, "tensors", path="a.npz")


def test_numbers_that_numpy_has_not(tmp_path: Path) -> None:
    inputs = torch.zeros(2, 3, 8, 8, dtype=torch.bfloat16)
    save_file({"inputs": inputs, "labels": torch.tensor([0, 1])}, tmp_path / "a.safetensors")
    with pytest.raises(SourceError, match="inputs is BF16, which numpy has not"):
        described(tmp_path, "tensors", path="a.safetensors")


def test_a_tensor_with_an_infinite_side(tmp_path: Path) -> None:
    header = b'{"w": {"dtype": "F32", "shape": [1e999], "data_offsets": [0, 4]}}'
    path = tmp_path / "w.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"0000")
    with pytest.raises(SourceError, match="not a sound safetensors"):
        read_header(path, ("w",))


def test_a_pickle_that_names_a_far_place_in_its_memo_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x02]r" + struct.pack("<I", 0x10000000) + b".")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(AuditorError):
        read_pickled(path, ("w",))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


def test_a_row_without_its_group(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("text,label,doc\na,x,1\nb,y,\n")
    ref = described(tmp_path, "csv", path="t.csv", text="text", label="label", group="doc")
    (lost,) = data.load(ref, tmp_path).left_out
    assert (ref.rows, ref.corrupt) == (1, 1)
    assert (lost.name, lost.reason) == ("t.csv:3", "the group (column 'doc') is empty")
