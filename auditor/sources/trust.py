"""Trust: what may run is decided before anything is loaded, by consent that lies outside the spec."""

import os
from collections.abc import Iterable

from auditor.errors import RefusedError, UsageError
from auditor.spec.policy import policy_file, user_policy
from auditor.subject import ModelRef

FORCE = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"


def require(models: Iterable[ModelRef], consented: frozenset[str]) -> None:
    """Raise RefusedError unless each model of trust class `code` was consented to, by name or by digest.

    A fine-tune is consented to with its parent, or by itself. Refused too: an environment that lets torch unpickle.
    """
    refuse_unpickling()
    refused = [ref for ref in models if ref.trust == "code" and not consented & set(_known_as(ref))]
    if not refused:
        return
    named = sorted({ref.parent.name if ref.parent else ref.name for ref in refused})
    what = "; ".join(sorted({f"model {ref.name!r} runs code of {ref.architecture}" for ref in refused}))
    flags = " ".join(f"--trust {name}" for name in named)
    raise RefusedError(
        f"refused: {what} (trust class `code`)",
        hint=f"if you trust that code, run again with {flags}, or list it under `trust:` in {policy_file()}",
        where=("models", refused[0].name),
    )


def refuse_unpickling() -> None:
    """Raise RefusedError in an environment that lets torch unpickle whatever a weights file holds."""
    if os.environ.get(FORCE):
        raise RefusedError(f"refused: {FORCE} is set, which lets weights files run code", hint=f"unset {FORCE}")


def refuse_unknown(models: Iterable[ModelRef], given: Iterable[str]) -> None:
    """Raise UsageError for a `--trust` that is neither the name nor the digest of a model of this audit."""
    refs = list(models)
    known = {name for ref in refs for name in _known_as(ref)}
    for name in sorted(set(given) - known):
        hint = f"models of this spec: {', '.join(sorted(ref.name for ref in refs))}"
        raise UsageError(f"--trust {name}: the spec has no such model", hint)


def consent(names: Iterable[str]) -> frozenset[str]:
    """What the user consented to: names given, and `trust:` of the policy file (SpecError if it is wrong)."""
    return frozenset(names) | frozenset(user_policy().trust)


def _known_as(ref: ModelRef) -> tuple[str, ...]:
    return ref.name, ref.digest, *(_known_as(ref.parent) if ref.parent else ())
