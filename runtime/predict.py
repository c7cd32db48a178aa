"""Predictor: a scan and a bundle in, a Result out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from os import PathLike
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmtool import bundle as bundles
from fmtool.bundle import Bundle, exposure
from fmtool.errors import FmtoolError, PreprocessingError, UsageError
from fmtool.task import Task
from runtime import attribution, trust
from runtime.answer import answer, unlike
from runtime.attribution import Attribution
from runtime.engines.base import Arrays, Engine
from runtime.engines.choose import Choice, Wish, choose
from runtime.engines.opening import Say
from runtime.engines.selftest import open_trusted
from runtime.prepare import Preparer, Reading, Ready
from runtime.preprocess.pipeline import Prepared
from runtime.preprocess.template import Template
from runtime.result import Failure, Prediction, Result
from runtime.scan import Scan, Source, called
from runtime.store import Store
from runtime.system.clock import timed
from runtime.trust import Prevalence, robustness


class Predictor:
    """A bundle with its engine and preprocessing loaded; use it as a context manager.

    Args:
        bundle: an opened bundle, a path to one, or None for the demonstration bundle.
        engine, device: see `Wish`; both belong in `wish` where there is one.
        wish: what to compute with.
        reading: how to read the scans.
        say: told when and why an engine is built, which may take minutes.
        prepares: False where scans are prepared elsewhere and only `answer` will be called: the
            preprocessing's networks are not loaded then.
        store: see `Preparer`; what it has comes without the volumes in the scan's own space
            and without the slices of DICOM.
        prevalence: by the task's name, of a binary one's second class where the scans come from,
            or of each class; that in the head's cohort, or what the bundle says, if absent.

    Raises:
        UsageError: for a prevalence that no probability can be corrected by.
        BundleError: if the bundle is missing or damaged, or has no graph of the precision.
        CapabilityError: if the engine, device or precision asked for cannot run here.
        ParityError: if the engine does not reproduce the bundle's self-test.
        EngineError: if the model cannot be compiled for the GPU.

    Example:
        >>> from runtime.predict import Predictor
        >>> with Predictor(engine="onnxruntime", device="cpu") as predictor:
        ...     results = list(predictor.predict_many(["head.nii.gz", "absent.nii.gz"]))
        >>> results[0].values.keys()
        dict_keys(['age', 'sex'])
        >>> results[1].reason
        'absent.nii.gz does not exist...'
    """

    def __init__(
        self,
        bundle: Bundle | str | PathLike[str] | None = None,
        engine: str = "auto",
        device: str = "auto",
        *,
        wish: Wish | None = None,
        reading: Reading = Reading(),
        say: Say = lambda sentence: None,
        prepares: bool = True,
        store: Store | None = None,
        prevalence: Prevalence = MappingProxyType({}),
    ) -> None:
        if wish is None:
            wish = Wish(engine=engine, device=device)
        elif (engine, device) != ("auto", "auto"):
            raise TypeError("a Predictor takes an engine and a device, or a wish that names them")
        with ExitStack() as opening:
            self.bundle = bundle if isinstance(bundle, Bundle) else bundles.open(bundle)
            if not isinstance(bundle, Bundle):
                opening.callback(self.bundle.close)
            stored = self.bundle.manifest.model
            self.choice: Choice = choose(wish.engine, wish.device, wish.precision, stored)
            self._trust = trust.used_at(trust.read(self.bundle), prevalence, self.bundle.tasks)
            self._robustness = robustness.read(self.bundle)
            self._exposure = exposure.read(self.bundle)
            self._stack = opening.pop_all()
        self._say = say
        self._reading = reading
        self._prepares = prepares
        self._store = store
        self._engine: Engine | None = None
        self._preparer: Preparer | None = None

    def __enter__(self) -> Predictor:
        with ExitStack() as opening:
            opening.push(self._stack.pop_all())
            engine, self.choice, self.self_test = open_trusted(
                self.bundle, self.choice, say=self._say
            )
            self._engine = opening.enter_context(engine)
            if self._prepares:
                preparer = Preparer(self.bundle, self._reading, self._store)
                self._preparer = opening.enter_context(preparer)
            self._stack = opening.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._engine = self._preparer = None
        self._stack.close()

    @property
    def engine(self) -> Engine:
        """The open engine."""
        if self._engine is None:
            raise RuntimeError("a Predictor works inside `with Predictor(...) as predictor:`")
        return self._engine

    @property
    def template(self) -> Template:
        """The bundle's registration template."""
        return self._prepare.template

    @property
    def _prepare(self) -> Preparer:
        if self._preparer is None:
            raise RuntimeError("a Predictor works inside `with Predictor(...) as predictor:`")
        return self._preparer

    def select(self, tasks: Sequence[str] | None) -> list[Task]:
        """The tasks named, or all.

        Raises:
            UsageError: for a task the bundle has no head for, listing those it has.
        """
        return select(self.bundle, tasks)

    def predict(self, source: Source | Scan, tasks: Sequence[str] | None = None) -> Result:
        """The result of one scan.

        Args:
            source: what `runtime.scan.read` takes, or a Scan.
            tasks: names of the tasks to answer; all when absent.

        Raises:
            InputError: if the scan cannot be used, saying why.
            UsageError: for an unknown task.
        """
        self.select(tasks)
        ready = self.prepare(source)  # read, strip, bias, register, resample, checks
        return self.answer(ready, tasks)  # network, result, why

    def prepare(self, source: Source | Scan) -> Ready:
        """One scan read, prepared and checked, for `answer`.

        Raises:
            InputError: if the scan cannot be used, saying why.
        """
        return self._prepare(source)

    def answer(self, ready: Ready, tasks: Sequence[str] | None = None) -> Result:
        """The result of one scan that is prepared, here or in another process.

        Raises:
            UsageError: for an unknown task.
        """
        wanted, timings = self.select(tasks), dict(ready.timings)
        with timed(timings, "network"):
            outputs = run_network(self.engine, ready.prepared)
        timings["total"] = ready.seconds + timings["network"]
        encoders = self.bundle.manifest.encoders
        predictions = self._predictions(wanted, outputs, ready)
        every = attribution.read(self.bundle, outputs, self.self_test.maps, list(predictions))
        maps = {name: _of_answer(predictions[name], them) for name, them in every.items()}
        return Result(
            scan=ready.scan,
            predictions=predictions,
            embedding=np.concatenate([outputs[e.embedding][0] for e in encoders]),
            quality=ready.checks,
            prepared=ready.prepared,
            bundle=self._provenance(),
            engine=self.engine.describe(),
            # The scan's own last: its voxels and the brain's shape are both called "shape".
            facts={**ready.prepared.facts, **ready.facts},
            timings=timings,
            warnings=self._warnings(ready, predictions, every),
            maps=maps,
            class_maps={
                n: {str(m.label): m for m in them} for n, them in every.items() if them[1:]
            },
            stack=ready.stack,
        )

    def predict_many(
        self, sources: Iterable[Source], tasks: Sequence[str] | None = None
    ) -> Iterator[Result | Failure]:
        """One Result or Failure per scan, in order; a bad scan does not stop the next."""
        self.select(tasks)
        for source in sources:
            try:
                yield self.predict(source, tasks)
            except FmtoolError as error:
                yield Failure(called(source), str(error))

    def _predictions(
        self, tasks: Iterable[Task], outputs: Arrays, ready: Ready
    ) -> dict[str, Prediction]:
        return {
            task.name: answer(
                task,
                outputs[task.name][0],
                self.bundle.evidence(task.name),
                outputs[self.bundle.manifest.encoder_of(task.name).embedding][0],
                self._trust.get(task.name),
                self._exposure.learnt_from(task.name, ready.contents),
                self.bundle.thresholds(task.name),
            )
            for task in tasks
        }

    def _warnings(
        self, ready: Ready, predictions: dict[str, Prediction], maps: dict[str, list[Attribution]]
    ) -> list[str]:
        """What the header, the checks, the trust and the maps say, each sentence once."""
        raised = [check.sentence for check in ready.checks if check.verdict != "ok"]
        strange = unlike(predictions, self._trust)
        precision = self.engine.precision
        unequal = (attribution.unequal(m, n, precision) for n, them in maps.items() for m in them)
        return list(dict.fromkeys([*ready.warnings, *raised, *strange, *filter(None, unequal)]))

    def _provenance(self) -> dict[str, Any]:
        manifest = self.bundle.manifest
        return {
            "name": manifest.name,
            "digest": self.bundle.digest,
            "demonstration": manifest.demonstration,
            "limits": list(manifest.limits),
            "robustness": self._robustness,
        }


