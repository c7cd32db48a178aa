"""What several benchmarks use: heads, peers, spoiled scans, judgement."""
