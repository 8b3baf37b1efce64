"""The words of -k."""

import pytest

from auditor.errors import UsageError
from auditor.plan.select import matcher

IDS = [
    "performance task.performance",
    "grad-cam interpretability.grad_cam",
    "gradient-norm optimizability.gradient_norm",
]


@pytest.mark.parametrize(
    ("expression", "chosen"),
    [
        ("", [0, 1, 2]),
        ("GRAD", [1, 2]),
        ("grad and not norm", [1]),
        ("performance or norm", [0, 2]),
        ("not (performance or norm)", [1]),
        ("not not task.", [0]),
        ("grad and norm or performance", [0, 2]),
        ("grad and (norm or performance)", [2]),
    ],
)
def test_selects(expression: str, chosen: list[int]) -> None:
    match = matcher(expression)
    assert [i for i, text in enumerate(IDS) if match(text)] == chosen


@pytest.mark.parametrize("expression", ["and", "a or", "(a", "a b", "a)", "not", "()"])
def test_refuses_with_the_expression_in_the_message(expression: str) -> None:
    with pytest.raises(UsageError, match="-k"):
        matcher(expression)
