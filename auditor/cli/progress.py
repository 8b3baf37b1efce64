"""Progress: the events of a run as bars on a terminal, or as plain lines in a log."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from auditor.audit.journal import Planned
from auditor.execute import protocol as say

EVERY_SECONDS = 15.0


@contextmanager
def told(console: Console, *, quiet: bool = False) -> Iterator["Telling"]:
    """What to give a run as `on_event`: bars where the console is a terminal, lines elsewhere, nothing when quiet."""
    if quiet:
        yield Telling(console)
    elif console.is_terminal:
        with _bars(console) as bars:
            yield Bars(console, bars)
    else:
        yield Lines(console)


class Telling:
    """Hears the events of a run; this one keeps them to itself, but for what went wrong."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.titles: dict[str, str] = {}
        self.failed: set[str] = set()

    def __call__(self, event: say.Event | Planned) -> None:
        """Take one event."""
        match event:
            case Planned():
                self.planned(event)
            case say.Begun():
                self.titles[event.job] = event.title
                self.begun(event)
            case say.Progress():
                self.moved(event)
            case say.Finished():
                self.finished(event)
            case say.Failed():
                self.failure(event)
            case say.Note():
                self.line(f"note: {event.text}")
            case _:
                pass  # Done: the job's end tells enough; Output: user code's prints stay in log.jsonl

    def planned(self, event: Planned) -> None:
        """How much there is to do."""

    def begun(self, event: say.Begun) -> None:
        """A job was handed out."""

    def moved(self, event: say.Progress) -> None:
        """Part of a job is done."""

    def finished(self, event: say.Finished) -> None:
        """A job is over."""

    def failure(self, event: say.Failed) -> None:
        """A need has no result; a message is said once, however many wait for it."""
        text = f"{event.failure.kind}: {_first_line(event.failure.message)}"
        if event.failure.kind != "not_applicable" and text not in self.failed:
            self.failed.add(text)
            self.line(f"{self.titles.get(event.job, 'a job')}: {text}")

    def line(self, text: str) -> None:
        """One line of its own."""
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)


class Lines(Telling):
    """For logs: one line when a job begins and ends, and every 15 seconds while it lasts."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._said: dict[str, float] = {}
        self._first: dict[str, tuple[float, int]] = {}

    def planned(self, event: Planned) -> None:
        """Say what is stored and what is left."""
        self.line(_work(event))

    def begun(self, event: say.Begun) -> None:
        """Name the job."""
        self._said[event.job] = monotonic()
        self.line(f"{event.title} ...")

    def moved(self, event: say.Progress) -> None:
        """Say how far it is, now and then."""
        now = monotonic()
        began, done = self._first.setdefault(event.job, (now, event.done))
        if now - self._said.get(event.job, 0.0) >= EVERY_SECONDS:
            self._said[event.job] = now
            left = _left(event, now - began, event.done - done)
            self.line(f"{self.titles.get(event.job, '')}: {_share(event)}{left}")

    def finished(self, event: say.Finished) -> None:
        """Say how long it took."""
        self.line(f"{self.titles.get(event.job, 'a job')}: {event.seconds:.1f} s")


class Bars(Telling):
    """For terminals: one bar for each job at work, with its elapsed and estimated time."""

    def __init__(self, console: Console, bars: Progress) -> None:
        super().__init__(console)
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}
        self._whole: TaskID | None = None

    def planned(self, event: Planned) -> None:
        """The bar of the whole audit."""
        self.line(_work(event))
        self._whole = self._bars.add_task("audit", total=event.jobs) if event.jobs else None

    def begun(self, event: say.Begun) -> None:
        """A new bar."""
        self._tasks[event.job] = self._bars.add_task(event.title, total=None)

    def moved(self, event: say.Progress) -> None:
        """Move its bar."""
        if event.job in self._tasks:
            title = self.titles.get(event.job, "")
            description = f"{title}: {event.said}" if event.said else title
            task = self._tasks[event.job]
            self._bars.update(task, completed=event.done, total=event.total or None, description=description)

    def finished(self, event: say.Finished) -> None:
        """The bar becomes a line."""
        if event.job in self._tasks:
            self._bars.remove_task(self._tasks.pop(event.job))
        if self._whole is not None:
            self._bars.advance(self._whole)
            if self._bars.finished:
                self._bars.update(self._whole, description="judging and writing the report")
        self.line(f"{self.titles.get(event.job, 'a job')}: {event.seconds:.1f} s")


def _bars(console: Console) -> Progress:
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        TimeElapsedColumn(),
        TextColumn("left"),
    )
    return Progress(*columns, TimeRemainingColumn(), console=console, transient=True)


def _work(event: Planned) -> str:
    jobs = "nothing to compute" if not event.jobs else f"{event.jobs} job{'s' if event.jobs > 1 else ''} to do"
    return f"{jobs}; stored already: {event.stored} of the checks' results" if event.stored else jobs


def _share(event: say.Progress) -> str:
    share = f"{event.done} of {event.total}" if event.total else str(event.done)
    return f"{share}, {event.said}" if event.said else share


def _left(event: say.Progress, seconds: float, done: int) -> str:
    """The time left, if `done` steps took so many seconds; nothing before two steps, or where the end is unknown."""
    if done < 1 or event.done >= event.total:
        return ""
    return f", about {(event.total - event.done) * seconds / done:.0f} s left"


def _first_line(text: str) -> str:
    return (text.splitlines() or [""])[0]
