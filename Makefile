# Every target makes its own .venv first, once, and brings it up to date when pyproject.toml or the pinned requirements change.
# Only Python 3.11 or newer and make need to be there.
#
#   make demo                 compare PCA, AE and VAE on the bundled digits; ends with the place of the report
#   make test                 every test                    make test-fast   all but the slow ones, under a minute
#   make lint                 ruff and pyright              make docs        the generated pages, and every link
#   make bench DATA=DIR       the benchmarks; DIR holds mnist.npz (benchmarks/README.md says where it comes from)
#   make bench-peers          environments for the libraries that benchmarks/speed.py measures beside isthmus
#
# PIP_OPTIONS goes to pip, as in  make demo PIP_OPTIONS="--extra-index-url https://download.pytorch.org/whl/cpu"

PYTHON ?= $(shell for name in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	"$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$name"; break; }; done)
PIP_OPTIONS ?=
WORKERS ?= 2
DEMO ?= out/demo

# One environment each, so that no library's requirements bend another's.
PEERS ?= pythae keras jax

BIN := .venv/bin
INSTALLED := .venv/installed
# Two processes with one thread each are faster than one with two on networks this small.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest -n $(WORKERS)

.PHONY: demo test test-fast lint format docs bench bench-peers venv clean
.DEFAULT_GOAL := demo

demo: $(INSTALLED)
	@mkdir -p $(dir $(DEMO))
	$(BIN)/isthmus compare digits --target target --models pca,ae,vae --latent 2,4,8,16 --seeds 2 --out $(DEMO)
	@echo "Open file://$(abspath $(DEMO))/report.html in a browser."

test: $(INSTALLED)
	$(PYTEST)

test-fast: $(INSTALLED)
	$(PYTEST) -m "not slow"

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(INSTALLED)
	$(BIN)/python docs/generate.py

bench: $(INSTALLED)
	@test -n "$(DATA)" || { echo "make bench DATA=DIR: name the folder that holds mnist.npz (see benchmarks/README.md)"; exit 2; }
	$(BIN)/python benchmarks/mnist_elbo.py --data "$(DATA)"
	$(BIN)/python benchmarks/speed.py --data "$(DATA)"
	$(BIN)/python benchmarks/inference.py
	$(BIN)/python benchmarks/growth.py

bench-peers: $(PEERS:%=.bench/%/installed)

.bench/%/installed: benchmarks/peers/requirements/%.txt
	@test -n "$(PYTHON)" || { echo "the peers need Python 3.11 or newer; name one with make PYTHON=/path/to/python"; exit 2; }
	$(PYTHON) -m venv .bench/$*
	.bench/$*/bin/python -m pip install --quiet $(PIP_OPTIONS) --requirement $<
	@touch $@

venv: $(INSTALLED)

$(INSTALLED): pyproject.toml requirements/development.txt
	@test -n "$(PYTHON)" || { echo "isthmus needs Python 3.11 or newer; name one with make PYTHON=/path/to/python"; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet $(PIP_OPTIONS) --requirement requirements/development.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $(INSTALLED)

clean:
	rm -rf .venv .bench out build dist .pytest_cache .ruff_cache .hypothesis
