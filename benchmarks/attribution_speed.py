"""Attribution speed: the attribution part of the preset through the engine, and asked one by one through captum.

PYTHONPATH=. python benchmarks/attribution_speed.py --model efficientnet [--photographs 4] [--repeats 2]
    [--precision bfloat16] [--parts shared occlusion ...]

CPU seconds of this process on one thread, both sides in turn (A B A B), medians. The model is loaded before the clock
runs; photographs are decoded, and the quick copy is made, while it runs.
"""

import argparse
import runpy
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor

from auditor.artifacts.explanations import AttributionsNeed, context_of, maps_of
from auditor.artifacts.faithfulness import faithfulness_of, methods_for
from auditor.artifacts.placed import placed
from auditor.artifacts.predictions import predictions_of
from auditor.artifacts.quick import quick_of
from auditor.artifacts.roots import sweep_of
from auditor.execute.sweep import sweep
from auditor.methods.attribution.removal import FILLS, Removal, removal_of
from auditor.methods.attribution.smoothgrad import noise_of, own_range
from auditor.methods.trust.curves import Orders, orders_of
from auditor.methods.trust.faithfulness import Chains
from auditor.methods.trust.naopc import subsets
from auditor.needs import Live, Need, Probe
from auditor.registry import Registry
from auditor.sources import data, labels, models
from auditor.spec.load import load
from auditor.spec.model import ModelEntry
from auditor.subject import Runtime, Subject
from benchmarks.through_captum import BATCH, Captum, Question

SPECS = Path(__file__).parents[1] / "specs"
SHARED = ("saliency", "input_x_gradient", "grad_cam")
MANY = ("smoothgrad", "integrated_gradients", "occlusion")
PARTS = ("shared", *MANY, "faithfulness")
SETTINGS = {"points": 16, "nulls": 8, "grid": 16, "groups": 6, "scale": "logit"}
"""The defaults of interpretability.faithfulness."""


def subject_of(model: str, photographs: int, precision: Any, root: Path) -> Subject:
    """EfficientNet-Lite0 with its ImageNet weights, or a seeded random resnet18, and views of five photographs."""
    runpy.run_path(str(SPECS / "assets" / "make_photographs.py"))["main"](root / "assets")
    shutil.copy(SPECS / "imagenet-efficientnet.yaml", root)
    spec = load(root / "imagenet-efficientnet.yaml", Registry()).spec
    entry = spec.models["efficientnet"] if model == "efficientnet" else _random(root)
    views = spec.data["data"]
    views = views.model_copy(update={"options": {**views.options, "sample": {"n": photographs}}})
    ref = models.describe(entry, root)
    runtime = Runtime(batch_size=BATCH, precision=precision)
    return Subject(model=ref, data=labels.match(ref, data.describe(views, root)), runtime=runtime)


def _random(root: Path) -> ModelEntry:
    from safetensors.torch import save_file
    from torchvision.models import resnet18

    torch.manual_seed(0)
    save_file(resnet18().state_dict(), root / "resnet18.safetensors")
    classes = tuple((root / "assets" / "imagenet-classes.txt").read_text().splitlines())
    options = {"arch": "resnet18", "weights": "resnet18.safetensors", "classes": classes}
    return ModelEntry(name="resnet18", source="torchvision", options=options)


@dataclass
class Clock:
    """CPU seconds by part."""

    seconds: dict[str, float] = field(default_factory=dict)

    def of(self, part: str, work: Callable[[], Any]) -> Any:
        """What the work gives; its seconds are noted."""
        started = time.process_time()
        found = work()
        self.seconds[part] = self.seconds.get(part, 0.0) + time.process_time() - started
        return found


@dataclass
class Ours:
    """The real needs, made in this process without a store; each is made once a run."""

    subject: Subject
    root: Path
    roots: dict[str, Any] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """All photographs."""
        assert self.subject.data is not None
        return self.subject.data.used

    def maps(self, method: str) -> Need[Any]:
        """The need of one method's maps."""
        return maps_of(self.subject, method, self.rows)

    def faithfulness(self) -> Any:
        """The need of the default methods' faithfulness."""
        return faithfulness_of(self.subject, methods_for(self.subject), self.rows, "predicted", **SETTINGS)

    def probes(self) -> dict[str, Probe[Any]]:
        """What one sweep answers."""
        return {"predictions": predictions_of(self.subject), **{name: self.maps(name) for name in SHARED}}  # type: ignore[dict-item]

    def run(self, parts: tuple[str, ...], clock: Clock) -> dict[str, Any]:
        """The artifacts by name; the shared sweep always runs, since all else explains what it predicts."""
        made = {need.key: self.live(need) for need in (sweep_of(self.subject).model, sweep_of(self.subject).batches)}
        found: dict[str, Any] = {}
        asked = self.probes()
        smooth = self.maps("smoothgrad")
        assert isinstance(smooth, AttributionsNeed)
        asked["explained"] = smooth.needs()["explained"]  # type: ignore[assignment]  # a probe, which many passes need
        answers = clock.of("shared", lambda: self.swept(asked))
        found |= {name: answers[probe.key] for name, probe in asked.items()}
        made |= answers
        if any(part != "shared" for part in parts):
            clock.of("copy", lambda: self.make(quick_of(sweep_of(self.subject)), made))
        for part in parts:
            if part != "shared":
                need = self.maps(part) if part in MANY else self.faithfulness()
                found[part] = clock.of(part, lambda need=need: self.make(need, made))  # type: ignore[misc]
        return found

    def swept(self, probes: dict[str, Probe[Any]]) -> dict[str, Any]:
        """One pass for all probes."""
        roots = sweep_of(self.subject)
        return sweep(list(probes.values()), self.live(roots.model), self.live(roots.batches))

    def live(self, need: Need[Any]) -> Any:
        """A root, loaded once for all runs."""
        if need.key not in self.roots:
            assert isinstance(need, Live)
            self.roots[need.key] = need.load(self.root)
        return self.roots[need.key]

    def make(self, need: Need[Any], made: dict[str, Any]) -> Any:
        """The artifact of a need, from those made before."""
        if need.key not in made:
            upstream = {name: self.make(each, made) for name, each in need.needs().items()}
            made[need.key] = need.load(self.root, **upstream) if isinstance(need, Live) else need.build(**upstream)  # type: ignore[attr-defined]
        return made[need.key]


