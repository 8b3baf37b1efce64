"""Trust: what may run is decided before anything is loaded, by consent that lies outside the spec."""

from collections.abc import Iterable
from pathlib import Path

from auditor.errors import RefusedError, UsageError
from auditor.subject import ModelRef

POLICY = Path("~/.config/auditor/policy.yaml")


def require(models: Iterable[ModelRef], consented: frozenset[str]) -> None:
    """Raise RefusedError unless each model of trust class `code` (or whose parent is) was consented to by name.

    A fine-tune is consented to by its own name or its parent's.
    """
    refused = [ref for ref in models if ref.trust == "code" and not ({ref.name, *_parents(ref)} & consented)]
    if not refused:
        return
    named = sorted({ref.parent.name if ref.parent else ref.name for ref in refused})
    what = "; ".join(sorted({f"model {ref.name!r} runs code of {ref.architecture}" for ref in refused}))
    flags = " ".join(f"--trust {name}" for name in named)
    raise RefusedError(
        f"refused: {what} (trust class `code`)",
        hint=f"if you trust that code, run again with {flags}, or list {', '.join(named)} under `trust:` in {POLICY}",
        where=("models", refused[0].name),
    )


def consent(names: Iterable[str], policy: Path | None = None) -> frozenset[str]:
    """The names consented to: those of the command line, and `trust: [..]` in the user's policy file, if it exists.

    Raises UsageError when the policy file is not a mapping with a list of names under `trust`.
    """
    path = (policy or POLICY).expanduser()
    if not path.exists():
        return frozenset(names)
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        found = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8")) or {}
        listed = found.get("trust", [])
        if not (isinstance(listed, list) and all(isinstance(name, str) for name in listed)):
            raise ValueError(f"`trust:` holds {listed!r}")
    except (YAMLError, AttributeError, ValueError) as error:
        raise UsageError(f"{path}: expected a list of model names under `trust:`; {error}") from error
    return frozenset(names) | frozenset(listed)


def _parents(ref: ModelRef) -> tuple[str, ...]:
    return (ref.parent.name, *_parents(ref.parent)) if ref.parent else ()
