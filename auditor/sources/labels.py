"""Labels of the data and outputs of the head, matched by name; the table that results is shown in the report."""

from auditor.errors import SourceError
from auditor.sources.data.dataset import options_of
from auditor.sources.digest import seal_data
from auditor.spec.model import DataEntry
from auditor.subject import DataRef, ModelRef

SHOWN, LONGEST = 12, 40


def match(model: ModelRef, data: DataRef) -> DataRef:
    """The data set with `labels` (label as found -> index in the head), `classes` in head order, and counts by class.

    In this order: the spec's `labels:` map to class names; names equal to the model's (else equal but for case);
    integers as indices; and, where the model names no classes, the data's own order (sorted for folders and files,
    whole numbers of a table by size).
    A language model or an encoder has no classes: the data's own are then kept, in their own order. Data without
    labels stay so. Raises SourceError that lists both sides when a label has no output, or a regression's label is no
    number.
    """
    if data.modality != model.modality:
        raise SourceError(
            f"data.{data.name} holds {data.modality} data, but model {model.name!r} takes {model.modality}",
            hint="name other data for this model",
            where=("data", data.name),
        )
    if not data.labelled:
        return seal_data(data)
    if model.task == "regression":
        return _numbers(model, data)
    if model.task != "classification":
        names = data.classes or tuple(sorted(data.counts))
        table = {label: place for place, label in enumerate(names)}
        return seal_data(data.model_copy(update={"labels": table, "classes": names}))
    found = tuple(data.counts)
    declared = options_of(DataEntry.model_validate(data.entry)).labels or {}
    matched = _declared(model, data, declared) or _by_name(model, found) or _by_index(model, found)
    matched = matched or _by_order(model, data)
    if matched is None:
        raise _mismatch(model, data, found)
    classes = model.classes or _named(matched, model.outputs)
    return seal_data(data.model_copy(update={"labels": matched, "classes": classes}))


def _declared(model: ModelRef, data: DataRef, declared: dict[str, str]) -> dict[str, int] | None:
    if not declared:
        return None
    missing = sorted(set(data.counts) - set(declared))
    index = {name: place for place, name in enumerate(model.classes)}
    index = index or {str(place): place for place in range(model.outputs)}
    unknown = sorted(set(declared.values()) - set(index))
    if missing or unknown:
        raise SourceError(
            f"data.{data.name}.labels: labels of the data without an entry: {_list(missing)}; "
            f"names that the model has not: {_list(unknown)}; the model has: {_list(tuple(index))}",
            hint="map each label of the data to one class name of the model",
            where=("data", data.name, "labels"),
        )
    return {label: index[name] for label, name in sorted(declared.items())}


def _by_name(model: ModelRef, found: tuple[str, ...]) -> dict[str, int] | None:
    exact = {name: place for place, name in enumerate(model.classes) if model.classes.count(name) == 1}
    if set(found) <= set(exact):
        return {label: exact[label] for label in found}
    folded = {name.casefold(): place for name, place in exact.items()}
    if len(folded) == len(exact) and {label.casefold() for label in found} <= set(folded):
        return {label: folded[label.casefold()] for label in found}
    return None


def _by_index(model: ModelRef, found: tuple[str, ...]) -> dict[str, int] | None:
    if not all(label.isdecimal() and label == str(int(label)) for label in found):
        return None
    table = {label: int(label) for label in sorted(found, key=int)}
    return table if max(table.values()) < model.outputs else None


def _by_order(model: ModelRef, data: DataRef) -> dict[str, int] | None:
    numbered = all(label.isdecimal() for label in data.counts)
    names = data.classes or tuple(sorted(data.counts, key=int if numbered else None))
    if model.classes or len(names) != model.outputs:
        return None
    return {label: place for place, label in enumerate(names)}


def _named(table: dict[str, int], outputs: int) -> tuple[str, ...]:
    names = {place: label for label, place in table.items()}
    return tuple(names.get(place, str(place)) for place in range(outputs))


def _numbers(model: ModelRef, data: DataRef) -> DataRef:
    if model.outputs > 1:
        raise SourceError(
            f"data.{data.name} has one label a row, and the regression {model.name!r} has {model.outputs} outputs",
            hint="leave `label` out: what needs no labels still runs",
            where=("data", data.name, "label"),
        )
    bad = [label for label in data.counts if not _is_number(label)]
    if bad:
        raise SourceError(
            f"data.{data.name}: a regression needs numbers as labels, found {_list(tuple(bad))}",
            where=("data", data.name, "label"),
        )
    return seal_data(data.model_copy(update={"task": "regression", "classes": (), "counts": {}}))


def _is_number(label: str) -> bool:
    from math import isfinite

    try:
        return isfinite(float(label))
    except ValueError:
        return False


def _mismatch(model: ModelRef, data: DataRef, found: tuple[str, ...]) -> SourceError:
    names = _list(model.classes) if model.classes else f"no names, indices 0 to {model.outputs - 1}"
    return SourceError(
        f"the labels of data.{data.name} do not fit the head of model {model.name!r} ({model.outputs} outputs)\n"
        f"    labels in the data: {_list(found)}\n    classes of the model: {names}",
        hint=f"add `labels: {{label in the data: class of the model}}` to data.{data.name}, or the names to the model",
        where=("data", data.name, "labels"),
    )


def _list(names: tuple[str, ...] | list[str]) -> str:
    cut = [name if len(name) <= LONGEST else f"{name[:LONGEST]} ..." for name in names[:SHOWN]]
    shown = ", ".join(cut) or "none"
    return shown if len(names) <= SHOWN else f"{shown} and {len(names) - SHOWN} more"
