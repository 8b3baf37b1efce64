"""A desk with a spec, the shipped assets and the real command line in processes of its own."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fakes

ROOT = Path(__file__).parents[1]
COMMAND = (sys.executable, "-c", "from auditor.cli import main; main()")
SHIPPED = {"source": "transformers", "path": "assets/digits-shipped"}


@dataclass(frozen=True)
class Ended:
    """What a command left: exit code, what it printed, and what it said on stderr."""

    code: int
    out: str
    err: str


def check(check_id: str, use: str = "task.fake_mean", **parts: Any) -> dict[str, Any]:
    """A check of a spec that expects its mean to be at least 0, which holds; `with_` are its parameters."""
    given = {"with": parts.pop("with_", {}), "expect": {"mean": ">= 0"}, **parts}
    return {"id": check_id, "use": use, **{name: value for name, value in given.items() if value}}


@dataclass
class Desk:
    """A folder for an audit; specs are JSON, which is YAML too."""

    root: Path
    plugins: dict[str, str] = field(default_factory=lambda: dict(fakes.PLUGINS))
    environment: dict[str, str] = field(default_factory=dict)

    def write(self, checks: Sequence[Any], **parts: Any) -> Path:
        """A spec on the shipped model, without pages that take long."""
        path = self.root / "audit.yaml"
        plain = {
            "auditor": 1,
            "name": "desk",
            "model": SHIPPED,
            "checks": list(checks),
            "run": {"device": "cpu", "threads": 1},
            "report": {"formats": ["json", "junit"]},
        }
        whole = {name: part for name, part in {**plain, **parts}.items() if part is not None}
        path.write_text(json.dumps(whole))
        return path

    def start(self, *arguments: object) -> "subprocess.Popen[str]":
        """`auditor ARGUMENTS`, begun."""
        self._install()
        known = os.pathsep.join(map(str, (self.root / "site", ROOT, ROOT / "tests")))
        environment = {**os.environ, "PYTHONPATH": known, "TMPDIR": str(self.root / "tmp"), **self.environment}
        return subprocess.Popen(
            [*COMMAND, *map(str, arguments)], cwd=self.root, env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def run(self, *arguments: object) -> Ended:
        """`auditor ARGUMENTS`, to its end."""
        return ended(self.start(*arguments))

    def audit(self, *arguments: object) -> Ended:
        """`auditor run` of the spec with cache and out below the desk."""
        return self.run(*self.words(), *arguments)

    def words(self) -> tuple[object, ...]:
        """The words of audit()."""
        return ("run", "audit.yaml", "--cache", self.root / "cache", "--out", self.root / "runs")

    def folders(self) -> list[Path]:
        """The run folders, oldest first."""
        return sorted(path for path in self.root.glob("runs/*/*") if not path.is_symlink())

    def results(self) -> Any:
        """results.json of the newest run."""
        return json.loads((self.folders()[-1] / "results.json").read_text())

    def outcomes(self) -> dict[str, str]:
        """How each check of the newest run ended."""
        return {each["id"]: each["outcome"] for each in self.results()["checks"]}

    def processes(self) -> list[str]:
        """The command lines of processes that work for this desk; zombies have none."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if str(self.root / "tmp").encode() in (process / "environ").read_bytes():
                    found.append((process / "cmdline").read_text())
        return [each for each in found if each]

    def _install(self) -> None:
        """The plug-ins as an installed distribution names them."""
        folder = self.root / "site" / "desk-1.dist-info"
        folder.mkdir(parents=True, exist_ok=True)
        (self.root / "tmp").mkdir(exist_ok=True)
        (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: desk\nVersion: 1\n")
        points = "".join(f"{name} = {value}\n" for name, value in self.plugins.items())
        (folder / "entry_points.txt").write_text(f"[auditor.checks]\n{points}")


def ended(process: "subprocess.Popen[str]") -> Ended:
    """Wait for a command."""
    with process:
        out, err = process.communicate(timeout=200)
    return Ended(process.returncode, out, err)


def heard(process: "subprocess.Popen[str]", words: str) -> str:
    """Read what a command prints until a line holds these words; all that was read."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if words in line:
            return "".join(lines)
    raise AssertionError(f"it ended without {words!r}: {lines} {process.stderr.read() if process.stderr else ''}")


def soon(holds: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.005)
