"""Histories: small models with the checkpoints of their training, and what can have happened on the way.

Three kinds of models (seed modulo three): a tiny ResNet on digits, a tiny BERT on sentences, an MLP on rows. Each seed
draws a healthy recipe (runs.py); the twin has it as it is. Transformers are not trained by plain SGD: half of such runs
did not learn.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from benchmarks.zoo import pictures, tables, texts
from benchmarks.zoo.member import Member, require
from benchmarks.zoo.nets import mlp
from benchmarks.zoo.runs import Rates, Recipe, gentler, named, recipe, train
from benchmarks.zoo.training import accuracy, seeded

HISTORY = {"checkpoints": "ckpt/step-*.safetensors"}
TIMES = 100.0
FACTOR, NOISE = 1.3, 0.3
"""By how much an edit scales a layer, and the share of its norm that noise adds."""
Entry = Mapping[str, Any]
Write = Callable[[Path, str, nn.Module, Entry, Entry | None], Entry]


@dataclass(frozen=True)
class Task:
    """Data as tensors, a model of the kind, how it is written (folder, name, model, more of its entry), and what a
    healthy model reaches. write also takes the entry of a parent."""

    kind: str
    inputs: Any
    labels: Tensor
    held: Any
    truth: Tensor
    net: Callable[[], Any]
    write: Write
    rates: Rates
    least: float

    def score(self, model: nn.Module) -> float:
        """Accuracy on the held-out part."""
        return accuracy(model, self.held, self.truth)


def _pictures(seed: int) -> Task:
    train_, held = pictures.digits(seed)
    return Task(
        "picture", pictures.seen(train_.pictures), torch.tensor(train_.labels), pictures.seen(held.pictures),
        torch.tensor(held.labels), pictures.resnet,
        lambda folder, name, model, more, parent: pictures.write(
            folder, name, model, train_, held, more=more, parent=parent),
        {"adamw": (1e-3, 1e-2), "adam": (1e-3, 1e-2), "sgd": (0.02, 0.2)}, 0.7,
    )  # fmt: skip


def _texts(seed: int) -> Task:
    train_, held = texts.sentences(2 * seed, texts.TRAIN), texts.sentences(2 * seed + 1, texts.EVAL)
    return Task(
        "text", texts.encoded(train_.texts), torch.tensor(train_.labels), texts.encoded(held.texts),
        torch.tensor(held.labels), texts.bert,
        lambda folder, name, model, more, parent: texts.write(
            folder, name, model, train_, held, more=more, parent=parent),
        {"adamw": (7e-4, 4e-3), "adam": (7e-4, 4e-3)}, 0.6,
    )  # fmt: skip


def _tables(seed: int) -> Task:
    train_, held = tables.clouds(seed, 1.2)
    shape = {"columns": tables.COLUMNS, "classes": len(tables.CLASSES), "depth": 2 + seed // 3 % 2}
    return Task(
        "table", tables.inputs(train_), torch.tensor(train_.labels), tables.inputs(held), torch.tensor(held.labels),
        lambda: mlp(**shape),
        lambda folder, name, model, more, parent: tables.write(
            folder, name, model, shape, train_, held, more=more, parent=parent),
        {"adamw": (1e-3, 1e-2), "adam": (1e-3, 1e-2), "sgd": (0.02, 0.2)}, 0.6,
    )  # fmt: skip


def task_of(seed: int) -> Task:
    """The kind of a seed."""
    return (_pictures, _texts, _tables)[seed % 3](seed)


def matrices(model: nn.Module) -> list[str]:
    """The layers that have a weight of two dimensions or more, by name."""
    return [name for name, layer in model.named_modules()
            if isinstance(weight := getattr(layer, "weight", None), nn.Parameter) and weight.dim() > 1]  # fmt: skip


def _named(name: str, seed: int, planted: bool) -> str:
    return f"{name}-{'planted' if planted else 'twin'}-{seed}"


def _start(seed: int, without: str = "") -> tuple[np.random.Generator, Task, Recipe]:
    """The draws of a seed. without: an optimizer that is left out."""
    rng = np.random.default_rng((seed, 7))
    task = task_of(seed)
    return rng, task, recipe(rng, {name: rates for name, rates in task.rates.items() if name != without})


def _member(name: str, folder: Path, seed: int, planted: bool, task: Task, model: nn.Module,
            proof: dict[str, float], parent: nn.Module | None = None) -> Member:  # fmt: skip
    """The files and the spec, with the claimed parent as a folder of its own."""
    claimed = None
    if parent is not None:
        entry = task.write(folder / "parent", "parent", parent, {}, None)
        claimed = {**entry, **{key: f"parent/{entry[key]}" for key in ("path", "weights") if key in entry}}
    origin = {} if parent is None else {"from": "parent"}
    more = {"history": {**HISTORY, **origin}}
    task.write(folder, _named(name, seed, planted), model, more, claimed)
    return Member(name, folder, planted, seed, proof, _trusted(task, parent))


def _trusted(task: Task, parent: Any) -> frozenset[str]:
    """The models that come with code."""
    return frozenset(() if task.kind != "table" else ("model",) if parent is None else ("model", "parent"))


def plain(folder: Path, seed: int, given: Recipe | None = None) -> tuple[Task, Any, float, Recipe]:
    """A healthy run and its checkpoints: the task, the model, its last loss, the recipe."""
    _, task, drawn = _start(seed)
    with seeded(seed):
        model = task.net()
        loss = train(model, task.inputs, task.labels, seed, given or drawn, folder / "ckpt")
    return task, model, loss, given or drawn


def _healthy(task: Task, proof: dict[str, float], what: str) -> None:
    require(proof["accuracy"] >= task.least, f"{what}: the model learned its task", proof)


def frozen_layer(folder: Path, seed: int, planted: bool) -> Member:
    """A layer whose gradient was switched off by mistake for the whole run."""
    rng, task, given = _start(seed)
    with seeded(seed):
        model = task.net()
        layer = str(rng.choice(matrices(model)))
        if planted:
            model.get_submodule(layer).requires_grad_(False)
        start = model.get_submodule(layer).weight.detach().clone()
        train(model, task.inputs, task.labels, seed, given, folder / "ckpt")
    moved = float((model.get_submodule(layer).weight.detach() - start).norm() / start.norm())
    proof = {"moved": moved, "accuracy": task.score(model)}
    require((moved == 0) is planted, "frozen_layer: whether the layer stayed where it was", proof)
    _healthy(task, proof, "frozen_layer")
    return _member("frozen_layer", folder, seed, planted, task, model, proof)


def hasty_layer(folder: Path, seed: int, planted: bool) -> Member:
    """A layer in a group of its own whose learning rate is a hundred times that of the others, which all do well.

    By Adam and AdamW, whose steps are as long as the learning rate. Under SGD a step is the rate times the gradient,
    and gradients of healthy layers differ as much as a planted rate does.
    """
    rng, task, given = _start(seed, without="sgd")
    with seeded(seed):
        model = task.net()
        start = deepcopy(model.state_dict())
        layer = str(rng.choice(matrices(model)))
        names = [f"{layer}.{name}" for name, _ in model.get_submodule(layer).named_parameters()]
        train(model, task.inputs, task.labels, seed, given, None if planted else folder / "ckpt")
        proof = {"accuracy": task.score(model), "times": TIMES if planted else 1.0}
        _healthy(task, proof, "hasty_layer")
        if planted:
            model.load_state_dict(start)
            hasty = replace(given, times=dict.fromkeys(names, TIMES))
            loss = train(model, task.inputs, task.labels, seed, hasty, folder / "ckpt")
            finite = all(bool(value.isfinite().all()) for value in model.state_dict().values())
            proof |= {"loss": loss, "hasty": task.score(model)}
            require(finite and bool(np.isfinite(loss)), "hasty_layer: the run stays finite", proof)
    return _member("hasty_layer", folder, seed, planted, task, model, proof)


def swapped_checkpoints(folder: Path, seed: int, planted: bool) -> Member:
    """Two checkpoints in each other's place: neighbours for even seeds, else any two; never the first or the last."""
    rng = np.random.default_rng((seed, 8))
    task, model, _, given = plain(folder, seed)
    first, second = sorted(1 + rng.choice(given.checkpoints - 1, size=2, replace=False))
    if seed // 3 % 2 == 0:
        second = min(first + 1, given.checkpoints - 1)
        first = second - 1
    paths = [named(folder / "ckpt", int(place) * given.every) for place in (first, second)]
    one, other = (load_file(path) for path in paths)
    apart = max(float((one[name].float() - other[name].float()).norm()) for name in one if one[name].dim() > 1)
    if planted:
        paths[0].rename(folder / "aside")
        paths[1].rename(paths[0])
        (folder / "aside").rename(paths[1])
    proof = {"places": float(second - first) * planted, "apart": apart, "accuracy": task.score(model)}
    require(apart > 0, "swapped_checkpoints: the two differ", proof)
    _healthy(task, proof, "swapped_checkpoints")
    return _member("swapped_checkpoints", folder, seed, planted, task, model, proof)


