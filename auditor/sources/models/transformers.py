"""A local transformers folder: described from its config.json, loaded as image or sequence classifier."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from auditor.errors import RefusedError, SourceError
from auditor.sources.digest import file_ref, file_sha256, require_declared, seal_model, verify
from auditor.sources.models.header import Shape, read_header
from auditor.sources.models.loaded import LoadedModel, ready
from auditor.sources.models.processor import steps_of
from auditor.sources.paths import Where, below, dotted, inside
from auditor.sources.steps import assumed, assumptions, overridden
from auditor.spec.model import ModelEntry
from auditor.spec.options import TransformersOptions
from auditor.spec.references import expand
from auditor.subject import FileRef, Modality, ModelRef

if TYPE_CHECKING:
    import torch

TASKS: dict[str, Modality] = {"ForImageClassification": "image", "ForSequenceClassification": "text"}
FORBIDDEN = ("auto_map", "trust_remote_code", "_attn_implementation_internal")
CONFIG, PROCESSOR, WEIGHTS, INDEX = (
    "config.json", "preprocessor_config.json", "model.safetensors", "model.safetensors.index.json",
)  # fmt: skip
HEADS = ("classifier.weight", "score.weight", "classifier.1.weight", "classifier.out_proj.weight")
TOKENIZER = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt", "vocab.json", "merges.txt",
    "added_tokens.json", "spiece.model", "sentencepiece.bpe.model",
)  # fmt: skip


def describe(entry: ModelEntry, root: Path) -> ModelRef:
    """The model of a folder: architecture, modality and head from config.json, parameters from the safetensors headers.

    Raises SourceError for another task, missing files or a hub id, and RefusedError for a config that asks for code.
    """
    options = TransformersOptions.model_validate(entry.options)
    where: Where = ("models", entry.name, "path")
    folder = _folder(root, options.path, where)
    config = _config(folder, where)
    architecture, modality = _architecture(config, where)
    weights = _weights(folder, root, options, entry.name)
    declared: Where = ("models", entry.name, "sha256")
    require_declared(options.sha256, weights[0], declared)
    stored = _tensors(root, weights, where)
    classes = options.labels or _classes(config)
    preprocess, extra, notes = _preprocess(folder, config, modality, options, where)
    names = (CONFIG, *extra)
    return seal_model(
        ModelRef(
            digest="",
            name=entry.name,
            source=entry.source,
            entry=entry.to_json(),
            files=weights + tuple(file_ref(folder / name, f"{options.path}/{name}") for name in names),
            trust="data",
            architecture=architecture,
            modality=modality,
            parameters=sum(shape.count for name, shape in stored.items() if _is_parameter(name, shape)),
            outputs=_outputs(config, stored, classes, where),
            classes=classes,
            preprocess=preprocess,
            assumptions=notes,
        )
    )


def load(ref: ModelRef, root: Path, device: str = "cpu") -> LoadedModel:
    """The classifier with eager attention, from safetensors only, offline, and never with remote code."""
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
    folder = inside(root, options.path, where, "folder")
    config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    cls = getattr(transformers, ref.architecture)
    module, report = cls.from_pretrained(
        None, config=config, state_dict=state, attn_implementation="eager", output_loading_info=True
    )
    _complete(report, ref, where)
    built: torch.nn.Module = module
    return built


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
    return inside(root, path, where, "folder")


def _refuse_code(settings: dict[str, Any], name: str, where: Where) -> None:
    """RefusedError where a configuration asks for code that is not transformers' own."""
    for key in FORBIDDEN:
        if settings.get(key):
            raise RefusedError(
                f"{dotted(where)}: {name} sets {key!r}, which runs or selects foreign code",
                hint=f"remove {key!r} if the architecture is transformers' own; auditor runs no remote code",
                where=where,
            )


def _config(folder: Path, where: Where) -> dict[str, Any]:
    config = read_json(folder / CONFIG, where)
    _refuse_code(config, f"{folder.name}/{CONFIG}", where)
    return config


def read_json(path: Path, where: Where) -> dict[str, Any]:
    """A JSON object from a file. SourceError if it is missing or not an object."""
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise SourceError(
            f"{dotted(where)}: {path.parent.name}/{path.name} is missing",
            hint="a transformers folder is what model.save_pretrained() writes, with its image processor or tokenizer",
            where=where,
        ) from error
    except (ValueError, RecursionError) as error:
        raise SourceError(
            f"{dotted(where)}: {path.parent.name}/{path.name} is not JSON: {error}", where=where
        ) from error
    if not isinstance(found, dict):
        raise SourceError(f"{dotted(where)}: {path.name} holds a {type(found).__name__}, not an object", where=where)
    return found


def _architecture(config: dict[str, Any], where: Where) -> tuple[str, Modality]:
    names = config.get("architectures") or [""]
    name = str(names[0])
    for suffix, modality in TASKS.items():
        if name.endswith(suffix) and name.isidentifier():
            return name, modality
    raise SourceError(
        f"{dotted(where)}: expected an architecture that ends in {' or '.join(TASKS)}, "
        f"found {name or 'none in config.json'}",
        hint="this version audits image and sequence classification; save the model with its classification head",
        where=where,
    )


