"""A published model on real photographs: the shipped spec runs, and a wrong normalization is seen."""

import runpy
import shutil
from pathlib import Path
from typing import Any

import pytest

from auditor.audit import Options, run
from auditor.errors import RefusedError

SPECS = Path(__file__).parents[2] / "specs"

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the spec, the photographs and the class names."""
    folder = tmp_path_factory.mktemp("imagenet")
    shutil.copy(SPECS / "imagenet-efficientnet.yaml", folder)
    runpy.run_path(str(SPECS / "assets" / "make_photographs.py"))["main"](folder / "assets")
    return folder


def options(root: Path, **more: Any) -> Options:
    return Options(out=root / "runs", cache=root / "cache", **more)


def test_the_spec_passes_with_consent_and_is_refused_without(root: Path) -> None:
    spec = root / "imagenet-efficientnet.yaml"
    with pytest.raises(RefusedError, match="--trust efficientnet"):
        run(spec, options(root))
    outcome = run(spec, options(root, trust=frozenset({"efficientnet"})))
    assert outcome.exit_code == 0, outcome.report.audit.reason
    ref = outcome.report.models["efficientnet"]
    assert (ref.trust, ref.parameters, ref.outputs, ref.assumptions) == ("code", 4_652_008, 1000, ())


def test_imagenets_own_normalization_makes_the_daisy_a_lampshade(root: Path) -> None:
    from auditor.artifacts.roots import Batches, Model
    from auditor.registry import Registry
    from auditor.sources import data, labels, models
    from auditor.sources.steps import IMAGENET_MEAN, IMAGENET_STD, Steps, overridden
    from auditor.spec.load import load
    from auditor.spec.options import Transforms
    from auditor.subject import Runtime

    spec = load(root / "imagenet-efficientnet.yaml", Registry()).spec
    ref = models.describe(spec.models["efficientnet"], root)
    matched = labels.match(ref, data.describe(spec.data["data"], root))
    loaded = Model(ref, Runtime()).load(root)
    wrong = overridden(Steps.model_validate(ref.preprocess), Transforms(mean=IMAGENET_MEAN, std=IMAGENET_STD))
    named = []
    for preprocess in (ref.preprocess, wrong.to_json()):
        fed = ref.model_copy(update={"preprocess": preprocess})
        found = []
        for batch in Batches(fed, matched, Runtime(batch_size=8)).load(root):
            predicted = loaded.logits(batch.inputs).argmax(1).tolist()
            pairs = zip(batch.labels.tolist(), predicted, strict=True)
            found += [ref.classes[guess] for label, guess in pairs if ref.classes[label] == "daisy"]
        named.append(found)
    right, lamp = named
    assert right.count("daisy") >= 6 and lamp.count("daisy") <= 2 and "lampshade" in lamp
