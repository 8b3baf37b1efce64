"""Needs: what a check asks for, addressed by content, so that equal questions are computed once."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import Enum
from functools import cached_property
from math import ceil, isfinite
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, Protocol, TypeVar

from auditor.subject import Digested
from auditor.values import Value, canonical

T_co = TypeVar("T_co", covariant=True)


def fingerprint(value: Any) -> Any:
    """Plain data that stands for a value in a content address.

    Needs stand as their key, values and frozen dataclasses as class name and fields. Raises TypeError for
    anything it cannot read, and ValueError for a non-finite number: it never guesses.
    """
    if isinstance(value, float):
        if not isfinite(value):
            raise ValueError(f"a content address cannot hold {value}")
        return value
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Need):
        return {"need": value.key}
    if isinstance(value, Enum):
        return {"enum": _name(type(value)), "name": value.name}
    if isinstance(value, Digested):
        return {"value": _name(type(value)), "digest": value.digest}
    if isinstance(value, Value):
        return {"value": _name(type(value)), "fields": value.to_json()}
    return _fingerprint_container(value)


def _fingerprint_container(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [fingerprint(item) for item in value]
    if isinstance(value, frozenset):
        return {"set": sorted((fingerprint(item) for item in value), key=canonical)}
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise TypeError("a content address reads only mappings with text keys")
        return {key: fingerprint(item) for key, item in value.items()}
    if hasattr(value, "__dataclass_fields__") and type(value).__dataclass_params__.frozen:
        return {"value": _name(type(value)), "fields": _fields(value)}
    raise TypeError(f"a content address cannot read {type(value).__qualname__}; give it plain, frozen values")


def _fields(value: Any) -> dict[str, Any]:
    return {field.name: fingerprint(getattr(value, field.name)) for field in fields(value)}


def _name(cls: type) -> str:
    return f"{cls.__module__}:{cls.__qualname__}"


class Cost(Value):
    """What computing a need takes, in counts (seconds only where an earlier run recorded them)."""

    forwards: int = 0
    backwards: int = 0
    training_steps: int = 0
    products: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(**{name: getattr(self, name) + getattr(other, name) for name in type(self).model_fields})


@dataclass(frozen=True)
class Need(ABC, Generic[T_co]):
    """Something computed once, whoever asks: equal fields and equal upstream needs are the same need.

    version: raised when the computation changes its meaning. stored: False for live things (a module, a loader)
    that are rebuilt in each process. tensors: False for what is computed without torch, so that it is not waited for.
    artifact: the class of the result, from which the store decodes it.
    """

    version: ClassVar[int] = 1
    stored: ClassVar[bool] = True
    tensors: ClassVar[bool] = True
    artifact: ClassVar[type]

    def needs(self) -> Mapping[str, "Need[Any]"]:
        """What it is built from, by the name under which build() receives it."""
        return {}

    def cost(self) -> Cost:
        """What building it takes beyond its upstream needs."""
        return Cost()

    @property
    def title(self) -> str:
        """A few words for plans and progress."""
        return type(self).__name__

    @cached_property
    def key(self) -> str:
        """The content address: sha256 of class, version, fields and upstream keys."""
        upstream = {name: need.key for name, need in self.needs().items()}
        plain = {
            "class": _name(type(self)),
            "version": self.version,
            "fields": _fields(self),
            "upstream": upstream,
        }
        return hashlib.sha256(canonical(plain)).hexdigest()

    def draw_seed(self, run_seed: int) -> int:
        """The seed of all its randomness: 63 bits of sha256(run seed, class, own fields), so order changes nothing."""
        plain = {"seed": run_seed, "class": _name(type(self)), "fields": _fields(self)}
        return int.from_bytes(hashlib.sha256(canonical(plain)).digest()[:8], "big") >> 1


class Tell(Protocol):
    """Told how far a build is: steps done, steps in all (0: unknown), and how it goes, in a few words."""

    def __call__(self, done: int, total: int, said: str = "", /) -> None: ...


class Derived(Need[T_co]):
    """A need built from other artifacts, which arrive by name."""

    @abstractmethod
    def build(self, *args: Any, **upstream: Any) -> T_co:
        """Compute it. `upstream` holds the artifacts named by needs(). Torch is imported inside.

        For builds that take long, a parameter named `progress` receives a Tell, and one named `scratch` the path of a
        folder of its own (not made yet): what a killed build left there is there again when the same need is built
        anew, until its artifact is stored.
        """


class Live(Need[T_co]):
    """A root that is loaded in each process from files below the audit's root folder: a module, a data loader."""

    stored: ClassVar[bool] = False

    @abstractmethod
    def load(self, root: Path, **upstream: Any) -> T_co:
        """Load it. `root` is where relative paths begin; digests are checked again. Torch is imported inside."""


