"""MRD files (.h5): streams kept on disk, read and written by the library `ismrmrd`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fmtool.errors import CapabilityError, InputError
from runtime.service.mrd import wire
from runtime.service.mrd.wire import IMAGE_HEADER, MrdMessage, Tag, image_message

_GROUP = "dataset"
_XML, _MORE = "xml", "configAdditional"


def read(path: Path) -> list[MrdMessage]:
    """The messages that a file's client would send: XML header, parameters, images, CLOSE.

    Raises:
        InputError: if it is no such file, or holds raw data.
        CapabilityError: if the library is not installed.
    """
    h5py = _library().hdf5.h5py
    try:
        with h5py.File(path, "r") as file:
            if len(file) != 1:
                raise InputError(f"{path} holds {len(file)} groups; expected one stream")
            (group,) = file.values()
            return [wire.config_file("openrecon"), *_texts(group), *_images(group), wire.CLOSE]
    except (OSError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path} is no MRD file of images ({type(error).__name__}); name one that is"
        ) from None


def _texts(group: Any) -> list[MrdMessage]:
    found = []
    for name, kind in ((_XML, Tag.HEADER), (_MORE, Tag.TEXT)):
        if name in group:
            value = group[name][0]
            text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
            found.append(wire.text_message(text, kind))
    return found


def _images(group: Any) -> list[MrdMessage]:
    names = [name for name in group if name.startswith(("image_", "images_"))]
    if not names:
        raise InputError("an MRD file without images; expected reconstructed ones")
    found = []
    for name in sorted(names, key=lambda n: (len(n), n)):  # image_2 before image_10
        held = group[name]
        for head, data, said in zip(held["header"], held["data"], held["attributes"], strict=True):
            told = np.frombuffer(head.tobytes(), IMAGE_HEADER)[0]
            attributes = said if isinstance(said, bytes) else str(said).encode()
            found.append(image_message(told, attributes, _standard(data)))
    return found


def _standard(data: Any) -> Any:
    """Voxels of a number type of the standard; a file may hold complex ones as pairs."""
    if data.dtype.names:
        data = np.ascontiguousarray(data).view(data.dtype[0]).reshape(*data.shape, 2)
        data = (data[..., 0] + 1j * data[..., 1]).astype(np.complex64)
    if data.dtype == np.int64:  # as the library writes the 32-bit integers of the standard
        data = data.astype(np.int32)
    return np.ascontiguousarray(data, dtype=data.dtype.newbyteorder("<"))


def write(path: Path, messages: Sequence[MrdMessage], header: str) -> None:
    """Keep the images of messages, a group for each series, number type and size.

    The library casts an image to the type of its group's first one, and says nothing.

    Raises:
        InputError: if the file cannot be written.
        CapabilityError: if the library is not installed.
    """
    library = _library()
    groups: dict[tuple[int, Any, tuple[int, ...]], str] = {}
    try:
        path.unlink(missing_ok=True)
        with library.Dataset(path, _GROUP, create_if_needed=True) as file:
            file.write_xml_header(header.encode())
            for message in messages:
                if message.kind == Tag.IMAGE:
                    image = wire.image(message)
                    made = library.Image(
                        head=image.head.tobytes(),
                        attribute_string=image.attributes.decode("utf-8", "replace"),
                        data=image.data.copy(),
                    )
                    series = int(made.image_series_index)
                    others = sum(series == one for one, *_ in groups)
                    name = f"image_{series}_{others}" if others else f"image_{series}"
                    alike = series, image.data.dtype, image.data.shape
                    file.append_image(groups.setdefault(alike, name), made)
    except OSError as error:
        raise InputError(f"cannot write {path} ({error}); name another file") from None


def _library() -> Any:
    try:
        import ismrmrd
        import ismrmrd.hdf5
    except ImportError:
        raise CapabilityError(
            "MRD files need ismrmrd; install it with `pip install 'fmtool[mrd]'`"
        ) from None
    return ismrmrd