def _weights(folder: Path, root: Path, options: TransformersOptions, name: str) -> tuple[FileRef, ...]:
    """The weights file of the spec, else the folder's model.safetensors, else the shards of its index."""
    where: Where = ("models", name, "weights")
    if options.weights is not None:
        return (file_ref(inside(root, options.weights, where), options.weights),)
    if (folder / WEIGHTS).exists():
        return (file_ref(below(root, folder, folder / WEIGHTS, where), f"{options.path}/{WEIGHTS}"),)
    if (folder / INDEX).exists():
        shards = sorted(set(map(str, read_json(folder / INDEX, where).get("weight_map", {}).values())))
        for shard in shards:
            inside(folder, shard, where)
        return tuple(file_ref(folder / shard, f"{options.path}/{shard}") for shard in shards)
    pickled = sorted(path.name for path in folder.glob("pytorch_model*.bin"))
    raise SourceError(
        f"{dotted(where)}: {options.path} holds no {WEIGHTS}" + (f", only {pickled[0]}" if pickled else ""),
        hint="write it with model.save_pretrained(folder, safe_serialization=True)",
        where=where,
    )


def _tensors(root: Path, weights: tuple[FileRef, ...], where: Where) -> dict[str, Shape]:
    stored: dict[str, Shape] = {}
    for file in weights:
        stored.update(read_header(root / expand(file.path), where))
    return stored


def _is_parameter(name: str, shape: Shape) -> bool:
    return shape.floating and not name.endswith(("running_mean", "running_var"))


def _outputs(config: dict[str, Any], stored: dict[str, Shape], classes: tuple[str, ...], where: Where) -> int:
    """The head's size: a classifier weight in the file decides, then config.json, then transformers' default of 2."""
    heads = [shape.shape[0] for name, shape in stored.items() if name in HEADS and len(shape.shape) >= 2]
    found = heads[-1] if heads else int(config.get("num_labels") or len(config.get("id2label") or {}) or 2)
    if classes and len(classes) != found:
        raise SourceError(
            f"{dotted(where)}: the head has {found} outputs, but {len(classes)} labels are named",
            hint="`labels:` lists one name an output, in order",
            where=where,
        )
    return found


def _HEAD(name: str) -> bool:
    return name in {"classifier.weight", "score.weight", "classifier.1.weight", "classifier.out_proj.weight"}


def _classes(config: dict[str, Any]) -> tuple[str, ...]:
    """id2label in order, or nothing where it holds only transformers' placeholders (LABEL_0, LABEL_1)."""
    table = config.get("id2label") or {}
    try:
        names = tuple(str(table[key]) for key in sorted(table, key=int))
    except (TypeError, ValueError):
        return ()
    return () if all(name == f"LABEL_{index}" for index, name in enumerate(names)) else names


def _preprocess(
    folder: Path, config: dict[str, Any], modality: Modality, options: TransformersOptions, where: Where
) -> tuple[dict[str, Any], tuple[str, ...], tuple[str, ...]]:
    """The declarative input steps, the files they were read from, and what had to be assumed."""
    if modality == "text":
        return _tokens(folder, config, options, where)
    channels: Literal[1, 3] = 1 if config.get("num_channels") == 1 else 3
    if (folder / PROCESSOR).exists():
        steps, notes = steps_of(read_json(folder / PROCESSOR, where), channels)
        files: tuple[str, ...] = (PROCESSOR,)
    else:
        steps, notes, files = assumed(channels), (), ()
    steps = overridden(steps, options.transforms)
    return steps.to_json(), files, notes + assumptions(steps)


def _tokens(
    folder: Path, config: dict[str, Any], options: TransformersOptions, where: Where
) -> tuple[dict[str, Any], tuple[str, ...], tuple[str, ...]]:
    files = tuple(name for name in TOKENIZER if (folder / name).exists())
    if not files:
        raise SourceError(
            f"{dotted(where)}: {options.path} holds no tokenizer",
            hint="save it beside the model: tokenizer.save_pretrained(folder)",
            where=where,
        )
    settings = read_json(folder / "tokenizer_config.json", where) if "tokenizer_config.json" in files else {}
    _refuse_code(settings, f"{folder.name}/tokenizer_config.json", where)
    length, origin = _window(config, settings, options)
    notes = (f"texts are cut at an assumed {length} tokens",) if origin == "assumed" else ()
    return {"kind": "text", "max_length": length, "origin": {"max_length": origin}}, files, notes


def _window(config: dict[str, Any], settings: dict[str, Any], options: TransformersOptions) -> tuple[int, str]:
    """Tokens kept: the spec's, else the smaller of the tokenizer's limit and the model's positions, else 512."""
    if options.max_length is not None:
        return options.max_length, "spec"
    limits = [config.get("max_position_embeddings"), settings.get("model_max_length")]
    known = [int(limit) for limit in limits if isinstance(limit, int | float) and 0 < limit < 10**6]
    return (min(known), "model files") if known else (512, "assumed")


def tokenizer_of(ref: ModelRef, root: Path) -> Any:
    """The folder's own tokenizer, without remote code."""
    from transformers import AutoTokenizer

    where: Where = ("models", ref.name, "path")
    options = TransformersOptions.model_validate(ref.entry["options"])
    for file in ref.files:
        if file.path.rsplit("/", 1)[-1] in TOKENIZER:
            verify(file, file_sha256(root / expand(file.path)), where)
    folder = inside(root, options.path, where, "folder")
    return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
