"""The tokenizer of a transformers folder: which files make it, how long its texts may be, and itself."""

from pathlib import Path
from typing import Any

from auditor.errors import SourceError
from auditor.sources.digest import file_sha256, verify
from auditor.sources.models.folder import read_config
from auditor.sources.paths import Where, dotted, named
from auditor.spec.options import TransformersOptions
from auditor.spec.references import expand
from auditor.subject import ModelRef

TOKENIZER = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt", "vocab.json", "merges.txt",
    "added_tokens.json", "spiece.model", "sentencepiece.bpe.model", "sentencepiece.model", "tokenizer.model",
    "spm.model", "spm_char.model", "source.spm", "target.spm", "bpe.codes", "dict.txt", "normalizer.json",
    "emoji.json", "word_shape.json", "word_pronunciation.json", "byte_maps.json", "vocab-src.json", "vocab-tgt.json",
    "target_vocab.json", "entity_vocab.json",
)  # fmt: skip
"""Every file that a tokenizer of transformers may read: all are digested."""

POSITIONS = ("max_position_embeddings", "n_positions", "max_seq_len", "max_sequence_length")
"""Where configurations say how many positions a model has."""
OFFSET = frozenset({"roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "roberta-prelayernorm", "data2vec-text",
                    "longformer", "mpnet", "esm", "xmod"})  # fmt: skip
"""Models whose first positions stand for padding, and hold no token."""


def tokens_of(
    folder: Path, config: dict[str, Any], options: TransformersOptions, where: Where
) -> tuple[dict[str, Any], tuple[str, ...], tuple[str, ...]]:
    """The declarative steps of a text model, its tokenizer's files, and what had to be assumed."""
    files = tuple(name for name in TOKENIZER if (folder / name).exists())
    if not files:
        raise SourceError(
            f"{dotted(where)}: {options.path} holds no tokenizer",
            hint="save it beside the model: tokenizer.save_pretrained(folder)",
            where=where,
        )
    settings = read_config(folder / "tokenizer_config.json", where) if "tokenizer_config.json" in files else {}
    length, origin = _window(config, settings, options)
    notes = (f"texts are cut at an assumed {length} tokens",) if origin == "assumed" else ()
    return {"kind": "text", "max_length": length, "origin": {"max_length": origin}}, files, notes


def _window(config: dict[str, Any], settings: dict[str, Any], options: TransformersOptions) -> tuple[int, str]:
    """Tokens kept: the spec's, else the smaller of the tokenizer's limit and the model's positions, else 512."""
    if options.max_length is not None:
        return options.max_length, "spec"
    limits = [config.get(key) for key in POSITIONS]
    if config.get("model_type") in OFFSET and isinstance(limits[0], int):
        limits[0] -= int(config.get("pad_token_id") or 1) + 1
    limits.append(settings.get("model_max_length"))
    known = [int(limit) for limit in limits if isinstance(limit, int | float) and 0 < limit < 10**6]
    return (min(known), "model files") if known else (512, "assumed")


def tokenizer_of(ref: ModelRef, root: Path) -> Any:
    """The folder's own tokenizer, without remote code; it pads with the token that the model takes for padding.

    A decoder with a classification head reads the last token that is not config.json's `pad_token_id`: where the
    tokenizer names no padding, it must be that one.
    """
    from transformers import AutoTokenizer

    where: Where = ("models", ref.name, "path")
    options = TransformersOptions.model_validate(ref.entry["options"])
    for file in ref.files:
        if file.path.rsplit("/", 1)[-1] in TOKENIZER:
            verify(file, file_sha256(root / expand(file.path)), where)
    folder = named(root, options.path, where, "folder")
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    if tokenizer.pad_token is None:
        said = read_config(folder / "config.json", where).get("pad_token_id")
        known = isinstance(said, int) and 0 <= said < len(tokenizer)
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(int(said or 0)) if known else _end(tokenizer)
    return tokenizer


def _end(tokenizer: Any) -> str | None:
    """The token that stands for padding where neither tokenizer nor model names one: it is never read."""
    found: str | None = tokenizer.eos_token or tokenizer.unk_token
    return found
