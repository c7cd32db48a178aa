"""Attributes, mini headers, XML headers, parameters: what is odd in them, and what is hostile."""

from __future__ import annotations

import time

import pytest

from runtime.service.mrd import header, meta, mini_header, parameters

MINI = """<XProtocol>
{
  <ParamMap."">
  {
    <ParamMap."DICOM">
    {
      <ParamLong."SliceNo">{ }
      <ParamDouble."TE">{ 13 }
      <ParamString."SequenceDescription">{ "a {brace} of them" }
      <ParamString."ImageTypeValue3">{ "M" }
      <ParamArray."ImageTypeValue4">
      {
        <DefaultSize> 1
        <MaxSize> 2147483647
        <Default> <ParamString."">{ }
        { "DIS2D" }
        { "NORM" }
      }
      <ParamString."SOPInstanceUID">{ "1.2.3" }
    }
    <ParamMap."CONTROL">
    {
      <ParamLong."ChronSliceNo">{ }
      <ParamBool."BIsSeriesEnd">{ "true" }
    }
  }
}
"""


def test_attributes_come_back_as_they_were():
    told = {"ImageRowDir": ["1", "0", "0"], "Comment": ['<a> & "b"'], "Empty": [""]}
    assert meta.read(meta.write(told)) == told
    assert meta.read(meta.write(told) + b"\0\0") == told
    assert meta.read(b"") == {}


def test_the_library_reads_what_is_written():
    ismrmrd = pytest.importorskip("ismrmrd", reason="the mrd extra is absent")
    told = {"ImageRowDir": ["1", "0", "0"], "Comment": "<a> & b"}
    text = meta.write({"ImageRowDir": ["1", "0", "0"], "Comment": ["<a> & b"]}).decode()
    assert ismrmrd.Meta.deserialize(text) == told


BOMB = b"""<?xml version="1.0"?><!DOCTYPE m [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>
<ismrmrdMeta><meta><name>x</name><value>&b;</value></meta></ismrmrdMeta>"""


MANY = b"<ismrmrdMeta><meta><name>a</name>%s</meta></ismrmrdMeta>" % (b"<value>1</value>" * 10_001)


@pytest.mark.parametrize(
    "text",
    [
        BOMB,
        b"<other/>",
        b"<ismrmrdMeta><meta>",
        b"\xff\xfe",
        b"plain words",
        b"<ismrmrdMeta><meta><name>a</name><value><b>c</b></value></meta></ismrmrdMeta>",
        MANY,
        b'<?xml version="1.0" encoding="UTF-x"?><ismrmrdMeta/>',
        b'<?xml version="1.0" encoding="rot13"?><ismrmrdMeta/>',
        b'<?xml version="1.0" encoding="idna"?><ismrmrdMeta/>',
    ],
    ids=["entities", "other", "cut", "bytes", "words", "deep", "many", "UTF-x", "rot13", "idna"],
)  # fmt: skip
def test_what_is_no_attributes_is_refused(text):
    with pytest.raises(ValueError, match=r"attribute|value"):
        meta.read(text)


@pytest.mark.parametrize("encoding", ["UTF-x", "rot13", "idna", "utf-32"])
def test_a_header_in_an_encoding_that_nobody_reads_is_a_remark(encoding):
    text = f'<?xml version="1.0" encoding="{encoding}"?><ismrmrdHeader/>'.encode()
    assert "cannot be read" in header.read(text).remark
    assert not header.read(text.replace(encoding.encode(), b"ISO-8859-1")).remark


def test_originals_change_by_one_word_alone():
    kept = meta.write({"A": ["1"]})
    changed = meta.keeping_geometry(kept)
    assert meta.read(changed) == {"A": ["1"], "Keep_image_geometry": ["1"]}
    assert meta.keeping_geometry(changed) == changed
    assert meta.keeping_geometry(b"no xml") == b"no xml"
    assert meta.read(meta.keeping_geometry(b"")) == {"Keep_image_geometry": ["1"]}


