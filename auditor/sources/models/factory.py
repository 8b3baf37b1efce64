"""A module built by the user's own callable, and its state dict: trust class `code`, run only with consent."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor.errors import SourceError
from auditor.sources.digest import file_ref, require_declared, seal_model, tree_ref, verify
from auditor.sources.models.loaded import LoadedModel, ready
from auditor.sources.models.state import describe_state, fill, load_state, prefix_of, without_prefix
from auditor.sources.paths import Where, dotted, inside, named
from auditor.sources.steps import assumed, assumptions, overridden
from auditor.spec.model import ModelEntry
from auditor.spec.options import FactoryOptions
from auditor.subject import FileRef, ModelRef

if TYPE_CHECKING:
    import torch

PACKAGE = "package:"
CODE = (".py", ".so", ".pyd")
HEADS = ("classifier", "fc", "head", "_fc", "linear", "output", "out", "score", "logits")


def describe(entry: ModelEntry, root: Path) -> ModelRef:
    """The model as declared: nothing of it is imported. Head and parameters come from the state dict."""
    options = FactoryOptions.model_validate(entry.options)
    code = code_ref(options.factory, entry.name)
    classes, class_files = _classes(options, entry.name, root)
    files, parameters = (*class_files, code), 0
    heads: tuple[int, ...] = ()
    remarks: tuple[str, ...] = ()
    if options.weights is not None:
        where: Where = ("models", entry.name, "weights")
        path = _weights(options.weights, root, where)
        stored = describe_state(path, where)
        file = file_ref(path, options.weights)
        require_declared(options.sha256, file, ("models", entry.name, "sha256"))
        files = (file, *class_files, code)
        parameters, remarks = stored.parameters, stored.remarks()
        plain = without_prefix(stored.tensors, prefix_of(stored.tensors))
        heads = tuple(shape.shape[0] for name, shape in plain.items() if _is_head(name) and len(shape.shape) >= 2)
    preprocess, assumed_steps = _preprocess(options, entry.name)
    return seal_model(
        ModelRef(
            digest="",
            name=entry.name,
            source=entry.source,
            entry=entry.to_json(),
            files=files,
            trust="code",
            architecture=options.factory,
            modality=options.modality,
            task=options.task,
            parameters=parameters,
            outputs=_outputs(options, classes, heads, entry.name),
            classes=classes,
            preprocess=preprocess,
            assumptions=assumed_steps + remarks,
        )
    )


def load(ref: ModelRef, root: Path, device: str = "cpu") -> LoadedModel:
    """Call the factory (it runs code: trust.require has seen consent) and fill its module strictly."""
    return ready(ref, build(ref, root), device)


def build(ref: ModelRef, root: Path) -> torch.nn.Module:
    """The factory's module with its weights."""
    import torch

    options = FactoryOptions.model_validate(ref.entry["options"])
    where: Where = ("models", ref.name, "factory")
    verify(ref.files[-1], code_ref(options.factory, ref.name).sha256, where)
    module = _called(options, where)
    if not isinstance(module, torch.nn.Module):
        raise SourceError(
            f"{dotted(where)}: expected {options.factory} to return a torch.nn.Module, found {type(module).__name__}",
            where=where,
        )
    if options.weights is None:
        return module
    at: Where = ("models", ref.name, "weights")
    state = load_state(_weights(options.weights, root, at), ref.files[0], at)
    if not set(state) <= set(module.state_dict()):
        state = without_prefix(state, prefix_of(state))
    fill(module, state, ref, at)
    return module


def factory_file(factory: str, name: str) -> Path:
    """The file of the factory's module, or of the package that holds it, found without importing anything.

    The spec's own folder is not searched: what the model needs must be installed.
    """
    module = factory.partition(":")[0]
    top = module.partition(".")[0]
    spec = None if top == "__main__" else find_spec(top)
    if spec is None or spec.origin is None:
        raise SourceError(
            f"models.{name}.factory: no installed package {top!r}",
            hint=f"install the package that holds {module} into this environment; the spec's folder is not searched",
            where=("models", name, "factory"),
        )
    return Path(spec.origin)


