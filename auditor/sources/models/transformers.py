"""A local transformers folder: described from its config.json, loaded as the classifier, language model or encoder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from auditor.errors import SourceError
from auditor.sources.digest import file_ref, require_declared, seal_model, verify
from auditor.sources.models.folder import read_config, read_json, require_own
from auditor.sources.models.header import Shape, read_header
from auditor.sources.models.loaded import LoadedModel, ready
from auditor.sources.models.processor import steps_of
from auditor.sources.models.tasks import CONFIG, classes_of, kind_of, outputs_of
from auditor.sources.models.tokens import TOKENIZER, tokenizer_of, tokens_of
from auditor.sources.paths import Where, below, dotted, inside, named
from auditor.sources.steps import assumed, assumptions, overridden
from auditor.spec.model import ModelEntry
from auditor.spec.options import TransformersOptions
from auditor.spec.references import expand
from auditor.subject import FileRef, Modality, ModelRef

if TYPE_CHECKING:
    import torch

PROCESSOR, WEIGHTS, INDEX = "preprocessor_config.json", "model.safetensors", "model.safetensors.index.json"
POOLED = "an encoder's outputs are its last hidden state, averaged over each example's own tokens or places"


def describe(entry: ModelEntry, root: Path) -> ModelRef:
    """The model of a folder: architecture, modality and head from config.json, parameters from the safetensors headers.

    Raises SourceError for another task, missing files or a hub id, and RefusedError for a config that asks for code.
    """
    options = TransformersOptions.model_validate(entry.options)
    where: Where = ("models", entry.name, "path")
    folder = _folder(root, options.path, where)
    require_own(root, folder, (CONFIG, PROCESSOR, INDEX, *TOKENIZER), where)
    config = read_config(folder / CONFIG, where)
    kind = kind_of(config, where)
    weights = _weights(folder, root, options, entry.name)
    declared: Where = ("models", entry.name, "sha256")
    require_declared(options.sha256, weights[0], declared)
    stored = _tensors(root, weights, where)
    classes = options.labels or (classes_of(config) if kind.task in ("classification", "regression") else ())
    preprocess, extra, notes = _preprocess(folder, config, kind.modality, options, where)
    names = (CONFIG, *extra)
    return seal_model(
        ModelRef(
            digest="",
            name=entry.name,
            source=entry.source,
            entry=entry.to_json(),
            files=weights + tuple(file_ref(folder / name, f"{options.path}/{name}") for name in names),
            trust="data",
            architecture=kind.architecture,
            modality=kind.modality,
            task=kind.task,
            parameters=sum(shape.count for name, shape in stored.items() if _is_parameter(name, shape)),
            outputs=outputs_of(kind, config, stored, classes, where),
            classes=classes,
            preprocess=preprocess,
            assumptions=notes + (POOLED,) * (kind.task == "encoder"),
        )
    )


def load(ref: ModelRef, root: Path, device: str = "cpu") -> LoadedModel:
    """The model with eager attention, from safetensors only, offline, and never with remote code."""
    return ready(ref, build(ref, root), device)


def build(ref: ModelRef, root: Path) -> torch.nn.Module:
    """The module with its weights."""
    import transformers
    from safetensors.torch import load as read

    where: Where = ("models", ref.name, "path")
    options = TransformersOptions.model_validate(ref.entry["options"])
    state: dict[str, torch.Tensor] = {}
    for file in ref.files:
        content = (root / expand(file.path)).read_bytes()
        _same(file, content, where)
        if file.path.endswith(".safetensors"):
            state.update(read(content))
    folder = named(root, options.path, where, "folder")
    config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # untyped there
    cls = getattr(transformers, ref.architecture)
    module, report = cls.from_pretrained(
        None, config=config, state_dict=state, attn_implementation="eager", output_loading_info=True,
        **_without_pooler(cls, ref, state),
    )  # fmt: skip
    _complete(report, ref, where)
    if ref.modality == "text" and ref.task in ("classification", "regression"):
        module.config.pad_token_id = tokenizer_of(ref, root).pad_token_id  # a decoder's head reads the token before it
    built: torch.nn.Module = module
    return built


def _without_pooler(cls: Any, ref: ModelRef, state: dict[str, torch.Tensor]) -> dict[str, Any]:
    """An encoder that was saved without its pooling layer is built without one, instead of with a random one."""
    from inspect import signature

    named = ref.task == "encoder" and "add_pooling_layer" in signature(cls.__init__).parameters
    return {"add_pooling_layer": False} if named and not any("pooler." in name for name in state) else {}


def _same(file: FileRef, content: bytes, where: Where) -> None:
    import hashlib

    verify(file, hashlib.sha256(content).hexdigest(), where)


def _complete(report: dict[str, Any], ref: ModelRef, where: Where) -> None:
    """Every parameter must come from the file, in its shape."""
    missing, mismatched = sorted(report["missing_keys"]), sorted(map(str, report["mismatched_keys"]))
    if missing or mismatched:
        raise SourceError(
            f"{dotted(where)}: the weights do not fill a {ref.architecture}: "
            f"missing {missing[:4]}, of another shape {mismatched[:4]}",
            hint="the weights must be those of this architecture with this head",
            where=where,
        )


def _folder(root: Path, path: str, where: Where) -> Path:
    plain = expand(path)
    looks_like_hub = plain.count("/") == 1 and plain[0] not in "./" and not (root / plain.split("/")[0]).exists()
    if looks_like_hub:
        raise SourceError(
            f"{dotted(where)}: no such folder: {path}",
            hint="if this is a hub id: not in this version; download it first and name the local folder",
            where=where,
        )
    return named(root, path, where, "folder")


def _weights(folder: Path, root: Path, options: TransformersOptions, name: str) -> tuple[FileRef, ...]:
    """The weights file of the spec, else the folder's model.safetensors, else the shards of its index."""
    where: Where = ("models", name, "weights")
    if options.weights is not None:
        return (file_ref(named(root, options.weights, where), options.weights),)
    if (folder / WEIGHTS).exists():
        return (file_ref(below(root, folder, folder / WEIGHTS, where), f"{options.path}/{WEIGHTS}"),)
    if (folder / INDEX).exists():
        shards = shards_of(read_json(folder / INDEX, where), INDEX, where)
        for shard in shards:
            inside(folder, shard, where)
        return tuple(file_ref(folder / shard, f"{options.path}/{shard}") for shard in shards)
    pickled = sorted(path.name for path in folder.glob("pytorch_model*.bin"))
    raise SourceError(
        f"{dotted(where)}: {options.path} holds no {WEIGHTS}" + (f", only {pickled[0]}" if pickled else ""),
        hint="write it with model.save_pretrained(folder, safe_serialization=True)",
        where=where,
    )