def test_an_empty_brace_is_a_zero_and_an_array_has_its_values():
    found = mini_header.values(MINI)
    assert found["SliceNo"] == ["0"]
    assert found["TE"] == ["13"]
    assert found["SequenceDescription"] == ["a {brace} of them"]
    assert found["ImageTypeValue4"] == ["DIS2D", "NORM"]
    assert found["BIsSeriesEnd"] == ["true"]
    assert mini_header.decoded(mini_header.encoded(MINI)) == MINI


def test_a_mini_header_is_changed_where_its_parameters_are():
    said = {"SliceNo": "4", "SOPInstanceUID": "2.25.7", "SeriesDescription": 'a "mask"'}
    text = mini_header.changed(MINI, said, {"ImageTypeValue4": "FMTOOLMASK"})
    text = mini_header.without(text, "ImageTypeValue3")
    found = mini_header.values(text)
    assert found["SliceNo"] == ["4"]
    assert found["SOPInstanceUID"] == ["2.25.7"]
    assert found["SeriesDescription"] == ["a  mask "]
    assert found["ImageTypeValue4"] == ["FMTOOLMASK"]
    assert "ImageTypeValue3" not in found
    assert found["ChronSliceNo"] == ["0"]
    assert text.count("{") == text.count("}")
    assert mini_header.values(mini_header.changed(text, {"SliceNo": "0"}, {}))["SliceNo"] == ["0"]


def test_a_hostile_mini_header_takes_no_time():
    start = time.process_time()
    for piece in ('<ParamLong."A">{ 1 ', '<ParamArray."A">{ <DefaultSize> 1 ', "{ " * 9, '"'):
        mini_header.values(piece * 5000)
    mini_header.values('<ParamLong."A">{ ' + "1" * 200_000)
    assert time.process_time() - start < 5.0
    with pytest.raises(ValueError, match="base64"):
        mini_header.decoded("abc")
    with pytest.raises(ValueError, match="too large"):
        mini_header.decoded("A" * (3 << 20))


def test_a_header_without_a_schema_is_read_and_damage_is_a_remark():
    text = b"""<h xmlns="x"><measurementInformation><protocolName>p</protocolName>
    </measurementInformation><encoding><encodedSpace><matrixSize><z>176</z></matrixSize>
    </encodedSpace></encoding><sequenceParameters><TR>2300</TR><TE>1</TE><TE>2</TE><TI>nan</TI>
    </sequenceParameters></h>"""
    found = header.read(text)
    assert (found.protocol, found.acquisition, found.repetition) == ("p", "3D", 2300.0)
    assert (found.echo(1), found.echo(5), found.inversion(0)) == (2.0, None, None)
    for damaged in (b"Dummy XML header", b"<a>", b"", BOMB, b"<a>" * 40):
        assert header.read(damaged).remark
        assert header.read(damaged).protocol == ""


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        ([], {}),
        ([b'{"parameters": {"mask": "true", "report": "0"}}'], {"mask": True, "report": False}),
        ([b'{"parameters": {"mask": true, "report": false}}'], {"mask": True, "report": False}),
        ([b'{"mask": 1}'], {"mask": True}),
        ([b'{"mask": 1.0, "unknown": "x", "config": "openrecon"}'], {"mask": True}),
        ([b'{"mask": true}', b'{"mask": false}', b"words"], {}),
        ([b"{", b"[1]", b'{"parameters": 3}', b"{" * 9000, b'{"mask": NaN}'], {}),
    ],
)  # fmt: skip
def test_parameters_come_in_any_form_or_not_at_all(texts, found):
    switches, remarks = parameters.read(texts)
    assert switches == {**parameters.DEFAULTS, **found}
    assert remarks == []


def test_a_parameter_that_is_nonsense_is_its_default_and_said():
    switches, remarks = parameters.read([b'{"parameters": {"mask": "perhaps"}}'])
    assert switches == parameters.DEFAULTS
    assert remarks == ["the parameter mask is neither true nor false; it is False"]
