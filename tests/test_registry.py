"""The registry: names from files, one class a file, plug-ins, and what it refuses."""

import sys
from pathlib import Path

import fakes
import pytest

from auditor.errors import UsageError
from auditor.registry import Registry, _only_check, _verify


def test_names_are_files_and_plug_ins_without_importing_any(tmp_path: Path):
    (tmp_path / "task").mkdir()
    (tmp_path / "task" / "accuracy.py").write_text('raise AssertionError("imported")\n')
    (tmp_path / "task" / "_shared.py").write_text("")
    (tmp_path / "elsewhere.py").write_text("")
    assert Registry({"task.more": "x:Y"}, tmp_path).names() == ("task.accuracy", "task.more")


def test_a_summary_is_read_without_importing(tmp_path: Path):
    (tmp_path / "task").mkdir()
    source = 'raise AssertionError("imported")\nclass A:\n  "no"\nclass B(Check):\n  """How good is it?\n\n  More."""\n'
    (tmp_path / "task" / "accuracy.py").write_text(source)
    registry = Registry(fakes.PLUGINS, tmp_path)
    assert registry.summary("task.accuracy") == "How good is it?"
    assert registry.summary("task.fake_mean") == "The mean of some numbers."


def test_a_check_is_loaded_by_name():
    registry = Registry(fakes.PLUGINS)
    assert registry.check("task.fake_mean") is fakes.Mean
    with pytest.raises(KeyError):
        registry.check("task.fake_nothing")
    with pytest.raises(KeyError):
        registry.summary("task.fake_nothing")


def test_a_clash_is_an_error(tmp_path: Path):
    (tmp_path / "task").mkdir()
    (tmp_path / "task" / "fake_mean.py").write_text("")
    with pytest.raises(UsageError, match=r"two checks are called 'task\.fake_mean'"):
        Registry(fakes.PLUGINS, tmp_path)


def test_every_shipped_check_loads():
    registry = Registry({})
    for name in registry.names():
        assert registry.check(name).pillar == name.partition(".")[0]
        assert registry.summary(name)


def test_a_file_holds_exactly_one_check():
    with pytest.raises(UsageError, match=r"expected exactly one Check in the file, found Mean, Twice, Mismatched"):
        _only_check(sys.modules["fakes"])


class WrongPillar(fakes.Mean):
    """In the wrong folder."""

    pillar = "traceability"


class ByPosition(fakes.Mean):
    """Takes an artifact by position."""

    def measure(self, numbers, *args, **artifacts):
        raise NotImplementedError


class TwiceDeclared(fakes.Mean):
    """One metric under one name, twice."""

    metrics = (fakes.METRIC, fakes.METRIC)


@pytest.mark.parametrize(
    ("cls", "words"),
    [
        (WrongPillar, "expected pillar 'task', found 'traceability'"),
        (ByPosition, "'numbers' can be given by position"),
        (TwiceDeclared, "metric declared twice: mean"),
        (int, "is not a subclass"),
    ],
)
def test_a_malformed_check_is_refused_with_its_place(cls, words):
    with pytest.raises(UsageError, match=words) as error:
        _verify("task.x", cls)
    assert cls.__qualname__ in str(error.value)
