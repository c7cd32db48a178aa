# make demo   the edge runtime (no torch) and a prediction from a head scan; SCAN=file for your own
# make test   the development environment and the tests
# make package-check   the packages built twice, installed alone, each extra used once without network
# make peers-check   dcmtk, Orthanc and dicom3tools, Debian's, and the tests that talk to them
# make aarch64-check  fmtool on an emulated aarch64 machine, compared with this one: hours
# make docs   the documentation as a site, in build/site
# make gpu-check   on a machine with a GPU: what is missing, the tests that need it, the benchmark
PYTHON ?= python3
EDGE := .venv
DEV := .venv-dev
# The release that is tested. Without a GPU, point pip at a CPU build of it (PIP_FIND_LINKS).
TORCH ?= torch==2.13.0
SCAN ?= .demo/head.nii.gz
# A file's tests share fixtures: they stay together.
PYTEST := $(DEV)/bin/python -m pytest -n 2 --dist loadfile

PEERS := $(CURDIR)/build/peers

.PHONY: demo test test-slow test-all gpu-check package-check aarch64-check peers-check docs lint locks sbom clean

demo: $(EDGE)/.installed $(SCAN)
	$(EDGE)/bin/fmtool doctor
	$(EDGE)/bin/fmtool predict $(SCAN) --report .demo/report
	@echo "Open .demo/report/ for the page with pictures (.html) and the result (.json)."

test: $(DEV)/.installed
	$(PYTEST) -m "not slow"

test-slow: $(DEV)/.installed
	$(PYTEST) -m slow

test-all: $(DEV)/.installed
	$(PYTEST)

gpu-check: $(DEV)/.installed
	$(DEV)/bin/python -m benchmarks.gpu_check

package-check: $(DEV)/.installed
	$(DEV)/bin/python -m benchmarks.packages --torch "$(TORCH)"

# Needs Debian on x86-64; nothing is installed, and what is done is kept in build/emulated.
aarch64-check: $(DEV)/.installed
	$(DEV)/bin/python -m benchmarks.emulated

# Needs the real scans (FMTOOL_TEST_DATA) and Debian; nothing is installed.
peers-check: $(DEV)/.installed $(PEERS)/.unpacked
	PATH="$(PEERS)/usr/bin:$(PEERS)/usr/sbin:$$PATH" \
	LD_LIBRARY_PATH="$$(dirname $$(find $(PEERS)/usr/lib -name 'libdcmnet.so.*' | head -n 1))" \
	DCMDICTPATH="$$(find $(PEERS)/usr/share -name dicom.dic)" \
	ORTHANC_PLUGINS=$(PEERS)/usr/share/orthanc/plugins \
	$(DEV)/bin/python -m pytest tests/runtime/service/node/test_peers.py

$(PEERS)/.unpacked:
	mkdir -p $(PEERS)/deb
	cd $(PEERS)/deb && apt-get download $$(apt-get install --simulate --no-install-recommends \
	    dcmtk orthanc orthanc-dicomweb dicom3tools | awk '/^Inst/ {print $$2}')
	for deb in $(PEERS)/deb/*.deb; do dpkg-deb --extract $$deb $(PEERS); done
	touch $@

# To read it: python3 -m http.server --directory build/site (the search needs a server).
docs: $(DEV)/.installed
	NO_MKDOCS_2_WARNING=1 $(DEV)/bin/python -m mkdocs build --strict --quiet

lint: $(DEV)/.installed
	$(DEV)/bin/ruff check .
	$(DEV)/bin/ruff format --check .
	$(DEV)/bin/mypy
	$(DEV)/bin/lint-imports

# The lock files anew, and the edge environment's bill of materials; see docs/supply.md.
locks: $(DEV)/.installed
	$(DEV)/bin/python -m benchmarks.supply

sbom: $(EDGE)/.installed $(DEV)/.installed
	$(DEV)/bin/python -m benchmarks.supply.sbom --python $(EDGE)/bin/python -o sbom.json

$(EDGE)/.installed: pyproject.toml
	$(PYTHON) -m venv $(EDGE)
	$(EDGE)/bin/python -m pip install --quiet --editable ".[cpu]"
	touch $@

$(DEV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(DEV)
	$(DEV)/bin/python -m pip install --quiet "$(TORCH)"
	$(DEV)/bin/python -m pip install --quiet --editable ".[cpu,dev]"
	touch $@

# A whole head that a package carries under the MIT licence: pydeface's average of many.
.demo/head.nii.gz: $(EDGE)/.installed
	mkdir -p .demo
	$(EDGE)/bin/python -m pip download --quiet --no-deps --dest .demo pydeface==2.1.0
	$(EDGE)/bin/python -m zipfile -e .demo/pydeface-2.1.0-py3-none-any.whl .demo/pydeface
	mv .demo/pydeface/pydeface/data/mean_reg2mean.nii.gz $@

clean:
	rm -rf $(EDGE) $(DEV) .demo .cache build
