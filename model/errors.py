"""Errors of `model`.

ModelError
├── ImagingError        a DICOM object cannot become pixels or a volume
│   ├── GeometryError   positions are missing, repeated, mixed or unevenly spaced
│   └── PixelError      declared size, pixel data and codec do not agree
├── WeightsError        a checkpoint is missing, altered or does not fit its family
│   └── MemoryShortageError  the device has not the memory that it needs
├── DatasetError        a prepared dataset or a download is incomplete, altered or not in its published layout
│   └── RowError        one row of a download cannot become a record; the others can
├── TrainingError       a run of training cannot begin or go on
│   └── LostWorkerError  another process of the run is gone
├── AbstentionError     the input is outside what the model can judge
├── AnswerError         generated text breaks the grammar of its task
├── EvaluationError     an evaluation cannot be made as it was asked for
└── MetricError         predictions and references cannot be compared
    └── NotComputedError  a metric lacks a model or a table
"""


class ModelError(Exception):
    """Something in `model` could not be done; `str(error)` never holds patient data."""


class ImagingError(ModelError):
    """A DICOM object cannot become pixels or a volume."""


class GeometryError(ImagingError):
    """Slice positions are missing, repeated, mixed or unevenly spaced."""


class PixelError(ImagingError):
    """Declared size, pixel data and codec do not agree."""


class WeightsError(ModelError):
    """A checkpoint is missing, altered or does not fit its family."""


class MemoryShortageError(WeightsError):
    """The device has not the memory that the weights need; the message says which precision would fit."""


class DatasetError(ModelError):
    """A prepared dataset or a download is incomplete, altered or not in its published layout."""


class RowError(DatasetError):
    """One row of a download cannot become a record; the message is a reason without patient data."""


class TrainingError(ModelError):
    """A run of training cannot begin or go on; the message says what to change."""


class LostWorkerError(TrainingError):
    """Another process of the run is gone; what the last checkpoint holds is not lost."""


class AbstentionError(ModelError):
    """The input is outside what the model can judge; the message says why."""


class AnswerError(ModelError):
    """Generated text breaks the grammar of its task."""


class EvaluationError(ModelError):
    """An evaluation cannot be made as it was asked for; the message says what is missing."""


class MetricError(ModelError):
    """Predictions and references cannot be compared."""


class NotComputedError(MetricError):
    """A metric lacks a model or a table; the message says which, where to get it and how to give it."""
