"""A rich made-up report: every outcome, every kind of block, waivers, gaps; its numbers mean nothing."""

import base64
import io
import math
from functools import lru_cache
from typing import Any

from auditor.blocks import (
    Bar,
    Bars,
    Heatmap,
    Images,
    Line,
    Lines,
    Picture,
    PictureRow,
    Table,
    Text,
    TokenMap,
    Tokens,
)
from auditor.check import About, Pillar
from auditor.evidence import Counts, Enclosure, Failure, Moments
from auditor.judge.verdict import AuditOutcome, NotTested, Outcome, Shown, Verdict
from auditor.results import Audit, Provenance, Report, Result, Run
from auditor.spec.model import CheckEntry, Context, DataEntry, ModelEntry, Rule, Spec, Waiver
from auditor.subject import DataRef, FileRef, History, ModelRef, Recipe

PRESET = "auditor:vision-classifier@1"
FLOWERS = ("daisy", "dandelion", "rose", "sunflower", "tulip")


def digest(seed: int) -> str:
    """Sixty-four hex digits that look like a digest."""
    return f"{(seed * 0x9E3779B97F4A7C15F39CC0605CEDC8341082276BF3A27251F86C6A11D0C18E95) % 2**256:064x}"


@lru_cache(maxsize=8)
def _photograph(at: int, side: int) -> Any:
    """A square crop of a sample photograph of scikit-learn, as a PIL image."""
    from PIL import Image
    from sklearn.datasets import load_sample_images

    photograph = Image.fromarray(load_sample_images().images[at % 2])
    left = (0, 60, 150, 210)[at % 4]
    return photograph.crop((left, 0, left + 420, 420)).resize((side, side))


def picture(at: int, caption: str = "", *, overlay: bool = False, side: int = 200) -> Picture:
    """A photograph, or the photograph under a made-up map."""
    import numpy as np
    from matplotlib import colormaps
    from PIL import Image

    image = _photograph(at, side)
    if overlay:
        y, x = np.mgrid[0:side, 0:side] / side
        blob = np.exp(-(((x - 0.3 - 0.12 * at) ** 2 + (y - 0.55 + 0.05 * at) ** 2) / 0.05))
        heat = (colormaps["inferno"](blob)[..., :3] * 255).astype("uint8")
        image = Image.blend(image, Image.fromarray(heat), 0.55)
    file = io.BytesIO()
    image.save(file, format="JPEG", quality=80)
    data = base64.b64encode(file.getvalue()).decode()
    return Picture(caption=caption, media="image/jpeg", data=data, width=side, height=side)


def about(title: str, question: str) -> About:
    """What a check says of itself, with some length."""
    return About(
        title=title,
        question=question,
        formula="gain = AUC(rolled map) − AUC(map), y_k = (f(x_k) − f(x_ref)) / (f(x) − f(x_ref))",
        method="Each picture is degraded in the order of its map, 16 steps on a 16 × 16 grid, with two fill-ins; "
        "the worse one decides. The null is the same map rolled on the torus by eight random shifts, paired.",
        reading="The gain is the area between the two curves. Zero means that the map is no better than one of "
        "equal shape in the wrong place; above zero, the marked pixels carry the logit.",
        limits="Degraded pictures are unlike the training data. The test speaks about the logit, not about causes.",
        citation="Samek et al. 2017, Evaluating the visualization of what a deep neural network has learned.",
    )


def sampled(name: str, value: float, low: float, high: float, n: int = 256, of: str = "", **more: Any) -> Shown:
    """A mean over examples with its interval."""
    half = (high - low) / 2
    spread = Moments(mean=value, sd=half * math.sqrt(n) / 1.97, n=n)
    fields: dict[str, Any] = {"method": "t", "unit_of_resampling": "example", **more}
    return Shown(name=name, of=of, value=value, n=n, low=low, high=high, distribution=spread, **fields)


def verdict(metric: str, expect: str, outcome: Any, found: Shown | None, **more: Any) -> Verdict:
    """A verdict about a measurement."""
    sign, text = expect.split()
    bound = float(text)
    fields: dict[str, Any] = {"set_by": "spec.yaml:24", "bound": bound}
    if found is not None:
        margin = found.value - bound if sign == ">=" else bound - found.value
        fields |= {"value": found.value, "low": found.low, "high": found.high, "n": found.n, "margin": margin}
    return Verdict(metric=metric, expect=expect, outcome=outcome, **{**fields, **more})


