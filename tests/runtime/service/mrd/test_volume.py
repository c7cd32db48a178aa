"""Images to a volume: whatever the arrangement, the same voxels in the same place."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest

from fmtool.errors import InputError
from runtime.scan import Scan
from runtime.service.mrd import meta, mini_header, volume, wire
from runtime.service.mrd.rehearsal import scanner
from runtime.service.mrd.rehearsal.scanner import Arrangement
from runtime.service.mrd.wire import Tag, image_message

PLANES = ("axial", "sagittal", "coronal")


def tilted(scan):
    """The same voxels in an oblique head."""
    a, b, c = np.radians([11.0, -8.0, 14.0])
    rx = [[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]]
    ry = [[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]]
    rz = [[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]]
    affine = scan.affine.copy()
    affine[:3] = np.array(rx) @ ry @ rz @ affine[:3]
    return Scan(scan.array, affine)


def changed(messages, change):
    """The images with what `change(number, head, meta, data)` gives; None leaves one out."""
    found = []
    for number, message in enumerate(messages):
        if message.kind != Tag.IMAGE:
            found.append(message)
            continue
        one = wire.image(message)
        head, told, data = one.head.copy(), meta.read(one.attributes), one.data
        made = change(number, head, told, data)
        if made is not None:
            found.append(image_message(made[0], meta.write(made[1]), made[2]))
    return found


def same(read, scan, tolerance=1e-3):
    return np.array_equal(read.scan.array, scan.array) and np.allclose(
        read.scan.affine, scan.affine, atol=tolerance
    )


@pytest.mark.parametrize(
    ("plane", "packed", "left", "centred", "oblique"),
    list(itertools.product(PLANES, *[(False, True)] * 4)),
)
def test_every_arrangement_gives_the_same_volume(small, plane, packed, left, centred, oblique):
    head = tilted(small) if oblique else small
    if centred:
        how = Arrangement(plane, packed, left, centred, shuffled=3)
        assert same(volume.read(scanner.stream(head, how)), head)
    unmarked = Arrangement(plane, packed, left, centred, marked=False, shuffled=5)
    read = volume.read(scanner.stream(head, unmarked))
    assert same(read, head)
    said = any("first voxels" in sentence for sentence in read.scan.facts["warnings"])
    assert said is not centred


def test_a_converter_that_writes_directions_too_is_still_none_of_a_scanners(small):
    def directions(number, head, told, data):
        told |= {
            "ImageRowDir": [str(c) for c in head["read_dir"]],
            "ImageColumnDir": [str(c) for c in head["phase_dir"]],
            "ImageType": ["['ORIGINAL', 'PRIMARY', 'M', 'ND']"],  # as one text, which is seen too
        }
        return head, told, data

    sent = scanner.stream(small, Arrangement("axial", centred=False, marked=False))
    read = volume.read(changed(sent, directions))
    assert same(read, small)
    assert {"ORIGINAL", "PRIMARY", "M", "ND"} <= set(read.images[0].tokens)


@pytest.mark.parametrize("left", [False, True])
def test_a_packed_volume_whose_field_of_view_is_one_slices(small, left):
    def one_slice(number, head, told, data):
        head["field_of_view"][2] /= data.shape[1]
        return head, told, data

    sent = scanner.stream(small, Arrangement("axial", packed=True, left_handed=left))
    assert same(volume.read(changed(sent, one_slice)), small)


def test_spacing_comes_from_positions_and_not_from_the_thickness(small):
    def thinner(number, head, told, data):
        head["field_of_view"][2] *= 0.5  # a gap between slices
        return head, told, data

    assert same(volume.read(changed(scanner.stream(small), thinner)), small)


def test_the_acquisitions_axes_in_the_header_do_not_matter_where_the_pixels_are_told(small):
    def swapped(number, head, told, data):
        head["read_dir"], head["phase_dir"] = head["phase_dir"].copy(), head["read_dir"].copy()
        return head, told, data

    assert same(volume.read(changed(scanner.stream(small), swapped)), small)


def test_a_converter_that_swaps_the_field_of_view_is_seen_through(small):
    square = Scan(small.array, np.diag([3.0, 3.0, 3.0, 1.0]) @ np.eye(4))
    square.affine[:3, 3] = [-27.0, -33.0, -39.0]

    def swapped(number, head, told, data):
        _, _, rows, columns = data.shape
        across, down = head["field_of_view"][0] / columns, head["field_of_view"][1] / rows
        head["field_of_view"][:2] = across * rows, down * columns
        return head, {}, data

    how = Arrangement(centred=False, marked=False)
    read = volume.read(changed(scanner.stream(square, how), swapped))
    assert same(read, square)
    assert any("other way round" in sentence for sentence in read.scan.facts["warnings"])


@pytest.mark.parametrize(
    ("dtype", "kind"),
    [("<i4", "int32"), ("<u2", "uint16"), ("<f8", "float64"), ("<c8", "complex64")],
)
def test_voxels_of_any_type_and_the_magnitude_of_complex_ones(small, dtype, kind):
    whole = Scan(np.rint(small.array * 1000), small.affine)

    def as_type(number, head, told, data):
        turned = data * np.exp(0.7j) if dtype == "<c8" else data
        head["image_type"] = 5 if dtype == "<c8" else 1
        return head, told, turned.astype(dtype)

    read = volume.read(changed(scanner.stream(whole), as_type))
    assert read.scan.facts["dtype"] == kind
    assert np.allclose(read.scan.array, whole.array, atol=1e-3)


def kinds(messages, token, value=None):
    """The images as of another kind; a token, or a name."""

    def change(number, head, told, data):
        mini = mini_header.decoded(told["IceMiniHead"][0])
        if token == "name":
            told["SequenceDescription"] = [value]
            mini = mini_header.changed(mini, {"SequenceDescription": value}, {})
        else:
            told["ImageType"] = [token]
        told["IceMiniHead"] = [mini_header.encoded(mini)]
        return head, told, data

    return changed(messages, change)


def mixed(*streams, seed=5):
    """Streams in one, their images interleaved at random."""
    images = [m for stream in streams for m in stream if m.kind == Tag.IMAGE]
    random.Random(seed).shuffle(images)
    return [m for m in streams[0] if m.kind == Tag.HEADER] + images


def numbered(messages, **fields):
    def change(number, head, told, data):
        for name, value in fields.items():
            head[name] = value
        return head, told, data

    return changed(messages, change)


@pytest.mark.parametrize(
    ("fields", "token"),
    [
        ({"image_series_index": 2, "image_type": 2}, "P"),
        ({"image_series_index": 2}, "INV1"),
        ({"image_series_index": 1, "image_type": 2}, "PHASE"),
        ({"image_series_index": 2}, "T1 MAP"),
    ],
)
def test_of_interleaved_series_the_head_is_taken_by_the_rules_of_dicom(small, fields, token):
    other = Scan(small.array[::-1] * 2, small.affine)
    sent = mixed(scanner.stream(small), numbered(kinds(scanner.stream(other), token), **fields))
    read = volume.read(sent)
    assert same(read, small)
    (left,) = read.scan.facts["other_series"]
    assert left["why_not"]


def test_an_mp2rages_uniform_image_is_taken_whatever_its_number(small):
    named = kinds(scanner.stream(small), "name", "t1_mp2rage")
    stream = [
        numbered(kinds(named, token), image_series_index=number)
        for number, token in enumerate(("INV1", "INV2", "UNI-DEN"), 1)
    ]
    read = volume.read(mixed(*stream))
    assert read.scan.facts["series"]["number"] == 3


def test_what_is_corrected_for_distortion_is_taken_before_what_is_not(small):
    def raw(number, head, told, data):
        mini = mini_header.decoded(told["IceMiniHead"][0])
        told["IceMiniHead"] = [
            mini_header.encoded(mini_header.changed(mini, {}, {"ImageTypeValue4": "ND"}))
        ]
        head["image_series_index"] = 5
        return head, told, data

    sent = mixed(changed(scanner.stream(small), raw), scanner.stream(small))
    assert volume.read(sent).scan.facts["series"]["number"] == 1


def test_one_acquisition_in_two_series_is_one_volume(small):
    def halves(number, head, told, data):
        head["image_series_index"] = 1 + number % 2
        return head, told, data

    assert same(volume.read(changed(scanner.stream(small), halves)), small)


def test_two_echoes_in_sets_are_two_volumes(small):
    later = Scan(small.array * 3, small.affine)
    sent = mixed(scanner.stream(small), numbered(scanner.stream(later), set=1))
    read = volume.read(sent)
    assert len(read.scan.facts["other_series"]) == 1
    assert same(read, small) or same(read, later)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda n, h, t, d: (h, t, d) if n < 8 else None, "fewer than 16 slices"),
        (lambda n, h, t, d: (h, t, d) if n != 9 else None, "lacks 1 slice"),
        (lambda n, h, t, d: (h, t, d * np.nan), "not finite"),
        (lambda n, h, t, d: (h, t, d * 0), "no image in it"),
        (lambda n, h, t, d: (h, t, np.concatenate([d, d])), "2 channels"),
        (lambda n, h, t, d: (h, {**t, "ImageType": ["P"]}, d), "phase map"),
        (lambda n, h, t, d: (h, {**t, "EchoTime": ["90"]}, d), "echo time of 90 ms"),
    ],
    ids=["slab", "gap", "nan", "empty", "coils", "phase", "long echo"],
)
def test_what_is_no_whole_head_is_said(small, change, said):
    with pytest.raises(InputError, match=said):
        volume.read(changed(scanner.stream(small), change))


def test_a_picture_among_the_images_is_left_alone(small):
    sent = scanner.stream(small)
    head = wire.image(sent[2]).head.copy()
    head["image_series_index"], head["read_dir"] = 7, 0
    picture = image_message(head, b"", np.zeros((1, 1, 2, 3000), np.uint16))
    assert same(volume.read([picture, *sent]), small)


def test_an_image_without_directions_has_no_place(small):
    sent = scanner.stream(small, Arrangement(marked=False))

    def lost(number, head, told, data):
        head["read_dir"] = 0
        return head, {}, data

    with pytest.raises(InputError, match=r"valid (orientation|position)"):
        volume.read(changed(sent, lost))


def test_a_volume_twice_is_refused_and_not_read_as_one(small):
    sent = scanner.stream(small)
    with pytest.raises(InputError, match="at the place of another"):
        volume.read([*sent, *sent])


def test_damaged_attributes_are_a_remark(small):
    sent = scanner.stream(small)
    broken = [
        image_message(wire.image(m).head, b"<ismrmrdMeta>", wire.image(m).data)
        if m.kind == Tag.IMAGE
        else m
        for m in sent
    ]
    read = volume.read(broken)
    assert same(read, small)
    assert any("no XML" in sentence for sentence in read.scan.facts["warnings"])
