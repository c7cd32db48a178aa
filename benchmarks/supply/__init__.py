"""What is installed, and exactly what to install: a bill of materials, and lock files."""
