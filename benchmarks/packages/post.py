"""Start a service, ask it once, end it. Runs in the environment that is checked:

python post.py http SCAN
python post.py dicom
"""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

PATIENCE = 300.0
"""Seconds to wait for anything."""


def http(port: int, scan: str) -> None:
    """POST the scan, GET its job until it is done."""
    home = f"http://127.0.0.1:{port}"
    head = {"Content-Type": "application/octet-stream"}
    request = urllib.request.Request(f"{home}/v1/scans", Path(scan).read_bytes(), head)
    with urllib.request.urlopen(request, timeout=60) as answer:
        job = json.load(answer)["id"]
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        with urllib.request.urlopen(f"{home}/v1/scans/{job}", timeout=60) as answer:
            found = json.load(answer)
        if found["state"] == "done":
            return
        if found["state"] == "failed":
            break
        time.sleep(0.5)
    sys.exit(f"the job is {found}")


def dicom(port: int) -> None:
    """Ask by C-ECHO whether the node is there."""
    echo = [sys.executable, "-m", "pynetdicom", "echoscu", "127.0.0.1", str(port)]
    subprocess.run([*echo, "-aet", "SCANNER", "-aec", "FMTOOL"], check=True)


def main() -> None:
    """Both services answer 143 when they are told to end."""
    kind, *rest = sys.argv[1:]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    places = {"http": ["--spool", "spool"], "dicom": ["--inbox", "inbox", "--allow", "SCANNER"]}
    program = str(Path(sys.executable).with_name("fmtool"))
    command = [program, "serve", kind, "--port", str(port), *places[kind]]
    with subprocess.Popen(command) as service:
        try:
            wait(service, port)
            if kind == "http":
                http(port, *rest)
            else:
                dicom(port)
        finally:
            service.send_signal(signal.SIGTERM)
        code = service.wait(PATIENCE)
    if code != 143:
        sys.exit(f"the service ended with {code}, not 143")


def wait(service: subprocess.Popen[bytes], port: int) -> None:
    """Until the service listens."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and service.poll() is None:
        with socket.socket() as trial:
            if trial.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    sys.exit("the service does not listen")


if __name__ == "__main__":
    main()