@dataclass
class Theirs:
    """The same questions through captum, at the same places; what only says where to ask is not timed."""

    ours: Ours
    found: dict[str, Any]

    @cached_property
    def context(self) -> Any:
        """Seeds of smoothgrad's need."""
        need: Any = self.ours.maps("smoothgrad")
        return context_of(self.loader, need.draw_seed(need.run_seed))

    @property
    def loader(self) -> Any:
        """The photographs."""
        return self.ours.live(sweep_of(self.ours.subject).batches)

    @cached_property
    def pictures(self) -> Tensor:
        """All photographs as the model takes them."""
        return torch.cat([batch.inputs for batch in self.loader])

    @cached_property
    def noise(self) -> Tensor:
        """SmoothGrad's noise for each photograph."""
        drawn = noise_of(self.pictures, 16, self.context.generator())
        return 0.15 * own_range(self.pictures)[:, None, None, None, None] * drawn

    @cached_property
    def removals(self) -> list[Removal]:
        """Cells and fills of faithfulness."""
        return [removal_of(self.pictures, fill, self.context) for fill in FILLS["image"]]

    @cached_property
    def cells(self) -> Removal:
        """Cells of occlusion."""
        return removal_of(self.pictures, "mean", self.context, 8)

    @cached_property
    def orders(self) -> tuple[Orders, Chains]:
        """The orders that the engine drew; of up to one batch of photographs."""
        need = self.ours.faithfulness()
        maps = [self.found[name] for name in methods_for(self.ours.subject)]
        batch, *others = placed(self.loader, maps)
        assert not others, f"the plain loop takes up to {BATCH} photographs"
        generator = torch.Generator().manual_seed(need.draw_seed(need.run_seed) ^ batch.start)
        cells = torch.stack([self.removals[0].on_parts(each) for each in batch.maps])
        orders = orders_of(self.removals[0], cells, SETTINGS["points"], SETTINGS["nulls"], generator)
        return orders, Chains(self.removals[0], cells, SETTINGS["groups"], generator)

    @cached_property
    def questions(self) -> list[Question]:
        """Every curve from its first point to its last, fill by fill, and all sets of groups."""
        orders, chains = self.orders
        counts, inner = orders.counts[:, :, None], orders.counts[:, 1:-1, None]
        n, _, parts = orders.random.shape
        none, every = torch.zeros(n, 1, parts, dtype=torch.bool), torch.ones(n, 1, parts, dtype=torch.bool)
        asked = []
        for each, moved in zip(orders.maps, orders.nulls[:, :, :, 0], strict=True):
            asked += [each[:, None] < counts, each[:, None] >= counts]
            asked += [torch.cat([none, moved < inner, every], 1), torch.cat([every, moved >= inner, none], 1)]
        asked += [torch.cat([none, orders.random < inner, every], 1), chains.asked(subsets(SETTINGS["groups"]))]
        return [Question(removed, removal.gone) for removal in self.removals for removed in asked]

    def run(self, parts: tuple[str, ...], clock: Clock) -> dict[str, Any]:
        """What captum and the plain loop give, by part."""
        module, scores = self.ours.live(sweep_of(self.ours.subject).model).module, self.found["explained"].scores
        layer, places = self.found["grad_cam"].layer, self.removals[0].places
        pictures = clock.of("shared", lambda: torch.cat([batch.inputs for batch in self.loader]))
        side = Captum(module, pictures, torch.from_numpy(self.found["explained"].targets), float(scores.std()))
        noise, asked = (
            (self.noise if "smoothgrad" in parts else None),
            (self.questions if "faithfulness" in parts else ()),
        )
        work: dict[str, Callable[[], Any]] = {
            "shared": lambda: {
                "predictions": side.predictions(),
                "saliency": side.saliency(),
                "input_x_gradient": side.input_x_gradient(),
                "grad_cam": side.grad_cam(layer),
            },
            "smoothgrad": lambda: side.smoothgrad(noise),
            "integrated_gradients": side.integrated_gradients,
            "occlusion": lambda: side.occlusion(self.cells.places, self.cells.gone),
            "faithfulness": lambda: side.faithfulness(asked, places),
        }
        found = {part: clock.of(part, work[part]) for part in parts}
        return found.pop("shared", {}) | found


