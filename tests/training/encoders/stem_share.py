"""One step of a stem with synchronised BatchNorm in one of two processes; run by test_stem.py.

python stem_share.py RANK STORE VOLUMES OUT
"""

from __future__ import annotations

import sys

import torch
from torch import distributed, nn

from training import encoders
from training.encoders import stem

if __name__ == "__main__":
    rank, store, volumes, out = sys.argv[1:]
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{store}", rank=int(rank), world_size=2
    )
    torch.manual_seed(0)
    encoder = nn.SyncBatchNorm.convert_sync_batchnorm(encoders.build(width=0.03125)).double()
    share = torch.load(volumes, weights_only=True).chunk(2)[int(rank)]
    found = stem.one_by_one(encoder, share)
    found.square().sum().backward()
    gradients = {n: p.grad for n, p in encoder.named_parameters() if p.grad is not None}
    for gradient in gradients.values():
        distributed.all_reduce(gradient)
    buffers = {n: b for n, b in encoder.named_buffers() if n.startswith("bn1")}
    torch.save({"found": found.detach(), "gradients": gradients, "buffers": buffers}, out)
