"""Draft: a first spec from a look at the files, without loading anything."""

from auditor.draft.writing import draft

__all__ = ["draft"]
