"""The shipped weights beside the checkpoints: equal, an earlier one, edited, rounded, and nothing in common."""

from dataclasses import dataclass
from typing import Any

import torch

from auditor.artifacts.lineage import Weights
from auditor.artifacts.shipped import Shipped, ShippedOf


@dataclass
class File:
    tensors: dict[str, torch.Tensor]

    @property
    def shapes(self) -> dict[str, Any]:
        return self.tensors

    def get(self, name: str) -> torch.Tensor:
        return self.tensors[name]


@dataclass
class History:
    steps: tuple[int, ...]
    checkpoints: tuple[File, ...]


def states() -> list[dict[str, torch.Tensor]]:
    draw = torch.Generator().manual_seed(0)
    return [{name: torch.randn(3, 3, generator=draw) for name in ("a", "b")} for _ in range(3)]


def found(shipped: dict[str, torch.Tensor], kept: list[dict[str, torch.Tensor]]) -> Shipped:
    weights = Weights({name: tuple(tensor.shape) for name, tensor in shipped.items()}, lambda name: shipped[name])
    history = History(tuple(10 * place for place in range(len(kept))), tuple(File(each) for each in kept))
    return ShippedOf.build(None, weights=weights, history=history)  # type: ignore[arg-type]  # it reads no field


def test_the_last_checkpoint_needs_no_word() -> None:
    kept = states()
    assert found(kept[-1], kept) == Shipped(20, 20, 2, ())
    assert found(kept[-1], kept).remark() == ""


def test_an_earlier_checkpoint_is_named() -> None:
    kept = states()
    assert found(kept[1], kept).remark() == (
        "The shipped weights are those of step 10, not of the last checkpoint, step 20."
    )


def test_an_edited_tensor_is_named_with_the_checkpoint_that_is_nearest() -> None:
    kept = states()
    edited = {**kept[1], "b": kept[1]["b"].clone()}
    edited["b"][0, 0] += 1e-3
    assert found(edited, kept) == Shipped(10, 20, 2, ("b",))
    assert "1 of 2 tensors are not those of step 10, which is the nearest: b." in found(edited, kept).remark()


def test_weights_that_were_rounded_to_ship_are_the_same_and_a_number_that_is_none_is_not_overlooked() -> None:
    kept = states()
    assert found({name: tensor.bfloat16() for name, tensor in kept[-1].items()}, kept).differing == ()
    lost = {**kept[-1], "a": torch.full((3, 3), float("nan"))}
    assert found(lost, kept).differing == ("a",)


def test_without_a_name_in_common_nothing_is_said_to_be_equal() -> None:
    kept = states()
    nothing = found({"other": torch.zeros(2)}, kept)
    assert nothing.compared == 0 and "not measured" in nothing.remark()