def code_ref(factory: str, name: str) -> FileRef:
    """The Python and compiled files of the package that holds the factory, as one: other code, other numbers."""
    file = factory_file(factory, name)
    if not file.is_file():
        raise SourceError(
            f"models.{name}.factory: {factory} is part of Python itself",
            hint="name a module that builds a model",
            where=("models", name, "factory"),
        )
    shown = f"{PACKAGE}{factory.partition(':')[0].partition('.')[0]}"
    if file.name != "__init__.py":
        return file_ref(file, f"{shown}/{file.name}")
    parts = [path for suffix in CODE for path in file.parent.rglob(f"*{suffix}") if path.is_file()]
    return tree_ref(file.parent, parts, shown)


def _called(options: FactoryOptions, where: Where) -> Any:
    module, _, name = options.factory.partition(":")
    try:
        found: Any = import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
        return found(**options.kwargs)
    except Exception as error:
        raise SourceError(
            f"{dotted(where)}: {options.factory} with {options.kwargs} raised {type(error).__name__}: {error}",
            hint="call it by hand with the same arguments",
            where=where,
        ) from error


def _weights(weights: str, root: Path, where: Where) -> Path:
    """A path below the root, or package:NAME/path inside an installed package."""
    if not weights.startswith(PACKAGE):
        return named(root, weights, where)
    name, _, inner = weights.removeprefix(PACKAGE).partition("/")
    spec = find_spec(name) if name.isidentifier() else None
    if spec is None or spec.origin is None:
        raise SourceError(
            f"{dotted(where)}: no installed package {name!r}", hint="install it, or name a file", where=where
        )
    return inside(Path(spec.origin).parent, inner, where)


def _classes(options: FactoryOptions, name: str, root: Path) -> tuple[tuple[str, ...], tuple[FileRef, ...]]:
    if options.classes is None or isinstance(options.classes, tuple):
        return options.classes or (), ()
    where: Where = ("models", name, "classes")
    path = named(root, options.classes, where)
    lines = path.read_text(encoding="utf-8").splitlines()
    return tuple(line.strip() for line in lines if line.strip()), (file_ref(path, options.classes),)


def _is_head(name: str) -> bool:
    parts = name.split(".")
    return len(parts) >= 2 and parts[-1] == "weight" and any(part in HEADS for part in parts[:-1])


def _outputs(options: FactoryOptions, classes: tuple[str, ...], heads: tuple[int, ...], name: str) -> int:
    if options.task == "regression":
        return len(classes) or (1 if not heads or 1 in heads else heads[-1])
    if options.task == "encoder":
        return 0
    if classes and heads and len(classes) not in heads:
        raise SourceError(
            f"models.{name}.classes: {len(classes)} names, but the state dict's head has {heads[-1]} outputs",
            hint="name each output of the head, in order",
            where=("models", name, "classes"),
        )
    found = len(classes) or (heads[-1] if heads else 0)
    if not found:
        raise SourceError(
            f"models.{name}: the size of the head cannot be told from its weights",
            hint="name the classes: `classes: [..]`, or a text file with one a line",
            where=("models", name, "classes"),
        )
    return found


def _preprocess(options: FactoryOptions, name: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    transforms = options.transforms
    if options.modality == "image":
        channels = transforms.channels if transforms and transforms.channels else 3
        steps = overridden(assumed(channels), transforms)
        return steps.to_json(), assumptions(steps)
    if options.modality == "tabular":
        given = transforms is not None and transforms.mean is not None
        mean, std = (transforms.mean or (), transforms.std or ()) if transforms else ((), ())
        origin = {"mean": "spec" if given else "assumed"}
        notes = () if given else ("the columns are assumed to be fed as they are, without standardizing",)
        return {"kind": "tabular", "mean": list(mean), "std": list(std), "origin": origin}, notes
    raise SourceError(
        f"models.{name}.modality: a factory takes images or columns in this version",
        hint="a text model needs its tokenizer: save it as a transformers folder",
        where=("models", name, "modality"),
    )