def curves() -> Lines:
    """Two curves with bands."""
    x = [100 * k / 16 for k in range(17)]
    y = [1 - 1.2 * (k / 16) ** 0.8 + 0.04 * math.sin(k) for k in range(17)]
    rolled = [1 - 0.9 * (k / 16) ** 1.6 for k in range(17)]
    line = Line(
        label="Grad-CAM", x=tuple(x), y=tuple(y), low=tuple(v - 0.15 for v in y), high=tuple(v + 0.12 for v in y)
    )
    null = Line(
        label="same, rolled",
        x=tuple(x),
        y=tuple(rolled),
        low=tuple(v - 0.1 for v in rolled),
        high=tuple(v + 0.1 for v in rolled),
    )
    return Lines(
        title="Deletion",
        reading="Blurring pixels in Grad-CAM's order takes the logit away sooner than the rolled map does.",
        x_label="pixels blurred away, %",
        y_label="share of the logit left",
        lines=(line, null),
    )


def training() -> Lines:
    """Five seeds of a fine-tune on a log scale, densely recorded."""
    lines = tuple(
        Line(
            label=f"seed {s}",
            x=tuple(float(k) for k in range(200)),
            y=tuple(2.1 * math.exp(-k / (28 + 4 * s)) + 0.04 + 0.02 * abs(math.sin(k * (s + 2))) for k in range(200)),
        )
        for s in range(5)
    )
    return Lines(
        title="Training loss",
        reading="Each line is one seed; the spread between them is what luck does.",
        x_label="optimizer step",
        y_label="loss, nats",
        lines=lines,
        y_log=True,
        marks=((60.0, "90% of the drop"),),
    )


def bars() -> Bars:
    """Recall of each class with its interval."""
    shares = (0.91, 0.88, 0.79, 0.94, 0.72)
    return Bars(
        title="Recall by class",
        reading="The bar is the share of a class that is found; the line its 95% interval.",
        x_label="recall",
        reference=(0.85, "all classes"),
        bars=tuple(
            Bar(label=name, value=v, low=v - 0.07, high=min(1, v + 0.05))
            for name, v in zip(FLOWERS, shares, strict=True)
        ),
    )


def confusion() -> Heatmap:
    """A confusion matrix with its counts."""
    values = tuple(tuple(float(40 + i if i == j else (3 * i + 5 * j) % 7) for j in range(5)) for i in range(5))
    return Heatmap(
        title="Confusion matrix",
        reading="Rows are the labels, columns the predictions; a clean model has its diagonal only.",
        rows=FLOWERS,
        columns=FLOWERS,
        values=values,
        x_label="predicted",
        y_label="label",
        value_label="pictures",
        annotate=True,
    )


def layers() -> Heatmap:
    """Change rate of twenty layers over forty records; one of them has not changed."""
    rows = tuple(f"layer{1 + i // 6}.{i % 6}.conv{1 + i % 2}.weight" for i in range(20))
    values = tuple(
        tuple(None if i == 7 else 0.02 * math.exp(-t / 15) * (1 + i / 10) + 1e-5 for t in range(40)) for i in range(20)
    )
    return Heatmap(
        title="Change rate by layer and step",
        reading="Dark is still, bright moves. A grey row holds no number.",
        rows=rows,
        columns=tuple(str(5 * t) for t in range(40)),
        values=values,
        x_label="step",
        value_label="relative change",
        log=True,
    )


def correlations() -> Heatmap:
    """A diverging matrix."""
    names = ("saliency", "input × gradient", "Grad-CAM", "integrated gradients")
    values = tuple(
        tuple(1.0 if i == j else round(math.cos(1.3 * (i + 1) * (j + 1)), 2) for j in range(4)) for i in range(4)
    )
    return Heatmap(
        title="Agreement of methods",
        reading="Signed rank correlation; blue disagrees, brown agrees.",
        rows=names,
        columns=names,
        values=values,
        annotate=True,
        diverging=True,
        value_label="rank correlation",
    )


def pictures() -> Images:
    """Four photographs, and below each its overlay."""
    captions = ("temple 0.98", "daisy 0.71", "roof 0.64", "petals 0.52")
    return Images(
        title="What the model saw, and where Grad-CAM looks",
        reading="Bright regions raise the logit of the predicted class. Predicted class and probability above.",
        rows=(
            PictureRow(label="seen by the model", pictures=tuple(picture(i, captions[i]) for i in range(4))),
            PictureRow(label="Grad-CAM", pictures=tuple(picture(i, overlay=True) for i in range(4))),
        ),
    )


