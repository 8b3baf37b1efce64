"""Classes: how the labels of the data meet the classes of the model, before anything is written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Meeting:
    """What the spec must add so that labels and classes meet, and how sure that is.

    classes: names for the model's head, in order; labels: label in the data -> class name; why: a comment.
    """

    classes: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    why: str = ""


def meet(classes: Sequence[str], labels: Sequence[str], outputs: int) -> Meeting:
    """Match by name, else by letter case, else (ASSUMED, and said so) in sorted order.

    Labels that are integers are indices and need nothing.

    >>> meet(("Cat", "Dog"), ("cat", "dog"), 2).labels
    (('cat', 'Cat'), ('dog', 'Dog'))
    """
    found = sorted(set(labels))
    if not found or set(found) <= set(classes) or all(label.lstrip("-").isdigit() for label in found):
        return Meeting()
    if not classes:
        return _named(found, outputs)
    by_case = _by_case(classes, found)
    if by_case:
        return Meeting(labels=by_case, why="the same names, but for upper and lower case")
    if len(found) == len(classes):
        pairs = tuple(zip(found, classes, strict=True))
        return Meeting(labels=pairs, why="ASSUMED: labels in sorted order are the classes in the order of the head")
    return Meeting(why=f"labels in the data: {', '.join(found[:8])}; write `labels: {{LABEL: CLASS}}`")


def _named(found: Sequence[str], outputs: int) -> Meeting:
    if len(found) == outputs:
        why = "ASSUMED: the labels of the data in sorted order, which is what torchvision's ImageFolder uses"
        return Meeting(classes=tuple(found), why=why)
    return Meeting(why=f"the head has {outputs} classes, the data {len(found)}: write the {outputs} names in order")


def _by_case(classes: Sequence[str], found: Sequence[str]) -> tuple[tuple[str, str], ...]:
    names: Mapping[str, str] = {name.casefold(): name for name in classes}
    if len(names) != len(classes) or not {label.casefold() for label in found} <= names.keys():
        return ()
    return tuple((label, names[label.casefold()]) for label in found)
