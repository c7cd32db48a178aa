"""The DICOM node: series come in by C-STORE, a report and a page go back the same way.

Needs the extra `dicom`; importing this package without it says so, and nothing else of `runtime`
imports it.

Raises:
    CapabilityError: on import, if pydicom, pynetdicom or highdicom is absent.
"""

from __future__ import annotations

from importlib.util import find_spec

from fmtool.errors import CapabilityError

_absent = [name for name in ("pydicom", "pynetdicom", "highdicom") if find_spec(name) is None]
if _absent:
    raise CapabilityError(
        f"the DICOM node needs {', '.join(_absent)}; install them with "
        "`pip install 'fmtool[dicom]'`"
    )
