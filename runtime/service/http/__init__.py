"""The HTTP service: scans come in by POST, jobs and results are asked for by GET.

Needs the extra `http`; importing this package without it says so, and nothing else of `runtime`
imports it.

Raises:
    CapabilityError: on import, if one of the packages is absent.
"""

from __future__ import annotations

from importlib.util import find_spec

from fmtool.errors import CapabilityError

_NEEDED = {
    "fastapi": "fastapi",
    "uvicorn": "uvicorn",
    "python_multipart": "python-multipart",
    "prometheus_client": "prometheus-client",
}
_absent = [name for module, name in _NEEDED.items() if find_spec(module) is None]
if _absent:
    raise CapabilityError(
        f"the HTTP service needs {', '.join(_absent)}; install them with "
        "`pip install 'fmtool[http]'`"
    )
