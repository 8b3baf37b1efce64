"""A catalogue of made-up checks, and a folder with files that specs may name."""

from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
from pydantic import Field

from auditor.evidence import Metric
from auditor.values import Value


class Performance(Value):
    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(name="accuracy", doc="Share of right answers.", interval="wilson", resampling="example"),
        Metric(name="log_loss", doc="Mean negative log-likelihood.", better="down", unit="nats"),
        Metric(name="mcc", doc="Matthews correlation."),
        Metric(name="never_predicted", doc="Classes never predicted.", better="down"),
        Metric(name="drop", doc="Drop in percentage points.", better="down", unit="pp"),
    )
    top: int = Field(5, ge=1, le=100, description="k of the top-k accuracy.")
    average: Literal["macro", "micro"] = Field("macro", description="How classes are averaged.")


class Saliency(Value):
    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(name="all_zero_share", doc="Share of maps that are zero everywhere.", better="down"),
        Metric(name="concentration", doc="Gini of the map.", thresholdable=False),
    )
    examples: int = Field(8, ge=1, description="Pictures shown.")
    smooth: float = Field(0.0, ge=0, description="Noise of SmoothGrad, a share of the range.")
    layers: tuple[str, ...] = Field((), description="Layers shown.")


class Drift(Value):
    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[Metric, ...]] = (Metric(name="flipped_share", doc="Flipped answers.", better="down"),)
    train: str | None = Field(None, description="The data it was trained on.", json_schema_extra={"data": True})


class GradCam(Value):
    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[Metric, ...]] = (Metric(name="all_zero_share", doc="Zero maps.", better="down"),)


class ChangeRate(Value):
    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[Metric, ...]] = (Metric(name="early_rate_ratio", doc="Early rates.", better="down"),)


class Convergence(Value):
    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[Metric, ...]] = (Metric(name="loss_auc_validation", doc="Mean loss.", better="down"),)


class GradientNorm(Value):
    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(name="vanishing_layers", doc="Layers without gradient.", better="down"),
        Metric(name="exploding_layers", doc="Layers with a runaway gradient.", better="down"),
    )


class Catalogue:
    """Names and classes; `asked` records which classes were imported."""

    def __init__(self) -> None:
        self.classes: dict[str, type[Value]] = {
            "task.performance": Performance,
            "interpretability.saliency": Saliency,
            "interpretability.drift": Drift,
            "interpretability.grad_cam": GradCam,
            "traceability.change_rate": ChangeRate,
            "optimizability.convergence": Convergence,
            "optimizability.gradient_norm": GradientNorm,
        }
        self.asked: list[str] = []

    def names(self) -> tuple[str, ...]:
        return tuple(sorted(self.classes))

    def check(self, use: str) -> Any:
        self.asked.append(use)
        return self.classes[use]


@pytest.fixture
def catalogue(monkeypatch: pytest.MonkeyPatch) -> Catalogue:
    """Made-up checks, and presets of their own that use them: the language does not depend on the shipped ones."""
    monkeypatch.setattr("auditor.spec.layers.PRESETS", Path(__file__).parent / "presets")
    return Catalogue()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own, with a model, data and a file outside of it; HOME is empty."""
    root = tmp_path / "project"
    for folder in ("models/reviews", "pictures/train", "pictures/eval", "ckpt"):
        (root / folder).mkdir(parents=True)
    (root / ".git").mkdir()
    (root / "test.csv").write_text("review,stars\n")
    for name in ("weights.safetensors", "ckpt/step-10.safetensors", "ckpt/step-20.safetensors"):
        (root / name).write_bytes(b"")
    (tmp_path / "secret.csv").write_text("a,b\n")
    (root / "linked.csv").symlink_to(tmp_path / "secret.csv")
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(root)
    return root
