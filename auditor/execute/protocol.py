"""The protocol of a worker: JSON lines, one message each; nothing but plain data crosses."""

import json
from typing import BinaryIO, Literal

from pydantic import TypeAdapter

from auditor.evidence import Failure
from auditor.spec.model import Spec
from auditor.subject import Subject
from auditor.values import Value


class Start(Value):
    """The first message to a worker: all that it needs to build the same plan. root and cache are folders."""

    kind: Literal["start"] = "start"
    spec: Spec
    subjects: dict[str, Subject]
    root: str
    cache: str
    reused: tuple[str, ...]
    plugins: dict[str, str]
    threads: int
    offline: bool = False


class Order(Value):
    """One job to do; produces: the keys wanted of it."""

    kind: Literal["order"] = "order"
    job: str
    produces: tuple[str, ...]


class Ready(Value):
    """The worker has built the plan, and this is its digest."""

    kind: Literal["ready"] = "ready"
    plan: str


class Progress(Value):
    """Part of a job is done: `done` of `total` batches or steps (total 0: unknown). said: how it goes, in words."""

    kind: Literal["progress"] = "progress"
    job: str
    done: int
    total: int
    said: str = ""


class Done(Value):
    """A need is in the store."""

    kind: Literal["done"] = "done"
    job: str
    key: str


class Failed(Value):
    """A need has no result."""

    kind: Literal["failed"] = "failed"
    job: str
    key: str
    failure: Failure


class Note(Value):
    """Something that a reader should know: a corrupt entry that was computed again."""

    kind: Literal["note"] = "note"
    job: str
    text: str


class Finished(Value):
    """The job is over, whatever came of its needs."""

    kind: Literal["finished"] = "finished"
    job: str
    seconds: float


class Begun(Value):
    """A job was given to a worker."""

    kind: Literal["begun"] = "begun"
    job: str
    title: str


class Output(Value):
    """What user code printed, kept apart from the conversation."""

    kind: Literal["output"] = "output"
    job: str
    text: str


Event = Begun | Progress | Done | Failed | Note | Finished | Output
Answer = Ready | Progress | Done | Failed | Note | Finished
Command = Start | Order
_ANSWER: TypeAdapter[Answer] = TypeAdapter(Answer)
_COMMAND: TypeAdapter[Command] = TypeAdapter(Command)


def line(message: Value) -> bytes:
    """A message as one line."""
    return json.dumps(message.to_json(), separators=(",", ":"), ensure_ascii=True).encode() + b"\n"


def answer(text: bytes) -> Answer:
    """A worker's line, read; ValueError on anything else."""
    return _ANSWER.validate_json(text)


def command(text: bytes) -> Command:
    """A line to a worker, read; ValueError on anything else."""
    return _COMMAND.validate_json(text)


def send(pipe: BinaryIO, message: Value) -> None:
    """Write a message at once."""
    pipe.write(line(message))
    pipe.flush()
