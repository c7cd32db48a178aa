"""What libraries find as they are imported: nothing to report to, and somebody to run as.

Done with the first import of any of fmtool's packages, so before any of those libraries, in this
process and, by the environment, in all that it starts.
"""

from __future__ import annotations

import getpass
import os
import sys
from types import ModuleType
from typing import cast

OFF = {
    "ORT_DISABLE_TELEMETRY": "1",  # ONNX Runtime: a device id and a database of events
    "RAY_USAGE_STATS_ENABLED": "0",  # Ray: reports of the cluster
    "NO_ET": "1",  # nipype, which pydeface brings: asks for newer versions
    "DO_NOT_TRACK": "1",  # Hugging Face's libraries, where others bring them
}
"""What switches off the reports of each library that is used here, or comes with one."""


def prepare() -> None:
    """Switch the reports off, and give a user id without an account a name.

    OpenVINO and NNCF have no switch but report with a module of their own; both do without it.
    """
    os.environ.update(OFF)
    # None is what the import system takes for "there is no such module".
    sys.modules["openvino_telemetry"] = cast(ModuleType, None)
    try:
        getpass.getuser()
    except (KeyError, OSError, ImportError):  # containers run as ids of no account; MONAI asks
        os.environ["LOGNAME"] = f"uid{os.getuid()}" if hasattr(os, "getuid") else "nobody"
