"""OpenRecon packages: what a Siemens console installs to run the server on the scanner."""
