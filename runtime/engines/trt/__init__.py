"""TensorRT and TensorRT-RTX through their own Python bindings: build an engine, and run it."""
