"""What single layers did while the model was trained: frozen, jumped, exploded."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from auditor.artifacts.local_figures import panels_of, small_multiples, stood_out
from auditor.artifacts.trajectory import Trajectory
from auditor.artifacts.watched import OfHistory
from auditor.check import About, Check, Pillar
from auditor.evidence import Evidence, Metric

if TYPE_CHECKING:
    from auditor.methods.training.local import Local


class LocalChanges(OfHistory, Check):
    """Did every layer learn, and did any change in a way that training does not explain?

    Figure: the rates of the layers as small multiples, and a table of those that stand out.
    """

    pillar: ClassVar[Pillar] = "traceability"
    version: ClassVar[int] = 2
    about: ClassVar[About] = About(
        title="Layer by layer",
        question="Did every layer that should learn move, and did any layer change in a way that training does not "
        "explain?",
        formula="x_i = r_i - (r_(i-1) + r_(i+1)) / 2, r = log(norm(change) / norm(before));  excess = x_i - its "
        "median over the tensors;  jump: excess > max(1, 3 x its scatter in the tensor)",
        method="Matrices (tensors of two or more dimensions) count one each, whatever their size. A frozen one has a "
        "change of exactly 0 in every interval and is not named by `frozen`; where adapters (LoRA and its "
        "kin, known by their names) are in the history and move, the matrices that stand still beside them "
        "are frozen by the method, and a note counts them. Tensors stored too coarsely (bfloat16) to say "
        "whether they moved are not judged. For jumps each tensor is compared with itself in both intervals "
        "beside it, and then with the other tensors in the same interval, which takes the learning rate, "
        "restarts and resumed runs out: what is left is a change of that tensor in that interval alone. A "
        "smaller excess (log 1.2) counts too where fewer elements than usual carry the change, as when one "
        "neuron is zeroed: norm(change) / l1(change) stands out by a factor of 1.3 and 4 scatters. The count "
        "is of intervals. The first and the last are compared with the median of the three nearest, and a jump "
        "there is 4 times as fast. The interval in which a run was `resumed` and those of unusual length are left out. "
        "A tensor has exploded if it is not finite at some record, or if its root mean square grew beyond 100 "
        "times the larger of its own and the median matrix's at the start, so that what starts at zero may "
        "grow. Fine-tunes of several seeds give means over them.",
        reading="Healthy runs measure 0 of all three (89 small trainings of four kinds of networks: no jump). A "
        "frozen layer that no one meant to freeze has lost its gradient or was left out of the optimizer. A "
        "jump in one layer alone is the trace of an edit between two checkpoints: ask who made it.",
        limits="An edit smaller than what training itself did in that interval is not seen: of 41 edits by hand (a "
        "neuron zeroed, a layer scaled by 1.3, noise of 30%) 39 were. At the ends of the history fewer are "
        "seen: in the last interval 99% and 100% of layers scaled by 1.5 and 3, in the first 58% and 89%, and no "
        "zeroed neuron by how few elements moved. Where the first or last interval was not judged (a shorter one, or "
        "too few tensors that move), a note names it: the count says nothing of it. Vectors (biases, the scales of "
        "norms) are not searched for jumps where three matrices move. A tensor that scatters widely "
        "by itself may read as a jump. An edit of all layers at once looks like a step of the learning rate. Fewer "
        "than 6 even intervals or 3 tensors that move by more than rounding: not measured. Tensors that appear or "
        "vanish between checkpoints are reported by change_rate, and not judged.",
        citation="The level of intervals and tensors is taken out as in Tukey's median polish, Exploratory Data "
        "Analysis (1977).",
    )
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(
            name="frozen_share", better="down", interval="t", resampling="seed",
            doc="Share of the matrices that never moved and are not declared frozen, each counted once.",
            what_to_try="Give the frozen tensors to the optimizer and check requires_grad, or declare them: "
            "`with: {frozen: [...]}`.",
        ),
        Metric(
            name="unexplained_jumps", better="down", interval="t", resampling="seed",
            doc="Intervals in which some tensor moved e times as fast as in both intervals beside it, or few of its "
            "elements moved alone, measured against the other tensors.",
            what_to_try="Ask what happened to the named tensor between the two records, or declare where the run was "
            "resumed: `with: {resumed: [...]}`.",
        ),
        Metric(
            name="exploded_share", better="down", interval="t", resampling="seed",
            doc="Share of the tensors that are not finite or grew beyond 100 times their size at the start.",
            what_to_try="Clip gradients, lower the learning rate of the named layers, or add weight decay.",
        ),
    )  # fmt: skip

    layers: tuple[str, ...] = Field((), description="Globs over tensor names; default: all. One panel each is drawn.")
    frozen: tuple[str, ...] = Field((), description="Globs over the names of tensors that are meant to stand still.")
    resumed: tuple[int, ...] = Field((), description="Steps after which the run was taken up again.")

    def measure(self, *, trajectory: Trajectory) -> Evidence:
        """Numbers of each history, averaged over the seeds; the figures are those of the first."""
        from auditor.methods.training.local import local, remarks

        frozen = (*self.frozen, *(name for run in trajectory.runs[:1] for name in run.frozen))  # the recipe's own word
        resumed = (*self.resumed, *trajectory.resumed)
        each = [local(part, self.layers, frozen, resumed) for part in trajectory.changes]
        single: Literal["exact", "unreplicated"] = "unreplicated" if trajectory.source == "finetune" else "exact"
        columns = {name: values for name, values in self._columns(each)}
        measured = [self.averaged(name, values, single=single) for name, values in columns.items() if values]
        notes = (*trajectory.notes(), *remarks(each[0], self.layers))
        lost = tuple(f"{name} is not measured: {why}." for name, why in WHY.items() if not columns[name])
        which = "" if len(each) == 1 else ", first seed"
        blocks = (*stood_out(each[0], which), *small_multiples(each[0], panels_of(each[0], self.layers), which))
        return Evidence(measurements=trajectory.bounded(measured), blocks=blocks, notes=(*notes, *lost))

    def _columns(self, each: "list[Local]") -> Iterator[tuple[str, list[float]]]:
        """Each metric's value of every history; none if one history has none."""
        values: dict[str, list[float | None]] = {
            "frozen_share": [found.still.share for found in each],
            "unexplained_jumps": [None if found.jumps is None else len(found.jumps.intervals) for found in each],
            "exploded_share": [found.exploded_share for found in each],
        }
        for name, column in values.items():
            known = [float(value) for value in column if value is not None]
            yield name, known if len(known) == len(column) else []


WHY = {
    "frozen_share": "there is no matrix that could have moved and of which one could say so",
    "unexplained_jumps": "it takes 6 intervals of even length and 3 tensors that move by more than rounding",
    "exploded_share": "there is no tensor",
}