def tokens() -> TokenMap:
    """Two coloured sentences."""
    text = "the plot is thin but the acting carries every single scene of this quiet little film"
    words = text.split(" ")
    scores = tuple(math.sin(3.1 * k) * (0.3 + k / len(words)) for k in range(len(words)))
    return TokenMap(
        title="Words that move the decision",
        reading="Blue raises the logit of “positive”, brown lowers it.",
        signed=True,
        texts=(
            Tokens(label="predicted positive, 0.93", tokens=tuple(words), scores=scores),
            Tokens(label="predicted negative, 0.66", tokens=tuple(reversed(words)), scores=scores),
        ),
    )


def table() -> Table:
    """A table with text, whole numbers, fractions and a gap."""
    rows = tuple(
        (f"layer{i}.weight", 1000 * i * i + 64, 0.31 / i, None if i == 3 else -0.2 + i / 10) for i in range(1, 9)
    )
    return Table(
        title="Layers",
        reading="The layers that moved most, first.",
        columns=("layer", "parameters", "change rate", "drift"),
        rows=rows,
        more=12,
    )


def result(id_: str, use: str, pillar: Pillar, title: str, question: str, outcome: Outcome, **more: Any) -> Result:
    """One check with what every check has."""
    fields: dict[str, Any] = {
        "params": {
            "methods": ["grad_cam", "saliency"],
            "steps": 16,
            "layer": "auto",
            "fill": {"mean": True, "blur": 3},
        },
        "evidence": digest(len(id_) + 7),
        "set_by": "spec.yaml:21",
        "model": "finetuned",
        "data": "eval",
    }
    return Result(id=id_, use=use, pillar=pillar, about=about(title, question), outcome=outcome, **{**fields, **more})


def _performance() -> Result:
    accuracy = Shown(
        name="accuracy",
        value=217 / 256,
        n=256,
        low=0.7984,
        high=0.8873,
        method="wilson",
        unit_of_resampling="example",
        distribution=Counts(k=217, n=256),
    )
    by_class = tuple(
        sampled("recall", 0.9 - 0.04 * i, 0.8 - 0.04 * i, 0.96 - 0.03 * i, 51, name) for i, name in enumerate(FLOWERS)
    )
    return result(
        "performance",
        "task.performance",
        "task",
        "Performance",
        "How good is the model on this data?",
        "inconclusive",
        measurements=(accuracy, *by_class),
        blocks=(confusion(), bars()),
        verdicts=(
            verdict("accuracy", ">= 0.85", "inconclusive", accuracy, would_decide="about 9,100 examples would decide"),
            verdict("recall", ">= 0.6", "pass", by_class[4], of="tulip", inherited=True, set_by=PRESET),
            verdict("recall", ">= 0.6", "pass", by_class[0], of="daisy", inherited=True, set_by=PRESET),
        ),
        metric_docs={
            "accuracy": "Share of examples whose label is predicted.",
            "recall": "Share of a class that is found.",
        },
    )


def _faithfulness() -> Result:
    gain, insertion = sampled("deletion_gain", 0.152, 0.108, 0.196), sampled("insertion_gain", 0.031, 0.004, 0.058)
    return result(
        "faithfulness",
        "interpretability.faithfulness",
        "interpretability",
        "Faithfulness",
        "Do the highlighted pixels carry the decision?",
        "fail",
        measurements=(gain, insertion),
        blocks=(pictures(), curves()),
        verdicts=(
            verdict("deletion_gain", ">= 0.05", "pass", gain, why="Model policy 4.2"),
            verdict(
                "insertion_gain",
                ">= 0.1",
                "fail",
                insertion,
                p=0.0004,
                replaced=f">= 0.05 ({PRESET})",
                reason="the whole interval lies below the bound",
            ),
        ),
        what_to_try={
            "insertion_gain": "Try integrated gradients, or a coarser layer; compare the methods on this page."
        },
        notes=("3 of 256 examples were left out: their logit does not change when everything is removed.",),
        metric_docs={
            "deletion_gain": "AUC of the rolled map minus AUC of the map.",
            "insertion_gain": "AUC of the map minus AUC of the rolled map.",
        },
    )


def _change_rate() -> Result:
    rates = tuple(
        Shown(
            name="change_rate",
            of=f"layer{1 + i // 6}.{i % 6}.conv{1 + i % 2}.weight",
            value=0.01 * (i + 1) / 7,
            n=40,
            unit_of_resampling="record",
            kind="exact",
        )
        for i in range(34)
    )
    stable = Shown(name="stability", value=0.31, n=40, unit_of_resampling="record", kind="exact")
    return result(
        "change_rate",
        "traceability.change_rate",
        "traceability",
        "Change rate",
        "Do the parameters move as a healthy fine-tune moves them?",
        "pass",
        measurements=(stable, *rates),
        blocks=(layers(), table()),
        verdicts=(verdict("stability", "<= 0.6", "pass", stable, loosened=True),),
        metric_docs={"stability": "Median absolute deviation of log(rate / learning rate)."},
    )


