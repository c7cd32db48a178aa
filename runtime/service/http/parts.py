"""multipart/form-data: the bytes of its one file, as they arrive. No name in it is used."""

from __future__ import annotations

from collections.abc import Callable

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from runtime.service.http.limits import Refusal

FIELD = b"file"
_HEADERS = 8 << 10


class FilePart:
    """Takes the body apart, and hands on what belongs to the file.

    Args:
        content_type: of the request, with its boundary.
        write: given the file's bytes in order.

    Raises:
        Refusal: if there is no boundary.
    """

    def __init__(self, content_type: str, write: Callable[[bytes], None]) -> None:
        self._write = write
        self._field = bytearray()
        self._value = bytearray()
        self._headers = 0
        self._parts = 0
        self._is_file = False
        self._ended = False
        boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
        if not boundary or len(boundary) > 70:  # RFC 2046, 5.1.1
            raise Refusal(400, "the multipart body has no boundary")
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": lambda d, s, e: self._header(self._field, d[s:e]),
                "on_header_value": lambda d, s, e: self._header(self._value, d[s:e]),
                "on_header_end": self._header_end,
                "on_headers_finished": self._headers_finished,
                "on_part_data": lambda d, s, e: self._write(d[s:e]),
                "on_end": self._end,
            },
        )

    def feed(self, data: bytes) -> None:
        """The next bytes of the body.

        Raises:
            Refusal: if they are not what they should be.
        """
        try:
            self._parser.write(data)
        except FormParserError:
            raise Refusal(400, "the multipart body is malformed") from None

    def close(self) -> None:
        """The body is over.

        Raises:
            Refusal: if it should not be, or held no file.
        """
        if not self._ended or self._parts != 1:
            raise Refusal(400, "the multipart body is cut off, or holds no part named 'file'")

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > 1:
            raise Refusal(400, "the multipart body must hold one part, named 'file'")
        self._is_file = False

    def _header(self, into: bytearray, data: bytes) -> None:
        self._headers += len(data)
        if self._headers > _HEADERS:
            raise Refusal(400, "the headers in the multipart body are too long")
        into += data

    def _header_end(self) -> None:
        if self._field.lower() == b"content-disposition":
            kind, options = parse_options_header(self._value.decode("latin-1"))
            self._is_file = kind == b"form-data" and options.get(b"name") == FIELD
        self._field.clear()
        self._value.clear()

    def _headers_finished(self) -> None:
        if not self._is_file:
            raise Refusal(400, "the part of the multipart body must be named 'file'")

    def _end(self) -> None:
        self._ended = True
