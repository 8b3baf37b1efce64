"""Heads: the tensors that a declared new head explains."""

from collections.abc import Mapping

from auditor.methods.lineage.names import matched

Shapes = Mapping[str, tuple[int, ...]]


def declared_head(
    child: Shapes, parent: Shapes, outputs: int, before: int, *, renewed: bool, new_task: bool
) -> frozenset[str]:
    """Names in the child of the tensors of its head, where it is declared to be new; empty where it is not.

    Declared by other numbers of outputs (`outputs`, of the parent `before`): the tensors whose first side goes from
    `before` to `outputs`, all else equal. Declared by a recipe (`renewed`): the last layer of `outputs` outputs in the
    module's order. Declared by another task: the layers of `outputs` outputs that the parent does not have at all.
    """
    pairs = matched(list(child), list(parent)).pairs
    found: set[str] = set()
    if outputs != before:
        found |= {name for name, other in pairs.items() if _resized(child[name], parent[other], outputs, before)}
    last = [name for name, shape in child.items() if len(shape) >= 2 and shape[0] == outputs]
    if renewed and last:
        found |= _layer(last[-1], child)
    if new_task:
        found |= {each for name in last if name not in pairs for each in _layer(name, child)}
    return frozenset(found)


def _resized(now: tuple[int, ...], then: tuple[int, ...], outputs: int, before: int) -> bool:
    return bool(now) and now[:1] == (outputs,) and then[:1] == (before,) and now[1:] == then[1:]


def _layer(name: str, child: Shapes) -> set[str]:
    """The tensors of the layer that holds `name`."""
    layer = name.rpartition(".")[0]
    return {each for each in child if each.rpartition(".")[0] == layer}
