"""fmtool: 3D brain-MRI foundation models, from the lab to the machine beside the scanner.

A scan's answers, each with its unit, evidence and warnings:

    >>> import fmtool
    >>> result = fmtool.predict("head.nii.gz")
    >>> print(f"{result['age'].value:.0f} {result['age'].task.unit}")
    4... years

That opens the demonstration bundle for one scan; a `Predictor` keeps yours open for many:

    >>> with fmtool.Predictor("mine.fmtool", device="cpu") as predictor:
    ...     results = [predictor.predict(scan) for scan in ("head.nii.gz",)]
    >>> results[0]["sex"].label in ("F", "M")
    True

The preprocessing alone, and a bundle, whose every file is verified when it is opened and whose
model is when its self-test is run:

    >>> fmtool.prepare("head.nii.gz").volume.shape
    (150, 192, 192)
    >>> with fmtool.bundle.open("mine.fmtool") as bundle:
    ...     engine, passed = fmtool.self_test(bundle, device="cpu")
    >>> list(bundle.tasks), passed.errors["embedding"] < 1e-2
    (['age', 'sex'], True)

What cannot be done is a `FmtoolError`, one sentence that says why.
"""

from typing import TYPE_CHECKING

from fmtool import environment
from fmtool.lazily import lazily

__version__ = "0.1.0"

NOTICE = "Research software, not a medical device: not for any clinical decision."

environment.prepare()

if TYPE_CHECKING:
    from fmtool import bundle as bundle
    from fmtool.bundle import Bundle as Bundle
    from fmtool.errors import FmtoolError as FmtoolError
    from fmtool.task import Task as Task
    from runtime.engines.choose import Wish as Wish
    from runtime.engines.selftest import self_test as self_test
    from runtime.predict import Predictor as Predictor
    from runtime.predict import predict as predict
    from runtime.prepare import Reading as Reading
    from runtime.preprocess.pipeline import Prepared as Prepared
    from runtime.preprocess.pipeline import prepare as prepare
    from runtime.report.rows import records as records
    from runtime.result import Prediction as Prediction
    from runtime.result import Result as Result
else:
    __all__, __getattr__, __dir__ = lazily(
        __name__,
        "fmtool.bundle",
        "fmtool.bundle:Bundle",
        "fmtool.errors:FmtoolError",
        "fmtool.task:Task",
        "runtime.engines.choose:Wish",
        "runtime.engines.selftest:self_test",
        "runtime.predict:Predictor",
        "runtime.predict:predict",
        "runtime.preprocess.pipeline:Prepared",
        "runtime.preprocess.pipeline:prepare",
        "runtime.prepare:Reading",
        "runtime.report.rows:records",
        "runtime.result:Prediction",
        "runtime.result:Result",
    )
