"""Pictures in one folder a class: listed without decoding, decoded with limits, unreadable ones left out and named."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from auditor.errors import SourceError
from auditor.sources.data.dataset import Dataset, Found, LeftOut, described, used_rows
from auditor.sources.data.decoding import FORMATS, opened
from auditor.sources.data.regions import Regions, regions_of
from auditor.sources.digest import tree_ref, verify
from auditor.sources.paths import Where, below, named
from auditor.spec.model import DataEntry
from auditor.spec.options import ImageFolderOptions
from auditor.subject import DataRef

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".heic", ".avif", ".jp2")
"""What counts as a picture. Those of other formats than FORMATS are rows too: left out and named, never passed over."""


def describe(entry: DataEntry, root: Path) -> DataRef:
    """Classes are the folders' names, sorted; the files are listed and digested, not decoded."""
    options = ImageFolderOptions.model_validate(entry.options)
    folder, files = _files(options, entry.name, root)
    labels = [path.relative_to(folder).parts[0] for path in files]
    _groups(files, options, entry.name)
    tree, regions = tree_ref(folder, files, options.path), _regions(options, entry.name, root, folder, files)
    classes = tuple(sorted(set(labels)))
    known = (tree, *(regions.files if regions else ()))
    return described(entry, Found(labels, known, "image", classes, grouped=options.group is not None))


def load(ref: DataRef, root: Path) -> Dataset:
    """The used pictures; each is decoded once here, so that corrupt ones are left out before anything counts rows."""
    options = ImageFolderOptions.model_validate(ref.entry["options"])
    folder, files = _files(options, ref.name, root)
    where: Where = ("data", ref.name, "path")
    verify(ref.files[0], tree_ref(folder, files, options.path).sha256, where)
    regions = _regions(options, ref.name, root, folder, files)
    for was, now in zip(ref.files[1:], regions.files if regions else (), strict=True):
        verify(was, now.sha256, ("data", ref.name))
    groups = _groups(files, options, ref.name)
    rows = used_rows([path.relative_to(folder).parts[0] for path in files], options, ref.files)
    used = [files[row] for row in rows]
    faults = {place: fault for place, path in enumerate(used) if (fault := _fault(path))}
    if len(faults) == len(used):
        raise SourceError(
            f"data.{ref.name}: none of {len(used)} pictures can be read; {used[0].name}: {faults[0]}", where=where
        )
    dataset = Dataset(
        ref=ref,
        labels=tuple(path.relative_to(folder).parts[0] for path in used),
        groups=tuple(groups[row] for row in rows),
        examples=tuple(hashlib.sha256(path.read_bytes()).hexdigest() for path in used),
        fetch=lambda row: opened(used[row]),
        region=_drawing(regions, folder, used) if regions else None,
    )
    left_out = tuple(LeftOut(used[place].relative_to(folder).as_posix(), fault) for place, fault in faults.items())
    return dataset.without(tuple(faults), left_out) if faults else dataset


def _files(options: ImageFolderOptions, name: str, root: Path) -> tuple[Path, list[Path]]:
    """The folder and its pictures, sorted by relative name; a link that leads out of the root is refused."""
    where: Where = ("data", name, "path")
    folder = named(root, options.path, where, "folder")
    listed = sorted(path for path in folder.glob("*/**/*") if path.suffix.lower() in SUFFIXES and path.is_file())
    for path in listed:
        below(root, folder, path, where)
    if not listed:
        loose = sum(path.suffix.lower() in SUFFIXES for path in folder.iterdir())
        raise SourceError(
            f"data.{name}.path: expected one folder of pictures a class in {options.path}, found "
            + (f"{loose} pictures without a class folder" if loose else "no pictures"),
            hint=f"layout: {options.path}/CLASS/picture.jpg ({', '.join(FORMATS)})",
            where=where,
        )
    return folder, listed


def _regions(options: ImageFolderOptions, name: str, root: Path, folder: Path, files: list[Path]) -> Regions | None:
    return regions_of(options, name, root, [path.relative_to(folder).as_posix() for path in files])


def _drawing(regions: Regions, folder: Path, used: list[Path]) -> Callable[[int], Image.Image]:
    return lambda row: regions.draw(used[row].relative_to(folder).as_posix(), opened(used[row]))


def _groups(files: list[Path], options: ImageFolderOptions, name: str) -> list[str]:
    """The first group of the pattern in each file's name."""
    if options.group is None:
        return [""] * len(files)
    where: Where = ("data", name, "group")
    try:
        pattern = re.compile(options.group)
    except re.error as error:
        raise SourceError(
            f"data.{name}.group: {options.group!r} is not a regular expression: {error}", where=where
        ) from error
    found = [pattern.search(path.name) for path in files]
    unmatched = [path.name for path, match in zip(files, found, strict=True) if match is None]
    if unmatched or pattern.groups < 1:
        what = f"{len(unmatched)} file names, such as {unmatched[0]}" if unmatched else "no part in parentheses"
        raise SourceError(
            f"data.{name}.group: expected {options.group!r} to find a group in every file name, found {what} without",
            hint=r"put the group in parentheses, e.g. '^(plant\d+)_'",
            where=where,
        )
    return [match.group(1) or "" for match in found if match is not None]


def _fault(path: Path) -> str:
    """Why a picture cannot be read, or nothing."""
    try:
        opened(path)
    except Exception as error:  # noqa: BLE001 - decoders raise errors of many kinds on damaged files
        return f"{type(error).__name__}: {error}".replace(str(path), path.name)
    return ""
