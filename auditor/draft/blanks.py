"""Blanks: the part of a spec for a model or data that was not named, to be filled in by hand."""

from collections.abc import Iterator

from auditor.subject import Modality

MODEL = """\
model:
  source: transformers                      # or torchvision, factory: see docs/spec.md
  path: "<fill in: the folder of the model, with config.json and safetensors>"
  # source: torchvision                     # a state dict; write these in place of the two lines above
  # arch: resnet18
  # weights: weights/model.safetensors      # or .pt, which is read as data only
  # classes: [cat, dog]                     # in the order of the head
"""
PICTURES = """\
data:
  source: image_folder                      # one folder a class; also csv, jsonl, parquet and more: see docs/spec.md
  path: "<fill in: the folder with one folder of pictures a class>"
"""
TEXTS = """\
data:
  source: csv                               # also jsonl, parquet, image_folder and more: see docs/spec.md
  path: "<fill in: the CSV file>"
  text: "<fill in: the column of the texts>"
  label: "<fill in: the column of the labels>"
"""
COLUMNS = """\
data:
  source: csv                               # also jsonl, parquet, image_folder and more: see docs/spec.md
  path: "<fill in: the CSV file>"
  features: ["<fill in: the columns of the features>"]
  label: "<fill in: the column of the labels>"
"""
DATA: dict[Modality, str] = {"image": PICTURES, "text": TEXTS, "tabular": COLUMNS}


def model_blank() -> Iterator[str]:
    """The lines of a model to be named."""
    yield from ("# The model was not named: fill in where it is, or run again as  auditor init MODEL DATA", MODEL)


def data_blank(modality: Modality) -> Iterator[str]:
    """The lines of data for a model of this modality."""
    yield from (
        "# The data was not named: fill in where it is, or run again as  auditor init MODEL DATA",
        DATA[modality],
    )
