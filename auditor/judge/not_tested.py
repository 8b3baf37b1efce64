"""Not tested: what this audit does not speak about, why, and how one would test it."""

from collections.abc import Iterator, Mapping

from auditor.judge.bounds import claim
from auditor.judge.standing import Standing
from auditor.judge.verdict import NotTested
from auditor.spec.model import Rule, Spec

EXAMPLES = {
    "task": "checks:\n  - {use: task.performance}",
    "interpretability": "checks:\n  - {use: interpretability.saliency}",
    "traceability": "checks:\n  - {use: traceability.change_rate}",
    "optimizability": "checks:\n  - {use: optimizability.convergence}",
}
NEED_HISTORY = ("traceability", "optimizability")
HISTORY = (
    'models:\n  NAME:\n    history: {checkpoints: "ckpt/step-*.safetensors"}\n'
    "    # or {trace: train.trace}, written by auditor.record, or {tensorboard: runs/train}"
)


def not_tested(spec: Spec, stands: Mapping[str, Standing]) -> tuple[NotTested, ...]:
    """Checks left out by the owner, preset expectations on checks that do not apply, empty pillars, and what the
    owner calls out of scope.
    """
    return (*_left_out(spec), *_inherited(spec, stands), *_pillars(spec, stands), *_out_of_scope(spec))


def _left_out(spec: Spec) -> Iterator[NotTested]:
    for check in spec.skipped:
        metrics = f" ({', '.join(check.metrics)})" if check.metrics else ""
        yield NotTested(
            what=f"{check.id}{metrics}",
            why=f"Left out by the owner: {check.reason}",
            how=f"Remove its skip at {check.set_by}.",
        )


def _inherited(spec: Spec, stands: Mapping[str, Standing]) -> Iterator[NotTested]:
    for entry in spec.checks:
        for rule in entry.rules:
            reason = stands[entry.id].cannot_be(rule.metric)
            if reason and rule.inherited:
                skipped = stands[entry.id].kind == "skipped"
                what = entry.id if skipped else f"{entry.id}.{rule.metric}"
                yield NotTested(what=_named(rule), why=f"{what} does not apply: {reason}")


def _named(rule: Rule) -> str:
    return f"{rule.check}: {rule.metric} {claim(rule).text} (set by {rule.set_by})"


def _pillars(spec: Spec, stands: Mapping[str, Standing]) -> Iterator[NotTested]:
    for pillar, lines in EXAMPLES.items():
        kinds = {stands[entry.id].kind for entry in spec.checks if entry.use.split(".")[0] == pillar}
        if kinds <= {"skipped"}:
            yield _empty(pillar, bool(kinds), lines, spec)
        elif kinds <= {"skipped", "not_run"}:
            yield NotTested(what=pillar, why="None of its checks was run.", how="Run the whole audit again.")


def _empty(pillar: str, asked: bool, lines: str, spec: Spec) -> NotTested:
    known = any(model.has_history for model in spec.models.values())
    if pillar in NEED_HISTORY and not known:
        why = "No model of this audit has a history: it is not known how its parameters came to be."
        return NotTested(what=pillar, why=why, how=HISTORY if asked else f"{HISTORY}\n{lines}")
    if asked:
        return NotTested(what=pillar, why="None of its checks applies to this model and data.")
    return NotTested(what=pillar, why="The spec asks for no check of it.", how=lines)


def _out_of_scope(spec: Spec) -> Iterator[NotTested]:
    for item in spec.context.out_of_scope:
        yield NotTested(what=item, why="Declared out of scope by the owner.")
