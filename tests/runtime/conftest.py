"""What costs little: a stand-in that answers at once, and heads that need no preprocessing."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import traceback

import nibabel as nib
import numpy as np
import pytest

from fmtool import bundle, space
from fmtool.task import AGE
from runtime.ledger.content import content_digest
from runtime.result import Prediction
from runtime.service.answer import AnsweredBy, Fate, Outcome, pages, put


class StandIn:
    """Answers files that begin with "good"; refuses others; `first` is called before each."""

    def __init__(self, digest="b" * 64):
        self.about = AnsweredBy("stand-in", digest, "none")
        self.alive, self.stage = True, ""
        self.orders = []
        self.first = lambda order, stop: None

    def __call__(self, order, stop):
        self.orders.append(order)
        early = self.first(order, stop)
        if early is not None:
            return early
        text = order.source.read_bytes() if order.source.is_file() else b"good"
        if not text.startswith((b"good", (348).to_bytes(4, "little"))):
            return Outcome(Fate.refused, "InputError", f"{order.scan} is not a NIfTI file")
        put(order.into, pages(order, answer(), {}))
        return Outcome(Fate.done, result=answer())

    def digest(self, source, give_up):
        return content_digest(source)

    def ensure(self):
        pass

    def close(self):
        pass


def answer():
    """What `Result.to_dict()` gives."""
    value = Prediction(AGE, 40.0, {}, []).to_dict()
    return {
        "scan": "",
        "values": {"age": value, "sex": value},
        "quality": [],
        "warnings": [],
        "facts": {"brain_volume_ml": 1200.0},
        "timings": {"read": 0.1, "total": 0.5},
        "embedding": [0.0],
        "bundle": {"name": "stand-in", "digest": "b" * 64, "demonstration": False, "limits": []},
        "engine": "none",
        "version": "0",
        "notice": "",
        "finished": "2026-01-01T00:00:00.000+00:00",
    }


@pytest.fixture
def kit_answer():
    """`answer`, for test files, which cannot import it."""
    return answer


@pytest.fixture
def worker():
    """A worker for a service."""
    return StandIn()


@pytest.fixture(scope="session")
def heads(tmp_path_factory):
    """The template as TurboPrep would have left it, in three variants: a folder of folders."""
    top = tmp_path_factory.mktemp("heads")
    voxels = np.asarray(nib.load(bundle.DEMO / "template.nii.gz").dataobj).astype(np.float32)
    for number in range(3):
        folder = top / f"head-{number}"
        folder.mkdir()
        for name, array in (("normalized", voxels * (1 + number)), ("mask", voxels > 0)):
            image = nib.Nifti1Image(array.astype(np.float32), space.grid_affine())
            nib.save(image, folder / f"{name}.nii.gz")
    return top


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """An authority, and a node's, a client's and a stranger's certificates, made by openssl."""
    folder = tmp_path_factory.mktemp("tls")

    def openssl(*words):
        try:
            subprocess.run(["openssl", *words], check=True, capture_output=True, cwd=folder)
        except FileNotFoundError:
            pytest.skip("no openssl here to make certificates with")

    new = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    for name in ("ca", "stranger"):
        openssl(*new, "-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}")
    for name in ("node", "client"):
        openssl(
            *new, "-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}",
            "-CA", "ca.pem", "-CAkey", "ca.key", "-addext", "basicConstraints=critical,CA:FALSE",
            "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost",
        )  # fmt: skip
    return folder


def _as_account(number, do):
    """Have another account do something, in a process of its own; whether the system let it."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.setgroups([54323])
            os.setgid(number)
            os.setuid(number)
            os.umask(0o022)
            do()
            code = 0
        except OSError as error:
            code = 2 if error.errno in (errno.EACCES, errno.EPERM) else 1
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, 2)
    return code == 0


@pytest.fixture
def as_account(tmp_path):
    """`as_account(number, do)`: see `_as_account`; the test's folder can be reached by all."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to be two accounts in turn")
    for place in (tmp_path, *tmp_path.parents):
        place.chmod(stat.S_IMODE(place.stat().st_mode) | 0o011)
    return _as_account
