"""Size: how large and how long everything is trained; the paper's, and one for a laptop."""

from __future__ import annotations

from dataclasses import dataclass

from fmtool.space import CROP_SHAPE
from training.augment import MIN_CROP, SimCLRAugment
from training.encoders.vit import PATCH, Shape
from training.fit.settings import DeviceName, Precision, Settings


@dataclass(frozen=True)
class Size:
    """Everything about the systems that costs time; the tasks and scans are the study's.

    Attributes:
        name: "paper", "toy", or another for a size of one's own.
        width: of all encoders.
        shape: (z, y, x) voxels of every network's input and of the pretraining views.
        patch: of the transformers; `shape` holds whole numbers of it.
        min_crop: the smallest crop of a pretraining view, in voxels of the prepared scan.
        pretrain_epochs: of SimCLR and of the masked autoencoder.
        pretrain_batch: scans per step.
        pretrain_rate: Adam's learning rate.
        train_epochs: of supervised training and fine-tuning.
        train_batch: scans per step.
        train_rate: Adam's learning rate.
        precision: of the networks' arithmetic.
        device: "auto", "cpu" or "cuda".
        workers: loader processes.
        recompute: less memory for more time in SimCLR's backward pass.
    """

    name: str
    width: float
    shape: Shape
    patch: Shape
    min_crop: Shape
    pretrain_epochs: int
    pretrain_batch: int
    pretrain_rate: float
    train_epochs: int
    train_batch: int
    train_rate: float
    precision: Precision = "float32"
    device: DeviceName = "auto"
    workers: int = 0
    recompute: bool = False

    @staticmethod
    def paper() -> Size:
        """Full resolution and width, 1000 epochs of pretraining and 300 of training; for a GPU."""
        return Size(
            name="paper",
            width=1.0,
            shape=CROP_SHAPE,
            patch=PATCH,
            min_crop=MIN_CROP,
            pretrain_epochs=1000,
            pretrain_batch=6,
            pretrain_rate=3e-4,
            train_epochs=300,
            train_batch=6,
            train_rate=1e-4,
            precision="bfloat16",
            device="cuda",
            workers=8,
            recompute=True,
        )

    @staticmethod
    def toy() -> Size:
        """An eighth of the width at a quarter of the resolution, for two cores and few scans.

        Crops are milder than the paper's: with few scans and steps, its own leave the two views
        too little in common, and the loss stays at chance.
        """
        return Size(
            name="toy",
            width=0.125,
            shape=(40, 48, 48),
            patch=(10, 16, 16),
            min_crop=(120, 154, 154),
            pretrain_epochs=20,
            pretrain_batch=14,
            pretrain_rate=1e-3,
            train_epochs=15,
            train_batch=6,
            train_rate=1e-3,
        )

    @property
    def augment(self) -> SimCLRAugment:
        """The paper's augmentation at this size."""
        return SimCLRAugment(output_shape=self.shape, min_crop=self.min_crop)

    def pretraining(self, seed: int) -> Settings:
        """Settings of a pretraining run."""
        return self._settings(seed, self.pretrain_epochs, self.pretrain_batch, self.pretrain_rate)

    def training(self, seed: int, scans: int) -> Settings:
        """Settings of a training from labels; its batch is no larger than the scans are many."""
        batch = min(self.train_batch, scans)
        return self._settings(seed, self.train_epochs, batch, self.train_rate)

    def _settings(self, seed: int, epochs: int, batch: int, rate: float) -> Settings:
        return Settings(
            epochs=epochs,
            batch=batch,
            learning_rate=rate,
            seed=seed,
            precision=self.precision,
            device=self.device,
            workers=self.workers,
        )


SIZES = {"toy": Size.toy, "paper": Size.paper}
