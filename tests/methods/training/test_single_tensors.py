"""Single tensors: frozen by mistake or on purpose, adapters, coarse types, explosions."""

from dataclasses import replace

import numpy as np
from histories import changes

from auditor.methods.training.local import chosen, exploded, local, remarks, still
from auditor.methods.training.record import Changes


def history(moved: object, norm: object = None, names: tuple[str, ...] = (), **given: object) -> Changes:
    columns = np.array(moved, dtype=float)
    found = changes(columns, np.full(columns.shape, 10.0) if norm is None else norm, dims=given.pop("dims", None))
    return replace(found, tensors=names or found.tensors, **given)


def test_frozen_is_exactly_no_change_over_the_whole_history() -> None:
    found = still(history([[1, 0, 0, 1e-9], [1, 0, 1e-12, 0]]))
    assert found.frozen == ("t1",)
    assert found.share == 1 / 4


def test_what_is_declared_is_neither_counted_nor_judged() -> None:
    moved = [[1, 0, 0, 1]] * 3
    names = ("a.weight", "encoder.0.weight", "encoder.1.weight", "b.weight")
    for globs in (("encoder.*",), ("encoder.0", "encoder.1.weight")):
        found = still(history(moved, names=names), globs)
        assert (found.frozen, found.declared, found.share) == ((), names[1:3], 0.0)
    half = still(history(moved, names=names), ("encoder.0",))
    assert (half.frozen, half.share) == (("encoder.1.weight",), 1 / 3)


def test_vectors_are_not_judged_for_a_key_bias_has_no_gradient_in_a_healthy_transformer() -> None:
    found = still(history([[1, 0]] * 3, dims=[2, 1], names=("key.weight", "key.bias")))
    assert (found.frozen, found.share) == ((), 0.0)
    assert still(history([[0]] * 3, dims=[1])).share is None


def test_requires_grad_alone_declares_nothing() -> None:
    assert still(history([[1, 0]] * 3, trained=np.array([True, False]))).frozen == ("t1",)


def test_the_base_beside_moving_adapters_is_frozen_by_the_method() -> None:
    names = ("base.q.weight", "base.q.lora_A.default.weight", "base.q.lora_B.default.weight")
    moving = still(history([[0, 1, 1]] * 3, names=names))
    assert (moving.frozen, moving.adapted, moving.share) == ((), names[:1], 0.0)
    assert (
        "1 matrices beside moving adapters" in remarks(local(history([[0, 1, 1]] * 3, names=names), (), (), ()), ())[0]
    )
    dead = still(history([[0, 0, 1]] * 3, names=names))
    assert dead.frozen == (names[1],)  # an adapter that does not move is a defect, whatever the method
    none = still(history([[0, 0, 0]] * 3, names=names))
    assert none.frozen == names


def test_a_coarse_type_without_a_clear_change_is_not_decidable() -> None:
    found = still(history([[0, 0, 0.5]] * 3, resolution=np.array([[0.0, 0.1, 0.1]] * 3)))
    assert (found.frozen, found.unknown, found.share) == (("t0",), ("t1",), 1 / 2)


def test_a_history_without_an_interval_says_nothing() -> None:
    empty = history(np.zeros((0, 3)))
    assert still(empty).share is None
    assert exploded(empty) == ()
    assert local(empty, (), (), ()).jumps is None


def test_exploded_is_beyond_a_hundred_times_the_own_start_and_that_of_the_median_matrix() -> None:
    norm = np.array([[10.0, 10.0, 0.0, 1e-3, 10.0]] * 3)
    norm[1:, 1] = 1_001  # beyond
    norm[1:, 2] = 10.0  # began at zero, as LoRA's B does
    norm[1:, 3] = 500  # began near zero: 50 times the median matrix
    norm[1:, 4] = 999
    assert exploded(history(np.zeros((3, 5)), norm)) == ("t1",)


def test_an_explosion_in_the_last_interval_is_seen_by_its_change() -> None:
    moved = np.ones((3, 2))
    moved[-1, 1] = 5_000
    assert exploded(history(moved)) == ("t1",)


def test_what_is_not_finite_has_exploded() -> None:
    for bad in (np.nan, np.inf):
        moved = np.ones((3, 3))
        moved[-1, 2] = bad
        assert exploded(history(moved)) == ("t2",)
        assert still(history(moved)).frozen == ()


def test_the_interval_of_a_resumed_run_is_explained() -> None:
    draw = np.random.default_rng(0)
    moved = np.exp(draw.normal(0, 0.05, (10, 4)))
    moved[4, 1] = 9
    found = local(history(moved), (), (), ())
    assert [row[:3] for row in found.jumped()] == [("t1", 40, 50)]
    again = local(history(moved), (), (), (40,))
    assert again.jumps is not None and not again.jumps.found.any()
    assert again.not_judged() == [(40, 50)]
    assert "1 of 10 intervals" in remarks(again, ())[0]


def test_intervals_of_unusual_length_and_what_follows_a_broken_number_are_left_out() -> None:
    moved = np.ones((10, 4))
    moved[9] = np.nan
    part = history(moved, steps=np.array([0, 10, 20, 30, 40, 41, 50, 60, 70, 80, 90]))
    found = local(part, (), (), ())
    assert found.ends.tolist()[3:6] == [[30, 40], [41, 50], [50, 60]]
    assert found.not_judged() == [(40, 41), (80, 90)]


def test_layers_choose_by_glob_and_a_glob_without_a_tensor_is_said() -> None:
    part = history(np.ones((8, 4)), names=("stem.weight", "body.0.weight", "body.1.weight", "head.weight"))
    found = local(part, ("body.*", "tail"), (), ())
    assert found.changes.tensors == ("body.0.weight", "body.1.weight")
    assert remarks(found, ("body.*", "tail")) == ("1 globs of `layers` match no tensor of the history: tail.",)
    assert chosen(["a.b.weight"], ["a"]) == [True]
