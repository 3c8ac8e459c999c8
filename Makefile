# Thin on purpose: each target is one or two plain commands, which you can also type yourself.
PYTHON   ?= python3# any Python 3.11 or 3.12; it only makes .venv
HARDWARE ?= auto# cpu | gpu | auto: gpu where nvidia-smi lists a device
WORKERS  ?= 3# processes that share the tests, one more than cores, as some wait; a file is one worker's (conftest.py)

quickstart: install  ## notebooks 01 to 05 in order, into runs/quickstart
	.venv/bin/python -m xlam_lib.run experiments/00_quickstart

# DeepSpeed with a leading dash: where it cannot be built, its tests are skipped
test: install  ## everything that CI checks
	-$(PYTHON) requirements/install.py --hardware $(HARDWARE) --deepspeed
	.venv/bin/ruff check . && .venv/bin/ruff format --check .
	.venv/bin/python -m pytest -n $(WORKERS) --dist loadscope --no-loadscope-reorder --durations 20 \
		--nbval-lax --nbval-current-env --nbval-sanitize-with tests/nbval_sanitize.cfg tests notebooks

speed: install  ## training on tries against other ways, on real records: runs/speed/speed.json
	.venv/bin/python -m xlam_lib.perf.speed

notebooks: install  ## notebooks/*.ipynb executed anew with their defaults, outputs and all
	.venv/bin/python -m xlam_lib.batch.notebooks build

install:  ## .venv with the locked packages and this project; ends at once if it is up to date
	$(PYTHON) requirements/install.py --hardware $(HARDWARE)

deepspeed:  ## the same, and DeepSpeed, which SFT-lite runs under where a launch file says so
	$(PYTHON) requirements/install.py --hardware $(HARDWARE) --deepspeed

lock:  ## requirements/*.lock anew, after a change of the packages in pyproject.toml
	.venv/bin/python requirements/lock.py

format:  ## ruff's formatter over modules and notebooks
	.venv/bin/ruff check --fix . && .venv/bin/ruff format .

.PHONY: quickstart test speed notebooks install deepspeed lock format