def edited_weights(folder: Path, seed: int, planted: bool) -> Member:
    """Weights edited by hand between two checkpoints, after which training went on: a neuron set to zero, a layer
    scaled by 1.3, or noise of 30% of its norm added to a layer."""
    rng, task, given = _start(seed)
    with seeded(seed):
        model = task.net()
        names = [name for name in matrices(model) if not isinstance(model.get_submodule(name), nn.Embedding)]
        weight = model.get_submodule(str(rng.choice(names))).weight
        way, when = seed // 3 % 3, given.every * int(rng.integers(2, given.checkpoints - 1))
        when += int(rng.integers(1, given.every))
        row = int(rng.integers(len(weight)))
        by = []

        def edit(step: int) -> None:
            if planted and step == when:
                before = weight.detach().clone()
                _edit(weight.data, way, row, torch.Generator().manual_seed(seed))
                by.append(float((weight.detach() - before).norm() / before.norm()))

        train(model, task.inputs, task.labels, seed, given, folder / "ckpt", edit)
    proof = {"changed": by[0] if by else 0.0, "accuracy": task.score(model)}
    require(
        (proof["changed"] > 0.05) is planted, "edited_weights: share of the layer's norm that the edit moved", proof
    )
    _healthy(task, proof, "edited_weights")
    return _member("edited_weights", folder, seed, planted, task, model, proof)


