"""Values: number types, rescaling, compression, and what is damaged."""

from __future__ import annotations

import builtins
import locale

import numpy as np
import pydicom
import pytest
from pydicom import encaps, uid
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from fmtool.errors import CapabilityError, InputError
from runtime import scan


def noise(shape=(64, 70, 18), low=0, high=900, dtype=np.int16):
    return np.random.default_rng(2).integers(low, high, shape).astype(dtype)


def seen(stored):
    """As the closest canonical order has an axial series: left to right, back to front."""
    return stored[::-1, ::-1]


@pytest.mark.parametrize(
    "syntax",
    [
        uid.ImplicitVRLittleEndian,
        uid.ExplicitVRBigEndian,
        uid.DeflatedExplicitVRLittleEndian,
        uid.RLELossless,
        uid.JPEGLSLossless,
        uid.JPEG2000Lossless,
    ],
    ids=lambda u: u.name.split(" (")[0],
)
@pytest.mark.parametrize("kind", ["slices", "enhanced"])
def test_every_transfer_syntax_gives_the_voxels_back(make, syntax, kind):
    stored = getattr(make, kind)(noise(low=-400), syntax=syntax)
    np.testing.assert_array_equal(scan.read(make.folder).array, seen(stored))


@pytest.fixture
def same_locale():
    """ITK's writer sets the process's locale to C, and later tests would read ASCII."""
    before = locale.setlocale(locale.LC_ALL)
    yield
    locale.setlocale(locale.LC_ALL, before)


@pytest.mark.usefixtures("same_locale")
def test_jpeg_lossless_as_itk_writes_it(make):
    sitk = pytest.importorskip("SimpleITK")
    make.slices(noise((64, 70, 18)))
    for path in sorted(make.folder.iterdir()):
        image = sitk.ReadImage(str(path))
        writer = sitk.ImageFileWriter()
        writer.KeepOriginalImageUIDOn()
        writer.SetImageIO("GDCMImageIO")
        writer.SetCompressor("JPEG")
        writer.UseCompressionOn()
        writer.SetFileName(str(path))
        writer.Execute(image)
    data = pydicom.dcmread(next(make.folder.iterdir()))
    assert data.file_meta.TransferSyntaxUID in (uid.JPEGLossless, uid.JPEGLosslessSV1)
    np.testing.assert_array_equal(scan.read(make.folder).array, seen(noise((64, 70, 18))))


@pytest.mark.parametrize(
    ("stored", "expected", "values"),
    [
        (noise(dtype=np.uint16) + 40000, None, {"PixelRepresentation": 0}),
        (noise(low=-500), None, {}),
        (
            noise(dtype=np.uint16) | 0xA000,  # rubbish above the bits that count
            noise(dtype=np.uint16),
            {"PixelRepresentation": 0, "BitsStored": 12, "HighBit": 11},
        ),
        (
            noise(low=-400) & 0xFFF,
            noise(low=-400),
            {"BitsStored": 12, "HighBit": 11},
        ),
        (
            noise(high=255, dtype=np.uint8),
            None,
            {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "PixelRepresentation": 0},
        ),
    ],
    ids=["unsigned", "signed", "12 bits", "12 bits signed", "8 bits"],
)
def test_every_number_type(make, stored, expected, values):
    make.slices(stored, **values)
    got = scan.read(make.folder)
    np.testing.assert_array_equal(got.array, seen(stored if expected is None else expected))
    assert got.facts["dtype"].endswith("int8" if stored.dtype == np.uint8 else "int16")


@pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian,
                                    uid.ExplicitVRBigEndian, uid.RLELossless])  # fmt: skip
@pytest.mark.parametrize(("low", "signed"), [(0, 0), (-400, 1)])
@pytest.mark.parametrize("high", [11, 13, 15])
def test_voxels_in_any_bits_of_their_word(make, syntax, low, signed, high):
    stored = noise(low=low)
    words = (stored.astype(np.uint16) & 0xFFF) << (high - 11)
    stray = np.uint16(0xFFFF ^ (0xFFF << (high - 11)) & 0xFFFF)
    words |= noise(high=65536, dtype=np.uint16) & stray  # what others left in the bits beside them
    make.slices(words, syntax, PixelRepresentation=signed, BitsStored=12, HighBit=high)
    np.testing.assert_array_equal(scan.read(make.folder).array, seen(stored))


