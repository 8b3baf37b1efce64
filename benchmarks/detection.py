"""How often the presets alone catch planted defects, and how often they fail healthy twins; writes docs/detection.md.

python -m benchmarks.detection [NAME ...] [--seeds 10] [--twins 20] [--state FILE.jsonl] [--write docs/detection.md]
python -m benchmarks.detection --fits --seeds 20 --write docs/fits.md

--fits: the fine-tunes of benchmarks/zoo/fits.py, with the confusion matrix of what was said (benchmarks/confusion.py).

A state file lets a run that was cut off go on. No bound of a preset was chosen on these seeds.
"""

import argparse
import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import confusion
from benchmarks.audits import audit, deciding
from benchmarks.zoo import DEFECTS, FITS, Unproven
from benchmarks.zoo.fits import OWN_TWINS

FIRST, MOST = 0, 100
"""The first seed, and where the search for seeds that learn the defect ends (others were used to choose bounds)."""


def members(names: Sequence[str], seeds: int, twins: int) -> Iterator[tuple[str, bool, int]]:
    """Defect, planted or not, and how many of it. A twin that is a healthy fit by another name is not counted again."""
    for name in names:
        yield name, True, seeds
    own = [name for name in names if name not in FITS or name in OWN_TWINS]
    for at, name in enumerate(own):
        count = twins // len(own) + (at < twins % len(own))
        if count:
            yield name, False, count


def rows(name: str, planted: bool, count: int, known: dict[str, Any], scratch: Path) -> Iterator[dict[str, Any]]:
    """One row a member, the first `count` seeds whose proof holds; seeds without it are rows too."""
    proven = 0
    for seed in range(FIRST, MOST):
        if proven == count:
            return
        key = f"{name} {planted} {seed}"
        about = {"key": key, "name": name, "planted": planted, "seed": seed}
        row = known.get(key) or {**about, **_row(name, planted, seed, scratch)}
        proven += row["proven"]
        yield row


def _row(name: str, planted: bool, seed: int, scratch: Path) -> dict[str, Any]:
    began = time.process_time()
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        try:
            member = (DEFECTS | FITS)[name](Path(folder) / "member", seed, planted)
        except Unproven as error:
            return {"proven": False, "said": str(error), "seconds": time.process_time() - began}
        trained = time.process_time() - began
        words = deciding(member.spec, "optimizability." if name in FITS else "")
        found = audit(member.spec, Path(folder) / "cache", member.trust, words)
    return {
        "proven": True, "proof": dict(member.proof), "failed": found.failed(), "open": found.open(),
        "broken": found.broken(), "word": found.told("Diagnosis").partition(".")[0].lower(),
        "trained": trained, "seconds": time.process_time() - began,
    }  # fmt: skip


def table(found: list[dict[str, Any]], command: str) -> str:
    """docs/detection.md."""
    planted, twins = ([row for row in found if row["planted"] is kind and row["proven"]] for kind in (True, False))
    asked = [name for name in DEFECTS if any(row["name"] == name for row in found)]
    lines = [_line(name, [row for row in planted if row["name"] == name]) for name in asked]
    failed = [row for row in twins if row["failed"]]
    spent, trained = (sum(row.get(part, 0.0) for row in found) for part in ("seconds", "trained"))
    audits = len(planted) + len(twins)
    said = [f"- {row['name'].replace('_', ' ')}, seed {row['seed']}: {', '.join(row['failed'])}" for row in failed]
    unproven = [f"{row['name'].replace('_', ' ')} {row['seed']}" for row in found if not row["proven"]]
    return TEXT.format(
        command=command, lines="\n".join(lines), failed=len(failed), twins=len(twins),
        said="\n".join(["", *said, ""]) if said else "", unlearned=", ".join(unproven) or "none",
        undecided=sum(bool(row["open"]) and not row["failed"] for row in twins), spent=spent, trained=trained,
        audits=audits, each=(spent - trained) / max(1, audits), cores=os.cpu_count(),
    )  # fmt: skip


