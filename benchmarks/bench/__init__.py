"""`fmtool bench`: what a bundle's network costs on this machine, how exact it is, and why.

| files | what |
|---|---|
| candidates.py | which engines, precisions and torch networks are measured |
| inputs.py | the volumes they run on |
| process.py, worker.py | a process per candidate, and what it answers to |
| system.py, engine_system.py, torch_system.py | a candidate opened |
| rounds.py, timing.py | how much is measured, in which order |
| machine.py, pipeline.py | percentiles, ratios, the rest |
| probe.py, roofline.py | share of the hardware's limit |
| run.py, record.py, exactness.py | the whole run and its report |
| columns.py, table.py, files.py | the report for people and for `--check` |
"""