def _of_answer(prediction: Prediction, maps: Sequence[Attribution]) -> Attribution:
    """The one map, or of several classes that of the class that is answered."""
    return next((m for m in maps if m.label == prediction.label), maps[0])


def predict(
    source: Source | Scan,
    tasks: Sequence[str] | None = None,
    bundle: Bundle | str | PathLike[str] | None = None,
    engine: str = "auto",
    device: str = "auto",
    *,
    wish: Wish | None = None,
    reading: Reading = Reading(),
) -> Result:
    """The result of one scan; for several, keep a `Predictor` open, whose arguments these are.

    Example:
        >>> import fmtool
        >>> result = fmtool.predict("head.nii.gz", tasks=["age"], device="cpu")
        >>> result["age"].task.unit, result["age"].interval.level
        ('years', 0.9)
    """
    with Predictor(bundle, engine, device, wish=wish, reading=reading) as predictor:
        return predictor.predict(source, tasks)


def select(bundle: Bundle, tasks: Sequence[str] | None) -> list[Task]:
    """The bundle's tasks of these names, or all.

    Raises:
        UsageError: for a task it has no head for, listing those it has.
    """
    known = bundle.tasks
    for name in tasks or ():
        if name not in known:
            raise UsageError(
                f"bundle {bundle.name} has no task {name!r}; it has {', '.join(known)}"
            )
    return [known[name] for name in dict.fromkeys(tasks)] if tasks else list(known.values())


def run_network(engine: Engine, prepared: Prepared) -> Arrays:
    """The network's outputs, by name, for one prepared volume.

    Raises:
        PreprocessingError: if the volume holds what is no number. OpenVINO answers such a one with
            numbers all the same.
    """
    if not np.isfinite([prepared.volume.min(), prepared.volume.max()]).all():  # both carry a NaN
        raise PreprocessingError(
            "the prepared volume holds voxels that are not finite numbers (NaN or infinity); "
            "replace them in the scan, with 0 if they are background"
        )

    def batch(array: NDArray[Any]) -> NDArray[np.float32]:
        return np.ascontiguousarray(array, dtype=np.float32)[None, None]

    return engine.run({"volume": batch(prepared.volume), "mask": batch(prepared.mask)})
