"""A NIfTI volume as a DICOM series. Runs in the environment that is checked:

    python made_series.py VOLUME FOLDER

The volume's axes must run to the right, to the front and up.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nibabel as nib
import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid


def write(volume: Path, folder: Path) -> None:
    """One object per axial slice, rows to the left and columns to the back."""
    image = nib.load(volume)
    array = np.asarray(image.dataobj, dtype=np.float32)
    voxels = (array[::-1, ::-1] * (3000 / array.max())).astype(np.uint16)
    spacing = np.abs(np.diag(image.affine)[:3])
    # LPS mm of the first voxel: the last one of the volume's first two axes
    corner = image.affine[:3, 3] + spacing * (array.shape[0] - 1, array.shape[1] - 1, 0)
    study, series, frame = (generate_uid() for _ in range(3))
    folder.mkdir()
    for number in range(voxels.shape[2]):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = MRImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        one = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        one.SOPClassUID, one.SOPInstanceUID = MRImageStorage, meta.MediaStorageSOPInstanceUID
        one.StudyInstanceUID, one.SeriesInstanceUID, one.FrameOfReferenceUID = study, series, frame
        one.Modality, one.SeriesNumber, one.InstanceNumber = "MR", 1, number + 1
        one.SeriesDescription, one.ImageType = "T1 MPRAGE", ["ORIGINAL", "PRIMARY", "M"]
        one.ScanningSequence, one.SequenceVariant, one.MRAcquisitionType = "GR", "MP", "3D"
        one.RepetitionTime, one.EchoTime, one.InversionTime, one.FlipAngle = 2300, 3, 900, 9
        one.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        place = (-corner[0], -corner[1], image.affine[2, 3] + spacing[2] * number)
        one.ImagePositionPatient = [float(value) for value in place]
        one.PixelSpacing = [float(spacing[1]), float(spacing[0])]
        one.SliceThickness = float(spacing[2])
        one.Rows, one.Columns = voxels.shape[1], voxels.shape[0]
        one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
        one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 16, 15, 0
        one.PixelData = np.ascontiguousarray(voxels[:, :, number].T).tobytes()
        one.save_as(folder / f"{number:03d}.dcm", enforce_file_format=True)


if __name__ == "__main__":
    write(Path(sys.argv[1]), Path(sys.argv[2]))