def _edit(weight: Tensor, way: int, row: int, generator: torch.Generator) -> None:
    match way:
        case 0:
            weight[row] = 0.0
        case 1:
            weight *= FACTOR
        case _:
            noise = torch.randn(weight.shape, generator=generator)
            weight += NOISE * weight.norm() / noise.norm() * noise


def claimed_parent(folder: Path, seed: int, planted: bool) -> Member:
    """A fine-tuned model whose claimed parent is another model: of the same architecture, trained on the same data from
    another start. The true parent learned half of the rows or half of the classes. Half of the heads are drawn anew,
    but none under SGD, where a new head runs ahead of the rest as a layer does whose learning rate is too high."""
    rng, task, given = _start(seed)
    rows, rest = _halves(task, rng)
    fresh_head, share = bool(rng.integers(2)) and given.optimizer != "sgd", float(rng.choice([0.1, 0.3, 0.5]))
    parent, other = (_trained(task, rows, seed + start, replace(given, resumed=None)) for start in (0, 500_000))
    with seeded(seed + 1):
        child = task.net()
        head = child.get_submodule(matrices(child)[-1])
        drawn = {name: value.clone() for name, value in head.state_dict().items()}
        child.load_state_dict(parent.state_dict())
        if fresh_head:
            head.load_state_dict(drawn)
        train(child, _rows(task.inputs, rest), task.labels[rest], seed + 1, gentler(given, share), folder / "ckpt")
    claimed = other if planted else parent
    same = [bool(torch.equal(value, claimed.state_dict()[name]))
            for name, value in load_file(named(folder / "ckpt", 0)).items() if value.dim() > 1]  # fmt: skip
    proof = {"begun_from_it": sum(same) / len(same), "accuracy": task.score(child)}
    require(sum(same) == 0 if planted else proof["begun_from_it"] >= 0.6, "claimed_parent: what it began from", proof)
    _healthy(task, proof, "claimed_parent")
    return _member("claimed_parent", folder, seed, planted, task, child, proof, claimed)


def _halves(task: Task, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """What the parent learns and what the child learns: two halves of the rows, or half of the classes and all rows."""
    if rng.integers(2):
        order = torch.tensor(rng.permutation(len(task.labels)))
        return order[: len(order) // 2], order[len(order) // 2 :]
    known = task.labels < (int(task.labels.max()) + 2) // 2
    return known.nonzero().flatten(), torch.arange(len(task.labels))


def _rows(inputs: Any, rows: Tensor) -> Any:
    return {name: value[rows] for name, value in inputs.items()} if isinstance(inputs, dict) else inputs[rows]


def _trained(task: Task, rows: Tensor, seed: int, given: Recipe) -> Any:
    with seeded(seed):
        model = task.net()
        train(model, _rows(task.inputs, rows), task.labels[rows], seed, given)
    return model