@pytest.mark.parametrize("high", [None, 3, 99])
def test_a_high_bit_that_makes_no_sense_is_that_of_the_bits_stored(make, high):
    stored = make.slices(noise(), PixelRepresentation=0, BitsStored=12, HighBit=high)
    np.testing.assert_array_equal(scan.read(make.folder).array, seen(stored))


@pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian,
                                    uid.RLELossless, uid.JPEG2000Lossless])  # fmt: skip
@pytest.mark.parametrize(
    ("padding", "dtype", "values"),
    [
        (-2000, np.int16, {}),
        (-32768, np.int16, {}),
        (32767, np.int16, {}),
        (65535, np.uint16, {"PixelRepresentation": 0}),
        (4095, np.uint16, {"PixelRepresentation": 0, "BitsStored": 12, "HighBit": 11}),
        (0, np.int16, {}),
    ],
)
def test_padding_is_background(make, syntax, padding, dtype, values):
    stored = noise(low=5, dtype=dtype)
    stored[:9] = padding
    vr = "US" if dtype == np.uint16 else "SS"
    make.slices(stored, syntax, lambda d, k: d.add_new("PixelPaddingValue", vr, padding), **values)
    stored[:9] = 0 if padding == 0 else 5
    np.testing.assert_array_equal(scan.read(make.folder).array, seen(stored))


def test_padding_beyond_the_bits_stored(make):
    stored = noise(low=5, dtype=np.uint16)
    stored[:9] = 65535
    stored[9:12] = 4095  # as bright as can be, and no padding
    make.slices(stored, edit=lambda d, k: d.add_new("PixelPaddingValue", "US", 65535),
                PixelRepresentation=0, BitsStored=12, HighBit=11)  # fmt: skip
    stored[:9] = 5
    np.testing.assert_array_equal(scan.read(make.folder).array, seen(stored))


def test_a_range_of_padding_rescaled_and_inverted(make):
    stored = noise(low=5)
    stored[:9], stored[9:12] = -2000, -1000

    def edit(data, k):
        data.add_new("PixelPaddingValue", "SS", -2000)
        data.add_new("PixelPaddingRangeLimit", "SS", -1000)
        data.RescaleSlope, data.RescaleIntercept = 2, 10

    make.slices(stored, edit=edit)
    stored[:12] = 5
    np.testing.assert_array_equal(scan.read(make.folder).array, seen(stored * 2 + 10))


def test_padding_whose_kind_of_number_is_the_other(make):
    stored = noise(low=5)
    stored[:9] = -2000
    make.slices(stored, edit=lambda d, k: d.add_new("PixelPaddingValue", "US", 63536))
    stored[:9] = 5
    np.testing.assert_array_equal(scan.read(make.folder).array, seen(stored))


@pytest.mark.parametrize("bits", [12, 16])
@pytest.mark.parametrize("kind", ["slices", "enhanced"])
def test_a_signed_codestream_under_a_header_that_says_unsigned_is_signed(make, bits, kind):
    stored = getattr(make, kind)(noise(low=-400), uid.JPEG2000Lossless, BitsStored=bits,
                                 HighBit=bits - 1)  # fmt: skip
    for path in make.folder.iterdir():
        data = pydicom.dcmread(path)
        data.PixelRepresentation = 0
        data.save_as(path)
    got = scan.read(make.folder)
    np.testing.assert_array_equal(got.array, seen(stored))
    assert got.facts["dtype"] == "int16"


def test_each_slice_has_its_own_slope_and_intercept(make):
    def rescale(data, k):
        data.RescaleSlope, data.RescaleIntercept = 1 + k / 10, -k

    stored = make.slices(edit=rescale)
    k = np.arange(stored.shape[2])
    expected = seen(stored * (1 + k / 10) - k)
    np.testing.assert_allclose(scan.read(make.folder).array, expected, rtol=1e-6, atol=1e-4)


def test_each_frame_of_an_enhanced_object_has_its_own(make):
    def rescale(data):
        for n, group in enumerate(data.PerFrameFunctionalGroupsSequence):
            group.PixelValueTransformationSequence[0].RescaleSlope = 1 + n / 10
            group.PixelValueTransformationSequence[0].RescaleIntercept = -n

    stored = make.enhanced(edit=rescale)
    n = np.arange(stored.shape[2])
    expected = seen(stored * (1 + n / 10) - n)
    np.testing.assert_allclose(scan.read(make.folder).array, expected, rtol=1e-6, atol=1e-4)


