"""The plan in words: what is done, what it costs, who shares it, and what is already stored."""

from collections.abc import Callable, Iterator

from auditor.needs import Cost
from auditor.plan.build import Job, Plan
from auditor.plan.measure import Measure

Seconds = Callable[[str], float | None]

_UNITS = {
    "forwards": ("forward pass", "forward passes"),
    "backwards": ("backward pass", "backward passes"),
    "training_steps": ("training step", "training steps"),
    "products": ("Hessian-vector product", "Hessian-vector products"),
}


def explain(plan: Plan, seconds: Seconds = lambda key: None) -> str:
    """The plan as text, a line a job, in the order in which they run.

    Passes are counted in batches. seconds: how long a job took on this store before, or None; the others have no
    estimate, and none is made up.
    """
    return "\n".join((*_head(plan, seconds), *_jobs(plan, seconds), *_stored(plan), *_absent(plan))) + "\n"


def cost_in_words(cost: Cost) -> str:
    """The counts that are not zero; "" if all are.

    >>> cost_in_words(Cost(forwards=16, backwards=1))
    '16 forward passes, 1 backward pass'
    """
    counts = {name: getattr(cost, name) for name in _UNITS}
    return ", ".join(f"{n:,} {_UNITS[name][n != 1]}" for name, n in counts.items() if n)


def _head(plan: Plan, seconds: Seconds) -> Iterator[str]:
    work = [job for job in plan.jobs if job.kind != "measure"]
    sweeps = sum(job.kind == "sweep" for job in work)
    yield (
        f"{_count(len(plan.measures), 'check')}: {_count(sweeps, 'sweep')} over the data,"
        f" {_count(len(work) - sweeps, 'other computation')},"
        f" {_count(len(plan.jobs) - len(work), 'measurement')} to do;"
        f" {_count(len(plan.reused), 'result')} already stored"
    )
    total = sum((job.cost for job in plan.jobs), Cost())
    if words := cost_in_words(total):
        yield f"in all: {words} (a pass is one batch)"
    known = [took for job in plan.jobs if (took := seconds(job.key)) is not None]
    if known:
        yield f"{len(known)} of {_count(len(plan.jobs), 'job')} took {_duration(sum(known))} on an earlier run"
    if not plan.jobs:
        yield "nothing to do: everything is stored, and no worker starts"


def _jobs(plan: Plan, seconds: Seconds) -> Iterator[str]:
    work = [job for job in plan.jobs if job.kind != "measure"]
    if not work:
        return
    yield ""
    yield "What is computed, in this order"
    for number, job in enumerate(work, 1):
        yield f"  {number}. {_job_line(job)}"
        yield f"     {'shared by' if len(job.checks) > 1 else 'for'} {', '.join(job.checks)}"
        took = seconds(job.key)
        details = [cost_in_words(job.cost), "" if took is None else f"{_duration(took)} on an earlier run"]
        if any(details):
            yield f"     {'; '.join(each for each in details if each)}"


def _job_line(job: Job) -> str:
    return f"one sweep: {job.title}" if job.kind == "sweep" else job.title


def _stored(plan: Plan) -> Iterator[str]:
    if not plan.reused:
        return
    nodes = [plan.nodes[key] for key in plan.reused]
    measured = sorted(need.title for need in nodes if isinstance(need, Measure))
    others = sorted(need.title for need in nodes if not isinstance(need, Measure))
    yield ""
    yield "What is stored and used again"
    if measured:
        yield f"  evidence of {', '.join(measured)}"
    for title in dict.fromkeys(others):
        times = others.count(title)
        yield f"  {title}" + (f" ({times} of them)" if times > 1 else "")


def _absent(plan: Plan) -> Iterator[str]:
    if not plan.absent:
        return
    yield ""
    yield "What is not measured"
    alike: dict[str, list[str]] = {}
    for check_id, absent in plan.absent.items():
        alike.setdefault(f"{absent.kind.replace('_', ' ')}, {absent.reason}", []).append(check_id)
    for why, checks in alike.items():
        yield f"  {', '.join(checks)}: {why}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min"
