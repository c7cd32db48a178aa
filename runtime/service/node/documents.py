"""The documents of an answer, made in the process that computes it and may break."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from os import PathLike

from runtime.preprocess.template import Template
from runtime.result import Result
from runtime.service.answer import Answerer, Order
from runtime.service.node.log import hush_libraries
from runtime.service.node.storage import job


def answerer(bundle: str | PathLike[str] | None, tasks: Sequence[str] | None) -> Answerer:
    """An `Answerer` that makes documents, for a process of its own."""
    hush_libraries()
    return Answerer(bundle, tasks, documents)


def documents(order: Order, result: Result, template: Template) -> dict[str, bytes]:
    """The report and the page, as DICOM files.

    Args:
        order: whose source is a series' folder in the inbox.
        result: what was predicted.
        template: not drawn.

    Raises:
        InputError: if the folder holds no object.
    """
    from runtime.service.node import (
        page,
        source,
        sr,
        studies,
    )  # not for the node's own process: large

    del template
    wanted = order.tasks or tuple(result.predictions)
    shown = replace(result, predictions={n: result.predictions[n] for n in wanted})
    headers, name = source.read(order.source), job(order.source)
    earlier = studies.earlier(order.source, headers[0], name)
    made = (sr.report(shown, headers, name, earlier), page.page(shown, headers[0], name))
    files = {}
    for number, document in enumerate(made, 1):
        stream = BytesIO()
        document.save_as(stream, enforce_file_format=True)
        files[f"{number}.dcm"] = stream.getvalue()
    return files