@pytest.mark.parametrize(
    ("values", "largest"),
    [({"PixelRepresentation": 0, "BitsStored": 12, "HighBit": 11}, 4095), ({}, -1)],
)
def test_monochrome1_is_turned_so_that_larger_is_brighter(make, values, largest):
    stored = make.slices(noise(), PhotometricInterpretation="MONOCHROME1", **values)
    got = scan.read(make.folder)
    np.testing.assert_array_equal(got.array, seen(largest - stored.astype(int)))
    assert "inverted" in got.facts["warnings"][0]


def test_a_real_world_value_mapping_is_ignored(make):
    def mapped(data, k):
        item = Dataset()
        item.RealWorldValueSlope, item.RealWorldValueIntercept = 7.0, 3.0
        data.RealWorldValueMappingSequence = Sequence([item])

    stored = make.slices(edit=mapped)
    np.testing.assert_array_equal(scan.read(make.folder).array, seen(stored))


def edited(make, change, **values):
    """The complaint about a series with one slice's data set changed."""
    make.slices(
        noise((64, 70, 18)), edit=lambda data, k: change(data) if k == 9 else None, **values
    )
    with pytest.raises(InputError) as caught:
        scan.read(make.folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_slices_whose_pixels_are_damaged(make):
    def short(data):
        data.PixelData = data.PixelData[:2000]

    assert "is damaged: slice 10 of 18 cannot be decoded" in edited(make, short)


def test_a_slice_without_pixels(make):
    assert "a slice without pixels" in edited(make, lambda data: delattr(data, "PixelData"))


def test_colour(make):
    def colour(data):
        data.SamplesPerPixel, data.PhotometricInterpretation = 3, "RGB"

    assert "colour" in edited(make, colour)


def test_a_file_that_ends_within_its_pixels(make):
    make.slices()
    path = sorted(make.folder.iterdir())[4]
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="is cut off: a slice promises 960 bytes"):
        scan.read(make.folder)


@pytest.mark.parametrize("syntax", [uid.JPEG2000Lossless, uid.JPEGLSLossless])
def test_a_codestream_larger_inside_than_outside_is_not_decoded(make, syntax):
    make.slices(noise((64, 70, 18)), syntax=syntax)
    path = sorted(make.folder.iterdir())[4]
    data = pydicom.dcmread(path)
    frame = bytearray(encaps.get_frame(data.PixelData, 0, number_of_frames=1))
    if syntax == uid.JPEG2000Lossless:
        at = frame.index(b"\xff\x51") + 6  # SIZ: width, height
        frame[at : at + 8] = (50_000).to_bytes(4, "big") * 2
    else:
        at = frame.index(b"\xff\xf7") + 5  # SOF: height, width
        frame[at : at + 4] = (50_000).to_bytes(2, "big") * 2
    data.PixelData = encaps.encapsulate([bytes(frame)])
    data.save_as(path)
    with pytest.raises(InputError, match="64 x 70 voxels claims 50000 x 50000 inside"):
        scan.read(make.folder)


def test_a_compression_that_no_plugin_reads_names_the_plugin(make, monkeypatch):
    make.slices(noise((64, 70, 18)), syntax=uid.JPEG2000Lossless)
    decoder = pydicom.pixels.get_decoder(uid.JPEG2000Lossless)
    needs = {"pylibjpeg": ("pylibjpeg>=2.0", "pylibjpeg-openjpeg>=2.0")}
    monkeypatch.setattr(decoder, "_available", {})
    monkeypatch.setattr(decoder, "_unavailable", needs)
    with pytest.raises(CapabilityError, match=r"pylibjpeg-openjpeg.*fmtool\[dicom\]"):
        scan.read(make.folder)


def test_without_pydicom_the_extra_is_named(make, monkeypatch):
    from runtime.scan.dicom import library

    make.slices()
    real = builtins.__import__

    def absent(name, *rest):
        if name.split(".")[0] == "pydicom":
            raise ImportError(name)
        return real(name, *rest)

    library.pydicom.cache_clear()
    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(CapabilityError, match=r"fmtool\[dicom\]"):
        scan.read(make.folder)


def test_a_video_transfer_syntax_is_refused(make):
    make.slices()
    for path in make.folder.iterdir():
        data = pydicom.dcmread(path)
        data.PixelData = encaps.encapsulate([b"\0" * 100])
        data["PixelData"].is_undefined_length = True
        data.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.102"
        data.save_as(path)
    with pytest.raises(InputError, match=r"1\.2\.840\.10008\.1\.2\.4\.102"):
        scan.read(make.folder)
