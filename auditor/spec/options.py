"""Options of each source, as the spec names them; paths are relative to the audit's root once resolved."""

from typing import Any, Literal

from pydantic import Field

from auditor.subject import Modality, Task
from auditor.values import Value

Sha256 = str

FILE: dict[str, Any] = {"path": "file"}  # marks an option that is a path: it is resolved, and must be there
FOLDER: dict[str, Any] = {"path": "folder"}


class Transforms(Value):
    """Input steps of an image model. What is left out comes from the model's own files, or is assumed and said."""

    resize: int | None = Field(None, ge=1, description="Shorter side in pixels after resizing.")
    crop: int | None = Field(None, ge=1, description="Side of the centre crop in pixels.")
    interpolation: Literal["nearest", "bilinear", "bicubic"] | None = None
    mean: tuple[float, ...] | None = Field(None, description="Per channel, on pixel values scaled to [0, 1].")
    std: tuple[float, ...] | None = Field(None, description="Per channel, on pixel values scaled to [0, 1].")
    channels: Literal[1, 3] | None = None


class TorchvisionOptions(Value):
    """A torchvision architecture with a state dict (.safetensors, or .pt through weights_only)."""

    arch: str
    weights: str = Field(json_schema_extra=FILE)
    sha256: Sha256 | None = None
    classes: tuple[str, ...] | None = Field(None, description="Names in the order of the head.")
    transforms: Transforms | None = None


class TransformersOptions(Value):
    """A local transformers folder: a classifier, a regression, a language model or an encoder."""

    path: str = Field(json_schema_extra=FOLDER)
    sha256: Sha256 | None = Field(None, description="Of the weights file.")
    weights: str | None = Field(
        None, description="Another safetensors file for the same architecture.", json_schema_extra=FILE
    )
    labels: tuple[str, ...] | None = Field(None, description="Names in the order of the head, instead of id2label.")
    transforms: Transforms | None = None
    max_length: int | None = Field(None, ge=1, description="Tokens kept of a text; default: the model's window.")


class FactoryOptions(Value):
    """A callable that builds the module, and its state dict. Trust class `code`: it runs only with consent."""

    factory: str = Field(pattern=r"^[\w.]+:[\w.]+$", description="module:callable")
    kwargs: dict[str, Any] = {}
    weights: str | None = Field(
        None,
        description="Path of the state dict, or package:NAME/path inside an installed one.",
        json_schema_extra=FILE,
    )
    sha256: Sha256 | None = None
    modality: Modality
    task: Task = "classification"
    classes: tuple[str, ...] | str | None = Field(
        None, description="Names in order, or a text file with one a line.", json_schema_extra=FILE
    )
    transforms: Transforms | None = None


class Sample(Value):
    """A seeded sample of n rows; stratified keeps the shares of the classes."""

    n: int = Field(ge=1)
    stratify: bool = False


class DataOptions(Value):
    """What all data sources share."""

    sample: Sample | None = None
    group: str | None = Field(None, description="Unit of resampling: a column, or a pattern on the file name.")
    labels: dict[str, str] | None = Field(None, description="Label in the data -> class name of the model.")


class ImageFolderOptions(DataOptions):
    """Pictures in one folder a class, and optionally where in each picture the object is."""

    path: str = Field(json_schema_extra=FOLDER)
    boxes: str | None = Field(
        None,
        description="CSV file: columns file (below `path`), left, top, right, bottom, in pixels; a box a row.",
        json_schema_extra=FILE,
    )
    masks: str | None = Field(
        None,
        description="Folder of masks, white on the object, with the pictures' names and sizes, as .png.",
        json_schema_extra=FOLDER,
    )


class TableOptions(DataOptions):
    """Rows of a file of named columns: a text column or feature columns, and a label column where there are labels."""

    path: str = Field(json_schema_extra=FILE)
    text: str | None = Field(None, description="Column of the texts.")
    features: tuple[str, ...] | None = Field(None, description="Columns of numbers; default: all others.")
    label: str | None = Field(None, description="Column of the labels; language models and encoders need none.")
    slices: tuple[str, ...] | None = Field(None, description="Columns that name parts of the data to look into.")


class CsvOptions(TableOptions):
    """Rows of a CSV file with a header line, in UTF-8."""


class JsonlOptions(TableOptions):
    """One JSON object a line, in UTF-8; its keys are the columns."""


class ParquetOptions(TableOptions):
    """Rows of a Parquet file."""


class SklearnOptions(DataOptions):
    """A data set shipped with scikit-learn: digits (images), breast_cancer, wine, iris (tabular)."""

    name: Literal["digits", "breast_cancer", "wine", "iris"]
    split: Literal["all", "train", "test"] = Field("all", description="A fixed, seeded, stratified 70/30 split.")


class TensorsOptions(DataOptions):
    """Arrays in a .npz or .safetensors file: inputs, labels, and optionally groups."""

    path: str = Field(json_schema_extra=FILE)
    inputs: str = "inputs"
    targets: str = "labels"
    groups: str | None = None
    classes: tuple[str, ...] | None = None
    modality: Modality = "image"


MODEL_OPTIONS: dict[str, type[Value]] = {
    "torchvision": TorchvisionOptions,
    "transformers": TransformersOptions,
    "factory": FactoryOptions,
}
DATA_OPTIONS: dict[str, type[DataOptions]] = {
    "image_folder": ImageFolderOptions,
    "csv": CsvOptions,
    "jsonl": JsonlOptions,
    "parquet": ParquetOptions,
    "sklearn": SklearnOptions,
    "tensors": TensorsOptions,
}
