"""Targets: whose score is explained, as a spec names it."""

from typing import Annotated

from pydantic import Field

TargetName = Annotated[
    str,
    Field(pattern=r"^(predicted|label|class:\d+)$", description="Whose logit: predicted, label or class:K."),
]
"""The type of a check's `target:` parameter."""
