"""Series written with pydicom: what a scanner would send, with planted identifiers."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pydicom = pytest.importorskip("pydicom")

from pydicom.dataset import Dataset, FileMetaDataset  # noqa: E402
from pydicom.sequence import Sequence  # noqa: E402
from pydicom.uid import ExplicitVRLittleEndian, generate_uid  # noqa: E402

MR = "1.2.840.10008.5.1.4.1.1.4"
ENHANCED = "1.2.840.10008.5.1.4.1.1.4.1"
PLANES = {
    "axial": ((1, 0, 0), (0, 1, 0)),
    "sagittal": ((0, 1, 0), (0, 0, -1)),
    "coronal": ((1, 0, 0), (0, 0, -1)),
    "feet first": ((-1, 0, 0), (0, 1, 0)),
}
PLANTED = {
    "PatientName": "Planted^Nameless",
    "PatientID": "PLANTEDID77",
    "PatientBirthDate": "19010203",
    "OtherPatientIDs": "PLANTEDOTHER",
    "StudyDate": "19990807",
    "SeriesDate": "19990807",
    "InstitutionName": "PlantedHospital",
    "ReferringPhysicianName": "Planted^Doctor",
    "AccessionNumber": "PLANTEDACC",
    "StudyDescription": "PlantedStudy",
    "PatientAge": "097Y",
    "PatientSex": "O",
}


def axes(plane: str, turn: float = 0.0) -> NDArray[np.float64]:
    """Columns: the directions of a row, of a column and of the normal, LPS; turned if asked."""
    row, down = (np.array(d, dtype=np.float64) for d in PLANES[plane])
    a = np.array([row, down, np.cross(row, down)]).T
    c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    about_x = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    about_z = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    return about_z @ about_x @ a


def voxels(shape: tuple[int, int, int] = (20, 24, 18)) -> NDArray[np.int16]:
    """Columns, rows, slices; no two neighbours alike, and no symmetry."""
    return np.random.default_rng(5).integers(0, 900, shape).astype(np.int16)


@dataclass
class Maker:
    """Writes series into `folder`; the defaults make one MPRAGE."""

    folder: Path
    spacing: tuple[float, float, float] = (1.1, 0.9, 1.3)  # along a row, a column, the normal
    origin: tuple[float, float, float] = (-31.5, 12.25, -40.125)
    study: str = field(default_factory=generate_uid)

    def header(self, plane: str = "axial", turn: float = 0.0, **values: Any) -> Dataset:
        """What all slices of a series share."""
        data = Dataset()
        for name, value in PLANTED.items():
            setattr(data, name, value)
        directions = axes(plane, turn)
        data.SOPClassUID = MR
        data.StudyInstanceUID = self.study
        data.SeriesInstanceUID = generate_uid()
        data.FrameOfReferenceUID = generate_uid()
        data.Modality = "MR"
        data.Manufacturer = "SIEMENS"
        data.SeriesNumber = 3
        data.SeriesDescription = "t1_mprage PlantedWords"
        data.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND"]
        data.MRAcquisitionType = "3D"
        data.ScanningSequence, data.SequenceVariant = ["GR", "IR"], ["SP", "MP"]
        data.RepetitionTime, data.EchoTime, data.InversionTime = 2300, 2.98, 900
        data.FlipAngle, data.AcquisitionTime = 9, "101112"
        data.ImageOrientationPatient = [f"{v:.9f}" for v in directions[:, :2].T.ravel()]
        data.PixelSpacing = [self.spacing[1], self.spacing[0]]
        data.SliceThickness = self.spacing[2]
        data.PatientPosition = "HFS"
        data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
        data.BitsAllocated, data.BitsStored, data.HighBit = 16, 16, 15
        data.PixelRepresentation = 1
        data.normal = directions[:, 2]
        for name, value in values.items():
            setattr(data, name, value)
        return data

    def slices(
        self,
        array: NDArray[Any] | None = None,
        syntax: str = ExplicitVRLittleEndian,
        edit: Callable[[Dataset, int], object] = lambda data, k: None,
        keep: Callable[[int], bool] = lambda k: True,
        name: str = "s",
        **values: Any,
    ) -> NDArray[Any]:
        """A file per slice, `edit`ed before it is written; the voxels written."""
        stored = voxels() if array is None else array
        shared = self.header(**values)
        normal = shared.normal
        del shared.normal
        self.folder.mkdir(parents=True, exist_ok=True)
        for k in filter(keep, range(stored.shape[2])):
            data = Dataset()
            data.update(shared)
            data.SOPInstanceUID = generate_uid()
            data.InstanceNumber = k + 1
            position = np.array(self.origin) + k * self.spacing[2] * normal
            data.ImagePositionPatient = [f"{v:.9f}" for v in position]
            data.Columns, data.Rows = stored.shape[:2]
            data.PixelData = np.ascontiguousarray(stored[:, :, k].T).tobytes()
            edit(data, k)
            # written in an order that is not that of the places
            save(data, self.folder / f"{name}{(k * 7) % 101:03d}_{k:03d}.dcm", syntax)
        return stored

    def enhanced(
        self,
        array: NDArray[Any] | None = None,
        syntax: str = ExplicitVRLittleEndian,
        edit: Callable[[Dataset], object] = lambda data: None,
        name: str = "enhanced",
        mixed: bool = False,
        **values: Any,
    ) -> NDArray[Any]:
        """One Enhanced MR object of all slices, in the order of their places unless `mixed`."""
        stored = voxels() if array is None else array
        data = self.header(**values)
        normal = data.normal
        del data.normal
        data.SOPClassUID, data.SOPInstanceUID = ENHANCED, generate_uid()
        data.AcquisitionContrast, data.EchoPulseSequence = "T1", "GRADIENT"
        data.Columns, data.Rows = stored.shape[:2]
        count = data.NumberOfFrames = stored.shape[2]
        order = sorted(range(count), key=lambda k: (k * 7) % 101) if mixed else list(range(count))
        measures, plane = Dataset(), Dataset()
        measures.PixelSpacing, measures.SliceThickness = data.PixelSpacing, data.SliceThickness
        plane.ImageOrientationPatient = data.ImageOrientationPatient
        for gone in ("PixelSpacing", "SliceThickness", "ImageOrientationPatient", "EchoTime"):
            delattr(data, gone)
        shared = Dataset()
        shared.PixelMeasuresSequence = Sequence([measures])
        shared.PlaneOrientationSequence = Sequence([plane])
        data.SharedFunctionalGroupsSequence = Sequence([shared])
        groups = []
        for k in order:
            group, place, content, echo, rescale = (Dataset() for _ in range(5))
            position = np.array(self.origin) + k * self.spacing[2] * normal
            place.ImagePositionPatient = [f"{v:.9f}" for v in position]
            content.StackID, content.InStackPositionNumber = "1", k + 1
            content.TemporalPositionIndex = 1
            content.DimensionIndexValues = [1, k + 1]
            echo.EffectiveEchoTime = 2.98
            rescale.RescaleSlope, rescale.RescaleIntercept, rescale.RescaleType = 1, 0, "US"
            group.PlanePositionSequence = Sequence([place])
            group.FrameContentSequence = Sequence([content])
            group.MREchoSequence = Sequence([echo])
            group.PixelValueTransformationSequence = Sequence([rescale])
            groups.append(group)
        data.PerFrameFunctionalGroupsSequence = Sequence(groups)
        data.PixelData = np.ascontiguousarray(stored[:, :, order].transpose(2, 1, 0)).tobytes()
        edit(data)
        self.folder.mkdir(parents=True, exist_ok=True)
        save(data, self.folder / f"{name}.dcm", syntax)
        return stored


def save(data: Dataset, path: Path, syntax: str = ExplicitVRLittleEndian) -> None:
    """Write as a DICOM file, compressing if the transfer syntax asks for it."""
    data.file_meta = FileMetaDataset()
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    if pydicom.uid.UID(syntax).is_compressed and not pydicom.uid.UID(syntax).is_deflated:
        data.compress(syntax, generate_instance_uid=False)
    elif syntax == pydicom.uid.ExplicitVRBigEndian:
        data.PixelData = np.frombuffer(data.PixelData, "<i2").astype(">i2").tobytes()
        data["PixelData"].VR = "OW"
    data.file_meta.TransferSyntaxUID = syntax
    data.save_as(path, enforce_file_format=True)


@pytest.fixture
def make(tmp_path: Path) -> Maker:
    """A maker of series in a folder of their own."""
    return Maker(tmp_path / "study")


def converted(package: Any, folder: Path, out: Path) -> list[Path]:
    """The volumes that dcm2niix writes of a folder."""
    out.mkdir()
    subprocess.run(
        [package.bin, "-z", "n", "-b", "n", "-f", "%s_%r", "-o", str(out), str(folder)],
        check=True,
        capture_output=True,
    )
    return sorted(out.glob("*.nii"))


@pytest.fixture(scope="session")
def dcm2niix() -> Callable[[Path, Path], list[Path]]:
    """`dcm2niix(folder, out)`: the volumes that it writes."""
    package = pytest.importorskip("dcm2niix", reason="the reference converter is absent")
    return partial(converted, package)
