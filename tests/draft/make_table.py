"""Builds every torchvision classifier without memory for its weights and writes the table of fingerprints.

Usage: python tests/draft/make_table.py
"""

import json
from collections.abc import Iterable

from auditor.draft.architectures import TABLE, fingerprint


def table_of(names: Iterable[str]) -> dict[str, str]:
    """Fingerprint -> architecture; ValueError when two share one."""
    found: dict[str, str] = {}
    for name in names:
        other = found.setdefault(_fingerprint(name), name)
        if other != name:
            raise ValueError(f"{name} and {other} have the same tensors")
    return found


def all_names() -> list[str]:
    """The names of all classifiers of the installed torchvision."""
    import torchvision

    return list(torchvision.models.list_models(module=torchvision.models))


def _fingerprint(name: str) -> str:
    import torch
    from torchvision.models import get_model, regnet

    plan = regnet.BlockParams.from_init_params.__func__

    def on_cpu(cls, *args, **kwargs):  # type: ignore[no-untyped-def]  # reads numbers back, which meta tensors cannot
        with torch.device("cpu"):
            return plan(cls, *args, **kwargs)

    regnet.BlockParams.from_init_params = classmethod(on_cpu)
    try:
        with torch.device("meta"):
            options = {"init_weights": False} if name in {"googlenet", "inception_v3"} else {}
            state = get_model(name, weights=None, **options).state_dict()
    finally:
        regnet.BlockParams.from_init_params = classmethod(plan)
    return fingerprint({key: tuple(value.shape) for key, value in state.items()})


if __name__ == "__main__":
    TABLE.write_text(json.dumps(table_of(all_names()), indent=1, sort_keys=True) + "\n", encoding="utf-8")
