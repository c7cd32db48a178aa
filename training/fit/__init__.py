"""What every recipe shares: the loop, its data, its checkpoints, its logs."""