def shards_of(index: dict[str, Any], name: str, where: Where) -> list[str]:
    """The files that an index names."""
    table = index.get("weight_map")
    if not isinstance(table, dict) or not table:
        raise SourceError(
            f"{dotted(where)}: {name} holds no `weight_map` from tensor names to files",
            hint="write the folder anew with model.save_pretrained(folder)",
            where=where,
        )
    return sorted(set(map(str, table.values())))


def _tensors(root: Path, weights: tuple[FileRef, ...], where: Where) -> dict[str, Shape]:
    stored: dict[str, Shape] = {}
    for file in weights:
        stored.update(read_header(root / expand(file.path), where))
    return stored


def _is_parameter(name: str, shape: Shape) -> bool:
    return shape.floating and not name.endswith(("running_mean", "running_var"))


def _preprocess(
    folder: Path, config: dict[str, Any], modality: Modality, options: TransformersOptions, where: Where
) -> tuple[dict[str, Any], tuple[str, ...], tuple[str, ...]]:
    """The declarative input steps, the files they were read from, and what had to be assumed."""
    if modality == "text":
        return tokens_of(folder, config, options, where)
    channels: Literal[1, 3] = 1 if config.get("num_channels") == 1 else 3
    if (folder / PROCESSOR).exists():
        steps, notes = steps_of(read_json(folder / PROCESSOR, where), channels)
        if notes and options.transforms is None:
            raise SourceError(
                f"{dotted(where)}: {folder.name}/{PROCESSOR} asks for input steps that this version has not: "
                + "; ".join(notes),
                hint="write steps that do the same: `transforms: {resize, crop, interpolation, mean, std}`",
                where=where,
            )
        files: tuple[str, ...] = (PROCESSOR,)
    else:
        steps, notes, files = assumed(channels), (), ()
    steps = overridden(steps, options.transforms)
    return steps.to_json(), files, notes + assumptions(steps)