def _sharpness() -> Result:
    top = Shown(
        name="top_eigenvalue",
        value=771.03,
        n=1,
        low=770.81,
        high=771.25,
        method="enclosure",
        distribution=Enclosure(low=770.81, high=771.25),
    )
    return result(
        "sharpness",
        "optimizability.sharpness",
        "optimizability",
        "Sharpness",
        "How sharp is the minimum?",
        "fail",
        measurements=(top,),
        verdicts=(verdict("top_eigenvalue", "<= 250", "fail", top, waived=True),),
        data="",
        what_to_try={"top_eigenvalue": "Try a smaller learning rate or weight averaging."},
    )


def checks() -> tuple[Result, ...]:
    """One check of every outcome at least."""
    zero = Shown(
        name="all_zero_share",
        value=0.0,
        n=256,
        low=0.0,
        high=0.0148,
        method="wilson",
        unit_of_resampling="example",
        distribution=Counts(k=0, n=256),
    )
    steps = Shown(
        name="steps_to_90",
        value=61.0,
        n=5,
        unit_of_resampling="seed",
        low=44.0,
        high=78.0,
        method="t",
        distribution=Moments(mean=61.0, sd=13.7, n=5),
    )
    trend = Shown(name="trend", value=-0.0072, n=1, kind="unreplicated", unit="log norm / 100 steps", censored=True)
    return (
        _performance(),
        result(
            "data", "task.data", "task", "Data", "Can the data carry the audit?", "not_run", reason="deselected by -k"
        ),
        _faithfulness(),
        result(
            "grad_cam",
            "interpretability.grad_cam",
            "interpretability",
            "Grad-CAM",
            "Where does the model look?",
            "pass",
            measurements=(zero,),
            blocks=(pictures(),),
            verdicts=(verdict("all_zero_share", "<= 0.05", "pass", zero, inherited=True, set_by=PRESET),),
        ),
        result(
            "agreement",
            "interpretability.agreement",
            "interpretability",
            "Agreement",
            "Do the methods agree?",
            "info",
            blocks=(correlations(), Text(title="Remark", text="Two of four methods are the same up to a factor.")),
        ),
        result(
            "words",
            "interpretability.saliency",
            "interpretability",
            "Saliency",
            "Which words move the decision?",
            "warn",
            measurements=(sampled("all_zero_share", 0.03, 0.01, 0.06),),
            blocks=(tokens(),),
            verdicts=(
                verdict(
                    "all_zero_share", "<= 0.02", "fail", sampled("all_zero_share", 0.03, 0.021, 0.06), severity="warn"
                ),
            ),
        ),
        result(
            "boxes",
            "interpretability.pointing",
            "interpretability",
            "Pointing game",
            "Does it point into the box?",
            "skipped",
            reason="the data has neither boxes nor masks",
        ),
        _change_rate(),
        _sharpness(),
        result(
            "convergence",
            "optimizability.convergence",
            "optimizability",
            "Convergence",
            "How fast does it learn?",
            "pass",
            measurements=(steps, trend),
            blocks=(training(),),
            data="",
            verdicts=(verdict("steps_to_90", "<= 100", "pass", steps, inherited=True, set_by=PRESET),),
        ),
        result(
            "stability",
            "optimizability.stability",
            "optimizability",
            "Stability",
            "Is training calm at the end?",
            "error",
            data="",
            failure=Failure(
                kind="timeout",
                message="measure() ran for 1800 s, the limit of one job.",
                hint="Raise run.timeout in the spec, or take fewer steps.",
            ),
        ),
    )


