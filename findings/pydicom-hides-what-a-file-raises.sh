#!/usr/bin/env bash
# Tool: pydicom 3.0.2, dcmread of a file object of one's own
# Expected: what the file object raises while it is read (a time limit, an interruption) comes out
#   of dcmread as it is, wherever in the data set that happens.
# Seen: between elements it does; where an item of a sequence begins it is caught, an interruption
#   too, and comes out as OSError "No tag to read at file position ...": a limit looks like a
#   damaged file, and Ctrl-C like one more file to leave out.
# Source: run; https://github.com/pydicom/pydicom/issues/2332 tells of the interruption.
#
# Exit status: 0 it is still so, 1 it has changed, 2 the packages could not be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
{ python3 -m venv env && env/bin/pip install --quiet --no-compile pydicom==3.0.2; } || exit 2

env/bin/python -W ignore - <<'PROGRAM'
import io
from collections import Counter

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

d = Dataset()
d.file_meta = FileMetaDataset()
d.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
d.SOPClassUID, d.SOPInstanceUID = MRImageStorage, generate_uid()
d.ReferencedImageSequence = []
for _ in range(40):
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = MRImageStorage, generate_uid()
    d.ReferencedImageSequence.append(item)
d["ReferencedImageSequence"].is_undefined_length = True
made = io.BytesIO()
d.save_as(made, enforce_file_format=True)


class Limited(io.BytesIO):
    """A file that is given up after so many reads."""

    def __init__(self, data, reads, error):
        super().__init__(data)
        self.left, self.error = reads, error

    def read(self, size=-1, /):
        self.left -= 1
        if self.left < 0:
            raise self.error
        return super().read(size)


seen = {}
for error in (TimeoutError("time is up"), KeyboardInterrupt()):
    found = Counter()
    for reads in range(40, 140):
        try:
            pydicom.dcmread(Limited(made.getvalue(), reads, error))
            found["read"] += 1
        except BaseException as caught:
            found[type(caught).__name__] += 1
            if type(caught) is OSError:
                assert "No tag to read" in str(caught)
    seen[type(error).__name__] = dict(found)
print(seen)
raise SystemExit(not all(kinds.get("OSError") and kinds.get(name) for name, kinds in seen.items()))
PROGRAM