TEXT = """# How often planted defects are caught

Made by `{command}`. Small models are trained with one planted
defect each (benchmarks/zoo: what each is, and the proof that it was learned: accuracy on data without it falls by at
least 10 points, or the mechanism is measured). Each is audited by a spec of eight lines that names a preset and nothing
else. It counts as caught if the audit fails: at least one expectation of severity error failed, with Holm's correction
over all of the preset.

| defect | caught | by (how often) | median proof |
|---|---|---|---|
{lines}

Healthy twins (same recipe, same seeds, nothing planted) that failed: **{failed} of {twins}**; not failed and with
something left undecided: {undecided}.
{said}
Seeds left out because the proof did not hold: {unlearned}.

How the bounds were chosen: between the quantiles of healthy models of other recipes and seeds
(auditor/spec/presets/NAME.calibration.json) and a few planted models of seeds from 100 on; none of the seeds in this
table was used. The audits ran the checks that can fail (severity error); those that can only warn do not move an
outcome, and Holm's family is the preset's in any case.

Histories (frozen layer to claimed parent; benchmarks/zoo/histories.py) are planted in recipes that do well without
the defect: ResNets, BERTs and MLPs under Adam, AdamW and SGD with momentum (BERTs not under SGD, under which half of
them did not learn), constant, cosine, warm-up and step schedules, one of six resumed without the optimizer's state.
Their proof is the mechanism: a layer that never moved, the factor of the learning rate with a loss that stays finite,
two checkpoints exchanged (neighbours for half of the seeds; never the first or the last), the share of a layer's norm
that an edit moved (a neuron set to zero, the layer scaled by 1.3, noise of 30%, a third each), and the share of the
matrices of the first checkpoint that are the claimed parent's.

What the table does not say: a hasty layer under SGD, or a new head under SGD, is not planted: there a step is the rate
times the gradient, and healthy gradients differ as much as a planted rate (new heads ran up to 186 times ahead of the
median layer, planted rates as little as 3 times). The bound of change_rate.early_rate_ratio fails such a healthy
fine-tune; its owner sets another. An edit smaller than what training moves between two checkpoints passes.
The defects are strong and the models small, and the recipes of the defects were made
stronger until models relied on them (on seeds 0 and 1 before any bound was set, and from 100 on). A defect that a model
half learned may pass: a fainter patch, without which accuracy fell from .96 to .79, took 6 to 9% of the predictions
along, as regions of healthy models do (up to 27%, where the object fills the region); the preset fails from 30% on.
{audits} audits, {spent:.0f} CPU seconds in all, {trained:.0f} of them for training:
{each:.1f} s an audit, one thread, on a machine of {cores} cores.
"""


def _line(name: str, mine: list[dict[str, Any]]) -> str:
    caught = sum(bool(row["failed"]) for row in mine)
    by = Counter(metric for row in mine for metric in row["failed"])
    proofs = {
        key: sorted(row["proof"][key] for row in mine)[len(mine) // 2] for key in (mine[0]["proof"] if mine else {})
    }
    said = ", ".join(f"{key} {value:.2f}" for key, value in proofs.items())
    metrics = ", ".join(f"{metric} ({count})" for metric, count in by.most_common()) or "nothing"
    return f"| {name.replace('_', ' ')} | {caught} of {len(mine)} | {metrics} | {said} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(DEFECTS | FITS)}; default: all")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--twins", type=int, default=20)
    parser.add_argument("--fits", action="store_true")
    parser.add_argument("--state", type=Path)
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    known: dict[str, Any] = {}
    if options.state and options.state.exists():
        known = {row["key"]: row for row in map(json.loads, options.state.read_text(encoding="utf-8").splitlines())}
    found, names = [], options.names or list(FITS if options.fits else DEFECTS)
    with tempfile.TemporaryDirectory() as scratch:
        for name, planted, count in members(names, options.seeds, options.twins):
            for row in rows(name, planted, count, known, Path(scratch)):
                found.append(row)
                if row["key"] not in known:
                    print(json.dumps(row), flush=True)
                    if options.state:
                        with options.state.open("a", encoding="utf-8") as stream:
                            stream.write(json.dumps(row) + "\n")
    command = ["python -m benchmarks.detection", *["--fits"] * options.fits, *options.names]
    make = confusion.page if options.fits else table
    text = make(found, " ".join([*command, f"--seeds {options.seeds} --twins {options.twins}"]))
    print(text)
    if options.write:
        options.write.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
