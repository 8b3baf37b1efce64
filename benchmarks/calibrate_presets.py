"""What healthy small models measure of everything that a preset judges; its quantiles ship beside the preset.

python -m benchmarks.calibrate_presets [PRESET ...] [--only | --histories | --fits] [--models FOLDER] [--out FOLDER]

--histories: only the checks of traceability, on healthy histories; the other entries stay as they are.
--fits: only the checks of optimizability, on healthy fine-tunes (of tables).
"""

import argparse
import json
import re
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from auditor.spec.layers import PRESETS
from benchmarks.audits import Audited, audit, deciding
from benchmarks.zoo.healthy import MODALITIES, Recipe, healthy_fits, healthy_histories
from benchmarks.zoo.member import Member, Unproven

COMMAND = "python -m benchmarks.calibrate_presets"
QUANTILES = (0.05, 0.5, 0.95)
HEALTHY = "; healthy small models, 5 / 50 / 95%: "


def members(recipes: Iterable[tuple[str, Recipe]], folder: Path) -> Iterable[Member]:
    """The healthy models, trained unless an earlier call left them; what did not become healthy is said."""
    for name, recipe in recipes:
        place = folder / name
        if (place / "audit.yaml").exists():
            text = (place / "audit.yaml").read_text(encoding="utf-8")
            code = {"model", *(["parent"] if '"from": "parent"' in text else [])} if "factory" in text else ()
            yield Member(name, place, False, 0, {}, frozenset(code))
            continue
        try:
            yield recipe(place)
        except Unproven as error:
            print(f"left out: {error}", flush=True)


def judged(found: Audited) -> dict[str, float]:
    """Each judged metric's worst value over its `of`."""
    values: dict[str, float] = {}
    for check in found.judgement.checks:
        for verdict in check.verdicts:
            if verdict.value is not None:
                name = f"{check.id}.{verdict.metric}"
                worse = max if verdict.expect.startswith("<") else min
                values[name] = worse(values.get(name, verdict.value), verdict.value)
    return values


def summary(values: list[float]) -> dict[str, Any]:
    """n, quantiles and ends, to three digits."""
    low, middle, high = np.quantile(values, QUANTILES)
    found = {"q05": low, "q50": middle, "q95": high, "min": min(values), "max": max(values)}
    return {"n": len(values), **{name: float(f"{value:.3g}") for name, value in found.items()}}


def calibrate(preset: str, folder: Path, cache: Path, only: str = "") -> dict[str, Any]:
    """The preset's audit of every healthy model, one after another."""
    names, metrics = _measured(
        MODALITIES[preset](), folder / preset, cache, lambda member: deciding(member.spec) if only else ""
    )
    command = f"{COMMAND} {preset}{' --only' if only else ''}"
    return {"preset": preset, "command": command, "models": names, "metrics": metrics}


def of_family(
    preset: str, kind: str, recipes: Iterable[tuple[str, Recipe]], folder: Path, cache: Path, known: dict[str, Any]
) -> dict[str, Any]:
    """What is known, with what these measure of one family: histories of traceability, fits of optimizability."""
    family = {"histories": "traceability.", "fits": "optimizability."}[kind]
    names, metrics = _measured(recipes, folder / preset, cache, lambda member: deciding(member.spec, family))
    kept = {metric: value for metric, value in known["metrics"].items() if metric not in metrics}
    told = {kind: names, f"{kind}_command": f"{COMMAND} {preset} --{kind}"}
    return {**{key: value for key, value in known.items() if key != "metrics"}, **told, "metrics": {**kept, **metrics}}


def _measured(
    recipes: Iterable[tuple[str, Recipe]], folder: Path, cache: Path, words: Callable[[Member], str]
) -> tuple[list[str], dict[str, Any]]:
    """The names of the members, and the summary of each metric over them. words: which checks run."""
    table: dict[str, list[float]] = {}
    names = []
    for member in members(recipes, folder):
        began = time.process_time()
        found = audit(member.spec, cache, member.trust, words(member))
        names.append(member.folder.name)
        for metric, value in judged(found).items():
            table.setdefault(metric, []).append(value)
        said = f"{found.judgement.outcome} failed={found.failed()} open={found.open()} warned={found.warned()}"
        print(f"{names[-1]}: {said} broken={found.broken()} {time.process_time() - began:.1f} s", flush=True)
    return names, {metric: summary(values) for metric, values in table.items()}


def told(preset: Path, found: dict[str, Any]) -> str:
    """The preset's text with what healthy models measure at the end of each `why`."""
    lines, check = [], ""
    for line in preset.read_text(encoding="utf-8").splitlines():
        if use := re.match(r"  - use: [a-z]+\.(\w+)", line):
            check = use[1]
        rule = re.match(r"      (\w+): \{.*why: \"", line)
        if rule and (known := found["metrics"].get(f"{check}.{rule[1]}")):
            plain = line.split(HEALTHY)[0].removesuffix('"}')
            shown = " / ".join(f"{known[name]:g}" for name in ("q05", "q50", "q95"))
            line = f'{plain}{HEALTHY}{shown} (n = {known["n"]})"}}'
        lines.append(line)
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("presets", nargs="*", default=list(MODALITIES))
    parser.add_argument("--models", type=Path)
    parser.add_argument("--out", type=Path, default=PRESETS)
    parser.add_argument("--only", default="", action="store_const", const="deciding", help="only checks that can fail")
    parser.add_argument("--histories", action="store_true", help="only traceability, on healthy histories")
    parser.add_argument("--fits", action="store_true", help="only optimizability, on healthy fine-tunes")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        for preset in options.presets:
            folder, cache = options.models or Path(scratch), Path(scratch) / "cache"
            path = options.out / f"{preset}.calibration.json"
            if options.histories or options.fits:
                known = json.loads((PRESETS / path.name).read_text(encoding="utf-8"))
                kind = "fits" if options.fits else "histories"
                recipes = healthy_fits() if options.fits else healthy_histories(preset)
                found = of_family(preset, kind, recipes, folder, cache, known)
            else:
                found = calibrate(preset, folder, cache, options.only)
            path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
            text = PRESETS / f"{preset}.yaml"
            (options.out / text.name).write_text(told(text, found), encoding="utf-8")
            print(
                f"{path}: {len(found['models'])} models, {len(found.get('histories', []))} histories, "
                f"{len(found.get('fits', []))} fits",
                flush=True,
            )


if __name__ == "__main__":
    main()