TapKind = Literal["input", "input_gradient", "activation", "activation_gradient", "units"]


@dataclass(frozen=True, order=True)
class Tap:
    """What a sweep must keep of a pass: the input where gradients are taken (token embeddings of a text) or the
    gradient there, or a layer's activation or its gradient.

    layer: a dotted module name, or "auto" for the last layer with spatial extent; "" for the input. units: what the
    units of all layers that a pattern means did (methods/units.py), by layer name; the pattern stands in `layer`.
    """

    kind: TapKind
    layer: str = ""


@dataclass(frozen=True)
class Target:
    """Whose logit is explained: predicted (default), label, or class:K."""

    name: str = "predicted"


class Batched(Protocol):
    """What a sweep asks of its batches, torch-free."""

    @property
    def rows(self) -> int: ...
    @property
    def batch_size(self) -> int: ...


@dataclass(frozen=True)
class Sweep:
    """One pass of a model over batches with one target; all probes on equal sweeps share it."""

    model: Need[Any]
    batches: Need[Any]
    target: Target = Target()

    def batch_count(self, rows: int | None) -> int:
        """Batches needed for the first `rows` rows (None: all)."""
        batches: Batched = self.batches  # type: ignore[assignment]  # a Need that is Batched; Protocols cannot be mixed in here
        wanted = batches.rows if rows is None else min(rows, batches.rows)
        return ceil(wanted / batches.batch_size)


@dataclass(frozen=True)
class Step:
    """What a collector sees of one batch; tensors stay on the device, and `start` is the row of its first example.

    examples: digests of the examples. taps: tensor by tap, present only for the batches that some probe asked for.
    layers: the dotted module name that "auto" became. inputs are what the model really saw. halved: how often the
    batch size had to be halved so far because memory ran out. loader: where `batch` comes from, for shown(places).
    """

    start: int
    inputs: Any
    logits: Any
    targets: Any
    labels: Any
    examples: tuple[str, ...]
    taps: Mapping[Tap, Any]
    layers: Mapping[Tap, str]
    batch: Any
    halved: int = 0
    loader: Any = None


class Collector(ABC, Generic[T_co]):
    """Gathers one artifact batch by batch; an exception in it fails its own probe only."""

    @abstractmethod
    def see(self, step: Step) -> None:
        """Take what it needs from one batch (already cut to the rows its probe asked for)."""

    @abstractmethod
    def result(self) -> T_co:
        """The artifact, once all its rows were seen."""


@dataclass(frozen=True)
class Probe(Need[T_co]):
    """A need gathered during a sweep. taps: what it wants kept; rows: the first rows only, None for all. finite: False
    where it wants to see logits that are not finite, which else fail it."""

    finite: ClassVar[bool] = True
    sweep: Sweep
    taps: frozenset[Tap] = frozenset()
    rows: int | None = None

    def needs(self) -> Mapping[str, Need[Any]]:
        """The model and the batches of its sweep."""
        return {"model": self.sweep.model, "batches": self.sweep.batches}

    @abstractmethod
    def collect(self) -> Collector[T_co]:
        """A fresh collector."""
