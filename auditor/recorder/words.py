"""What people call the numbers that they watch, in the few words that an audit knows."""

import re

LOSS, LR, VALIDATION, GRADIENT = "loss", "lr", "validation_loss", "gradient_norm"

HELD_OUT = frozenset({"val", "valid", "validation", "eval", "evaluation", "dev"})
"""Words that say that a number was taken on held-out data."""

AROUND = frozenset({"train", "training", "step", "batch", "epoch", "iter", "iteration", "total", "global", "mean"})
"""Words beside the name of a number that leave it what it is."""

OPTIMIZERS = frozenset({"sgd", "adam", "adamw", "rmsprop", "adafactor", "lion", "optimizer", "group"})
"""Words beside the name of a learning rate."""


def series_of(tag: str) -> str:
    """The series that a number of this name belongs to.

    | name, in any case, with / _ - or . between its words | series |
    |---|---|
    | loss, train_loss, Loss/train, epoch_loss, training.loss_step | `loss` |
    | val_loss, validation/loss, eval_loss, Loss/valid | `validation_loss` |
    | lr, learning_rate, train/learning_rate, lr-AdamW/pg1 | `lr` |
    | grad_norm, gradient_norm, train/grad_norm | `gradient_norm` |
    | acc, accuracy, train_accuracy, top1 | `metric/accuracy` |
    | val_acc, eval/accuracy, validation_accuracy | `metric/validation_accuracy` |
    | any other | `metric/` and the name itself |

    >>> [series_of(tag) for tag in ("train/loss", "eval_loss", "lr-AdamW/pg1", "val_acc", "loss/dice")]
    ['loss', 'validation_loss', 'lr', 'metric/validation_accuracy', 'metric/loss/dice']
    """
    words = {word for word in re.split(r"[^a-z0-9]+", tag.lower()) if word}
    held_out, rest = bool(words & HELD_OUT), frozenset(words - HELD_OUT - AROUND)
    if rest == {"loss"}:
        return VALIDATION if held_out else LOSS
    if rest in ({"acc"}, {"accuracy"}, {"top1"}):
        return f"metric/{'validation_' * held_out}accuracy"
    plain = {word for word in rest - OPTIMIZERS if not re.fullmatch(r"(pg|group)?\d+", word)}
    if not held_out and plain in ({"lr"}, {"learning", "rate"}):
        return LR
    if not held_out and plain in ({"grad", "norm"}, {"gradient", "norm"}):
        return GRADIENT
    return f"metric/{tag}"
