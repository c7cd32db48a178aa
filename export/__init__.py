"""From weights to files that run: ONNX graphs and the bundle.

    >>> import export, numpy as np, training
    >>> graph = export.BundleGraph(training.build("resnet18", width=0.0625), heads=[])
    >>> model = export.onnx.export(graph, "model.onnx", shape=(32, 32, 32))
    >>> mask = np.ones((32, 32, 32), np.float32)
    >>> volume = np.random.default_rng(0).random(mask.shape, np.float32)
    >>> report = export.parity(model, graph, [(volume, mask)], tolerance=1e-5)
    >>> report.worst.share <= 1
    True

`pack.pack` makes a bundle of an encoder and its heads, with such gates before anything is written.
"""

from typing import TYPE_CHECKING

from fmtool.lazily import lazily

if TYPE_CHECKING:
    from export import onnx as onnx
    from export import pack as pack
    from export.graph import BundleGraph as BundleGraph
    from export.int8 import to_int8 as to_int8
    from export.precision import to_fp16 as to_fp16
    from export.verify import ParityReport as ParityReport
    from export.verify import parity as parity
else:
    __all__, __getattr__, __dir__ = lazily(
        __name__,
        "export.onnx",
        "export.pack",
        "export.graph:BundleGraph",
        "export.int8:to_int8",
        "export.precision:to_fp16",
        "export.verify:ParityReport",
        "export.verify:parity",
    )
