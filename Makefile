# `make` lists the targets. Everything is set up on first use, in .venv.
SHELL := bash
.DEFAULT_GOAL := help
BIN := .venv/bin
READY := .venv/.ready
# One worker more than there are cores: many tests wait for a browser, a clock or a killed process.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(shell expr $$(nproc) + 1) --dist loadgroup
# The book and the student bundle are made side by side.
MAKEFLAGS += --jobs=2
PORT ?= 8000
LAB ?=

.PHONY: help course test test-all check lint book print assets links serve lab release grade bench gpu lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): requirements.lock pyproject.toml scripts/setup.sh
	@scripts/setup.sh environment

course: book release ## set up, build the site, release Assignment 2, grade the samples
	@$(BIN)/python -m autograder grade --samples
	@echo
	@echo "site:   _build/html/index.html   (make serve shows it)"
	@echo "bundle: _build/release/assignment2.zip"
	@echo "marks:  the table above"

test: print release ## run the tests, as CI does
	@$(PYTEST) -m "not sweep" --durations 10

test-all: print release ## run all tests, with the sweeps over every network and every answer: an hour
	@$(PYTEST) --durations 10

check: lint ## the fast loop: lint, types and the quick tests, about 2 minutes
	@$(PYTEST) -m "not slow and not sweep"

lint: $(READY) ## format, lint, spelling, types, import contracts
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/codespell
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache --no-logo

book: $(READY) ## execute the chapters and build the site into _build/html
	@$(BIN)/python scripts/book.py

print: book ## make the whole book as PDF and EPUB, in _build/print
	@scripts/setup.sh browser
	@$(BIN)/python scripts/print.py

assets: print release ## gather what a release offers for download, in _build/assets
	@rm -rf _build/assets && mkdir -p _build/assets
	@cp _build/print/* _build/release/assignment2.zip _build/assets
	@git archive --format zip --output _build/assets/notebooks.zip HEAD chapters

links: book ## ask every address that the book links to whether it is there (needs the network)
	@$(BIN)/jupyter-book build . --builder linkcheck; found=$$?; \
	  mkdir -p _build/links && mv _build/html/output.* _build/links; exit $$found

serve: book ## show the site on http://localhost:8000 (PORT=… for another port)
	@$(BIN)/python -m http.server --directory _build/html --bind 127.0.0.1 $(PORT)

lab: $(READY) ## open JupyterLab on the chapters (LAB=… for options, such as --no-browser)
	@$(BIN)/jupyter lab chapters $(if $(filter 0,$(shell id -u)),--allow-root) $(LAB)

release: $(READY) ## make the student bundle of Assignment 2
	@$(BIN)/python -m autograder release

grade: $(READY) ## grade what lies in assignments/submitted
	@$(BIN)/python -m autograder grade

bench: $(READY) ## measure ours against torchvision, timm, torchinfo, nbgrader (an hour and a half)
	@$(BIN)/python -m benchmarks.models
	@$(BIN)/python -m benchmarks.analysis
	@$(BIN)/python -m benchmarks.training
	@$(BIN)/python -m benchmarks.grading

gpu: $(READY) ## on a machine with a GPU: its tests, the speed of training, all experiments
	@$(BIN)/python -m benchmarks.gpu

lock: $(READY) ## compile requirements.lock from pyproject.toml (UPGRADE=--upgrade for the newest)
	@CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/python -m piptools compile --quiet $(UPGRADE) --all-extras \
	  --strip-extras --no-annotate --no-emit-index-url --no-emit-find-links \
	  --no-emit-trusted-host --output-file requirements.lock pyproject.toml

clean: ## remove what was built; the environment stays
	@rm -rf _build
