"""The edge runtime: a scan and a bundle in, a result out. Needs neither torch nor monai.

    >>> import runtime
    >>> scan = runtime.read("head.nii.gz")
    >>> scan.array.ndim, scan.facts["orientation"]
    (3, '...')
    >>> with runtime.Predictor(engine="onnxruntime", device="cpu") as predictor:
    ...     result = predictor.predict(scan, tasks=["age"])
    >>> list(result), result.engine
    (['age'], 'onnxruntime ..., cpu, float32')

Its stages can be called one by one, `n4` and `rigid` on any arrays of yours.
"""

from typing import TYPE_CHECKING

from fmtool.lazily import lazily

if TYPE_CHECKING:
    from runtime.engines.choose import Wish as Wish
    from runtime.predict import Predictor as Predictor
    from runtime.prepare import Reading as Reading
    from runtime.preprocess.bias import n4 as n4
    from runtime.preprocess.pipeline import Prepared as Prepared
    from runtime.preprocess.pipeline import Preprocessor as Preprocessor
    from runtime.preprocess.register import Rigid as Rigid
    from runtime.preprocess.register import rigid as rigid
    from runtime.result import Failure as Failure
    from runtime.result import Prediction as Prediction
    from runtime.result import Result as Result
    from runtime.scan import Scan as Scan
    from runtime.scan import read as read
else:
    __all__, __getattr__, __dir__ = lazily(
        __name__,
        "runtime.engines.choose:Wish",
        "runtime.predict:Predictor",
        "runtime.prepare:Reading",
        "runtime.preprocess.bias:n4",
        "runtime.preprocess.pipeline:Prepared",
        "runtime.preprocess.pipeline:Preprocessor",
        "runtime.preprocess.register:Rigid",
        "runtime.preprocess.register:rigid",
        "runtime.result:Failure",
        "runtime.result:Prediction",
        "runtime.result:Result",
        "runtime.scan:Scan",
        "runtime.scan:read",
    )
