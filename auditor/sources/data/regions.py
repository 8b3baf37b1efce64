"""Regions: where in a picture the labelled object is, from boxes in a table or from masks beside the pictures."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from auditor.errors import SourceError
from auditor.sources.data.decoding import opened
from auditor.sources.digest import file_ref, tree_ref
from auditor.sources.paths import Where, below, named
from auditor.spec.options import ImageFolderOptions
from auditor.subject import FileRef

if TYPE_CHECKING:
    from PIL import Image

COLUMNS = ("file", "left", "top", "right", "bottom")
INSIDE = 128
"""A mask's pixels from this brightness on lie inside."""
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Regions:
    """files: what they were read from. draw(name, picture): white inside, black outside, of the picture's size; all
    black where nothing is known of a picture."""

    files: tuple[FileRef, ...]
    draw: Callable[[str, Image.Image], Image.Image]


def regions_of(options: ImageFolderOptions, entry: str, root: Path, names: Sequence[str]) -> Regions | None:
    """The regions that a data entry names, None where it names none. names: the pictures, relative to their folder.

    SourceError for boxes and masks at once, for a table that cannot be read, and for a region of no picture.
    """
    where: Where = ("data", entry, "boxes" if options.boxes else "masks")
    if options.boxes and options.masks:
        raise SourceError(f"data.{entry}: boxes and masks are both named", hint="leave one of them out", where=where)
    if options.boxes:
        return _of_boxes(options.boxes, root, where, frozenset(names))
    return _of_masks(options.masks, root, where, names) if options.masks else None


def _of_boxes(path: str, root: Path, where: Where, names: frozenset[str]) -> Regions:
    file = named(root, path, where)
    boxes: dict[str, list[Box]] = {}
    with file.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.DictReader(stream)
        lacking = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
        if lacking:
            raise SourceError(f"{path}: there is no column {lacking[0]!r}", f"columns: {', '.join(COLUMNS)}", where)
        for number, row in enumerate(reader, 2):
            boxes.setdefault(row["file"], []).append(_box(row, f"{path}, line {number}", where))
    unknown = sorted(set(boxes) - names)
    if unknown:
        hint = "name files as they lie below `path`: CLASS/picture.jpg"
        raise SourceError(f"{path}: {len(unknown)} boxes are of no picture there, such as {unknown[0]}", hint, where)

    def draw(name: str, picture: Image.Image) -> Image.Image:
        from PIL import Image, ImageDraw

        drawn = Image.new("L", picture.size)
        for left, top, right, bottom in boxes.get(name, ()):
            ImageDraw.Draw(drawn).rectangle((left, top, right - 1, bottom - 1), fill=255)
        return drawn

    return Regions((file_ref(file, path),), draw)


def _box(row: dict[str, str], place: str, where: Where) -> Box:
    try:
        left, top, right, bottom = (float(row[column]) for column in COLUMNS[1:])
    except (TypeError, ValueError) as error:
        raise SourceError(f"{place}: a side of the box is no number", where=where) from error
    if not (0 <= left < right < float("inf") and 0 <= top < bottom < float("inf")):
        raise SourceError(f"{place}: the box is empty or has no end", "left < right and top < bottom", where)
    return left, top, right, bottom


def _of_masks(path: str, root: Path, where: Where, names: Sequence[str]) -> Regions:
    folder = named(root, path, where, "folder")
    found = {name: (folder / name).with_suffix(".png") for name in names}
    found = {name: mask for name, mask in found.items() if below(root, folder, mask, where).is_file()}
    if not found:
        hint = "a mask has its picture's name and the ending .png: CLASS/picture.png"
        raise SourceError(f"{path}: no picture has a mask there", hint, where)

    def draw(name: str, picture: Image.Image) -> Image.Image:
        from PIL import Image

        if name not in found:
            return Image.new("L", picture.size)
        mask = opened(found[name]).convert("L")
        if mask.size != picture.size:
            raise SourceError(f"{path}: the mask of {name} has another size than its picture", where=where)
        return mask.point([0] * INSIDE + [255] * (256 - INSIDE))

    return Regions((tree_ref(folder, found.values(), path),), draw)