def _models() -> dict[str, ModelRef]:
    weights = FileRef(path="weights/r18.safetensors", sha256=digest(3), size=46_827_520)
    common: dict[str, Any] = {
        "architecture": "resnet18",
        "modality": "image",
        "parameters": 11_179_077,
        "outputs": 5,
        "classes": FLOWERS,
        "entry": {"source": "torchvision"},
        "files": (weights,),
        "preprocess": {"resize": 256, "crop": 224, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
    }
    base = ModelRef(
        name="pretrained",
        source="torchvision",
        digest=f"sha256:{digest(1)}",
        assumptions=("Resize 256, crop 224 and the ImageNet normalization are assumed: a bare state dict names none.",),
        **common,
    )
    tuned = ModelRef(
        name="finetuned",
        source="finetune",
        digest=f"sha256:{digest(2)}",
        parent=base,
        recipe=Recipe(head=5),
        train=_data()["train"],
        validation=_data()["eval"],
        history=History(
            source="finetune",
            holds=frozenset({"weights", "losses", "gradients"}),
            seeds=5,
            steps=tuple(range(0, 200, 5)),
        ),
        **common,
    )
    return {"pretrained": base, "finetuned": tuned}


def _data() -> dict[str, DataRef]:
    def ref(name: str, rows: int, used: int, seed: int) -> DataRef:
        return DataRef(
            name=name,
            source="image_folder",
            entry={"source": "image_folder", "path": f"data/{name}"},
            modality="image",
            rows=rows,
            used=used,
            classes=FLOWERS,
            counts={flower: used // 5 for flower in FLOWERS},
            labels={flower: at for at, flower in enumerate(FLOWERS)},
            grouped=True,
            digest=f"sha256:{digest(seed)}",
            files=tuple(
                FileRef(path=f"data/{name}/daisy/plant{i:03d}_a.jpg", sha256=digest(90 + i), size=20_000)
                for i in range(12)
            ),
        )

    return {"train": ref("train", 3670, 3000, 5), "eval": ref("eval", 670, 256, 6)}


def _spec(found: tuple[Result, ...]) -> Spec:
    entries = tuple(
        CheckEntry(
            id=check.id,
            use=check.use,
            model=check.model,
            data=check.data,
            params=check.params,
            set_by=check.set_by,
            rules=tuple(
                Rule(
                    check=check.id,
                    metric=v.metric,
                    at_least=v.bound,
                    set_by=v.set_by,
                    inherited=v.inherited,
                    loosened=v.loosened,
                )
                for v in {v.metric: v for v in check.verdicts}.values()
            ),
        )
        for check in found
    )
    return Spec(
        name="flowers-resnet18",
        title="ResNet-18 flower classifier, release 2026.11",
        presets=(PRESET,),
        context=context(),
        checks=entries,
        models={
            name: ModelEntry(name=name, source="torchvision", options={"arch": "resnet18"})
            for name in ("pretrained", "finetuned")
        },
        data={
            name: DataEntry(name=name, source="image_folder", options={"path": f"data/{name}"})
            for name in ("train", "eval")
        },
    )


def context() -> Context:
    """What the owner says."""
    return Context(
        purpose="Triage of seedling photos; a person decides",
        out_of_scope=("medical images", "drawings"),
        owner="Plant ML",
        reviewers=("Independent validation",),
    )


def report(outcome: AuditOutcome = "fail", found: tuple[Result, ...] | None = None, **more: Any) -> Report:
    """The rich report; `found` replaces its checks, `more` any field."""
    found = checks() if found is None else found
    fields: dict[str, Any] = {
        "audit": Audit(
            name="flowers-resnet18",
            title="ResNet-18 flower classifier, release 2026.11",
            outcome=outcome,
            reason="faithfulness: insertion_gain 0.031 [0.004, 0.058] misses its bound ≥ 0.1."
            if outcome == "fail"
            else "",
            spec_sha256=digest(11),
            auditor_version="0.1.0",
        ),
        "spec": _spec(found),
        "context": context(),
        "models": _models(),
        "data": _data(),
        "checks": found,
        "waivers": (
            Waiver(
                check="sharpness",
                metric="top_eigenvalue",
                reason="first layer frozen by design",
                approved_by="Risk",
                expires="2027-03-31",
                no_worse_than=800.0,
            ),
        ),
        "not_tested": (
            NotTested(what="Shift between training and audit data", why="deselected", how="run without -k"),
            NotTested(
                what="Pointing game", why="the data has neither boxes nor masks", how="name `boxes:` in the data entry"
            ),
            NotTested(what="Medical images", why="out of scope by the owner"),
        ),
        "provenance": Provenance(
            environment={"python": "3.11.7", "torch": "2.14.1", "torchvision": "0.29.1", "numpy": "2.4.6"},
            git={"commit": "16e0629", "dirty": "no"},
            seeds={"run": 0},
            threads=2,
            device="cpu",
            precision="float32",
            batch_size=32,
            determinism="bit for bit on the same machine, threads and versions",
        ),
        "run": Run(
            started="2026-11-22T09:15:00Z",
            finished="2026-11-22T09:17:40Z",
            seconds={"sweep": 31.2, "train": 96.4},
            cached={"predictions": True, "gradients": False},
            hardware={"cpu": "2 cores", "memory": "8 GB"},
        ),
    }
    return Report(**{**fields, **more})
