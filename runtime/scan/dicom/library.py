"""pydicom, imported when the first DICOM file is met, and kept from quoting headers aloud."""

from __future__ import annotations

import logging
import warnings
from functools import cache
from types import ModuleType

from fmtool.errors import CapabilityError

INSTALL = "`pip install 'fmtool[dicom]'`"


@cache
def pydicom() -> ModuleType:
    """The module.

    Its warnings quote the values that they are about, which may be a patient's: they are shut
    off, for the process, and so is the validation that raises most of them; what is wrong with a
    file is said in fmtool's own words.

    Raises:
        CapabilityError: if it is not installed.
    """
    try:
        import pydicom
    except ImportError:
        raise CapabilityError(f"reading DICOM needs pydicom; install it with {INSTALL}") from None
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module=r"pydicom(\..*)?$")
    return pydicom
