"""From weights to files that run: ONNX graphs and the bundle."""