def far(ours: Any, theirs: Any) -> float:
    """The largest difference relative to the largest value."""
    a, b = torch.as_tensor(ours).double(), torch.as_tensor(theirs).detach().double()
    assert a.shape == b.shape, (a.shape, b.shape)
    return float((a - b).abs().max() / b.abs().max())


def ranked(ours: Any, theirs: Any) -> float:
    """The lowest Spearman correlation of two sets of maps."""
    from scipy.stats import spearmanr

    pairs = zip(torch.as_tensor(ours).flatten(1), torch.as_tensor(theirs).detach().flatten(1), strict=True)
    return min(float(spearmanr(a.numpy(), b.numpy()).statistic) for a, b in pairs)


def same(found: dict[str, Any], other: dict[str, Any], asked: Theirs) -> dict[str, tuple[float, float]]:
    """By part the largest relative difference, and the lowest rank correlation of its maps or curves."""
    pairs: dict[str, tuple[Any, Any]] = {}
    for name in other:
        if name == "predictions":
            pairs[name] = found[name].logits, other[name]
        elif name == "integrated_gradients":
            pairs[name] = found[name].maps, other[name][0]
            assert found[name].facts["steps"].tolist() == other[name][1].tolist(), "steps differ"
        elif name == "occlusion":
            first = [int((asked.cells.places.flatten() == cell).nonzero()[0]) for cell in range(asked.cells.parts)]
            pairs[name] = found[name].maps.reshape(len(other[name]), -1), other[name].flatten(1)[:, first]
        elif name == "faithfulness":
            pairs |= curves(found[name], other[name], asked)
        else:
            pairs[name] = found[name].maps, other[name]
    return {name: (far(*pair), ranked(*pair)) for name, pair in pairs.items()}


def curves(found: Any, answers: list[Tensor], asked: Theirs) -> dict[str, tuple[Any, Any]]:
    """The engine's curves beside the plain loop's, and NAOPC of both."""
    names = ("deletion", "insertion", "deletion_null", "insertion_null")
    each = len(answers) // 2
    fills = [answers[:each], answers[each:]]
    methods = range(len(found.methods))
    plain = {name: torch.stack([torch.stack([fill[4 * at + place] for fill in fills]) for at in methods])
             for place, name in enumerate(names)}  # fmt: skip
    pairs = {name: (getattr(found, name).reshape(-1, 17), plain[name].reshape(-1, 17)) for name in names}
    pairs["random"] = found.random.reshape(-1, 17), torch.stack([fill[-2] for fill in fills]).reshape(-1, 17)
    tables = torch.stack([asked.orders[1].exact(fill[-1])[0] for fill in fills], dim=1)
    pairs["naopc"] = found.naopc.reshape(len(found.methods), -1), tables.reshape(len(found.methods), -1)
    return pairs


def main() -> None:
    """Both sides in turn, a table, and how equal they are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=("efficientnet", "resnet18"), default="efficientnet")
    parser.add_argument("--photographs", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    options = parser.parse_args()
    parts = tuple(options.parts)
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", message="Input Tensor 0 did not already require gradients")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        ours = Ours(subject_of(options.model, options.photographs, options.precision, root), root)
        measure(ours, parts, options.repeats)


def measure(ours: Ours, parts: tuple[str, ...], repeats: int) -> None:
    """A B A B; the first rounds of each side prepare nothing for the second."""
    mine: list[dict[str, float]] = []
    plain: list[dict[str, float]] = []
    for _ in range(repeats):
        clock = Clock()
        found = ours.run(parts, clock)
        mine.append(clock.seconds)
        clock, asked = Clock(), Theirs(ours, found)
        other = asked.run(parts, clock)
        plain.append(clock.seconds)
        print(f"engine {sum(mine[-1].values()):.1f} s, one by one {sum(plain[-1].values()):.1f} s", file=sys.stderr)
    print("| part | one by one | engine | times less |\n|---|---|---|---|")
    for part in dict.fromkeys((*plain[0], *mine[0])):
        line(part, [each.get(part, 0.0) for each in plain], [each.get(part, 0.0) for each in mine])
    line("all", [sum(each.values()) for each in plain], [sum(each.values()) for each in mine])
    print("\n| values | largest difference, relative | lowest rank correlation |\n|---|---|---|")
    for name, (difference, rank) in same(found, other, asked).items():
        print(f"| {name} | {difference:.0e} | {rank:.5f} |")


def line(part: str, plain: list[float], mine: list[float]) -> None:
    """A row of the table, with medians."""
    a, b = median(plain), median(mine)
    print(f"| {part} | {a:.2f} s | {b:.2f} s | {f'{a / b:.2f}' if b else ''} |")


if __name__ == "__main__":
    main()
