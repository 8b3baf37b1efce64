"""A torchvision architecture with a state dict; its names are read from the installed package without importing it."""

from __future__ import annotations

import ast
import re
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor.errors import SourceError
from auditor.sources.digest import file_ref, require_declared, seal_model
from auditor.sources.models.header import Shape
from auditor.sources.models.loaded import LoadedModel, ready
from auditor.sources.models.state import Stored, describe_state, fill, load_state, prefix_of, without_prefix
from auditor.sources.paths import Where, named
from auditor.sources.steps import assumed, assumptions, overridden
from auditor.spec.model import ModelEntry
from auditor.spec.options import TorchvisionOptions
from auditor.subject import ModelRef

if TYPE_CHECKING:
    import torch

HEAD = re.compile(r"(?:fc|head|heads\.head|head\.fc|classifier|classifier\.\d+)\.weight")
AUXILIARY = {"googlenet": "aux1.", "inception_v3": "AuxLogits."}


def describe(entry: ModelEntry, root: Path) -> ModelRef:
    """The classifier: head and parameters from the weights' header; the input steps are assumed unless given."""
    options = TorchvisionOptions.model_validate(entry.options)
    where: Where = ("models", entry.name, "weights")
    _known(options.arch, entry.name)
    path = named(root, options.weights, where)
    stored = describe_state(path, where)
    file = file_ref(path, options.weights)
    require_declared(options.sha256, file, ("models", entry.name, "sha256"))
    outputs = _outputs(stored, options, where)
    steps = overridden(assumed(), options.transforms)
    return seal_model(
        ModelRef(
            digest="",
            name=entry.name,
            source=entry.source,
            entry=entry.to_json(),
            files=(file,),
            trust=stored.trust,
            architecture=options.arch,
            modality="image",
            parameters=stored.parameters,
            outputs=outputs,
            classes=options.classes or (),
            preprocess=steps.to_json(),
            assumptions=assumptions(steps) + stored.remarks(),
        )
    )


def load(ref: ModelRef, root: Path, device: str = "cpu") -> LoadedModel:
    """The architecture without any download, filled strictly with the state dict."""
    return ready(ref, build(ref, root), device)


def build(ref: ModelRef, root: Path) -> torch.nn.Module:
    """The module with its weights."""
    import torchvision  # type: ignore[import-untyped]  # it ships no stubs

    options = TorchvisionOptions.model_validate(ref.entry["options"])
    where: Where = ("models", ref.name, "weights")
    state = load_state(named(root, options.weights, where), ref.files[0], where)
    state = without_prefix(state, prefix_of(state))
    extra: dict[str, Any] = {}
    if ref.architecture in AUXILIARY:
        has = any(name.startswith(AUXILIARY[ref.architecture]) for name in state)
        extra = {"aux_logits": has, "init_weights": False}
    get_model = torchvision.models.get_model
    module: torch.nn.Module = get_model(ref.architecture, weights=None, num_classes=ref.outputs, **extra)
    fill(module, state, ref, where)
    return module


def names() -> tuple[str, ...]:
    """The image classifiers of the installed torchvision: functions marked @register_model, read by ast."""
    spec = find_spec("torchvision")
    if spec is None or spec.origin is None:
        return ()
    found = []
    for path in sorted((Path(spec.origin).parent / "models").glob("*.py")):
        for node in ast.parse(path.read_bytes()).body:
            if isinstance(node, ast.FunctionDef) and any(map(_registers, node.decorator_list)):
                found.append(node.name)
    return tuple(found)


def _registers(decorator: ast.expr) -> bool:
    return isinstance(decorator, ast.Call) and getattr(decorator.func, "id", "") == "register_model"


def _known(arch: str, name: str) -> None:
    known = names()
    if arch in known:
        return
    near = get_close_matches(arch, known, n=3)
    raise SourceError(
        f"models.{name}.arch: expected an image classifier of the installed torchvision, found {arch!r}",
        hint=f"did you mean {' or '.join(near)}?" if near else f"it has {len(known)}, such as resnet18 or vit_b_16",
        where=("models", name, "arch"),
    )


def _outputs(stored: Stored, options: TorchvisionOptions, where: Where) -> int:
    plain: dict[str, Shape] = without_prefix(stored.tensors, prefix_of(stored.tensors))
    heads = sorted(name for name, shape in plain.items() if HEAD.fullmatch(name) and len(shape.shape) >= 2)
    if not heads:
        raise SourceError(
            f"{'.'.join(map(str, where))}: found no classification head in {options.weights}; its tensors begin with "
            f"{', '.join(sorted(plain)[:3])}",
            hint=f"expected the state dict of torchvision's {options.arch}",
            where=where,
        )
    outputs = plain[heads[-1]].shape[0]
    if options.classes is not None and len(options.classes) != outputs:
        raise SourceError(
            f"models.{where[1]}.classes: expected {outputs} names, one an output of the head, "
            f"found {len(options.classes)}",
            where=("models", where[1], "classes"),
        )
    return outputs
