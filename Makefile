# Two commands to start with: `make demo` and `make test`. `make help` lists the rest.
PYTHON ?= $(shell for p in python3.11 python3.12 python3; do $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null && echo $$p && break; done)
PORT ?= 8000
DATA ?= .facefit
ARGS ?= list
PHOTOS ?= ../shared/data
FAULTS ?=
MINUTES ?= 60
RATE ?= 5
RESUME ?=
OUT ?= evaluate-output
RENDERS ?= 0
SECONDS ?= 600
SEED ?=

BIN := .venv/bin
READY := .venv/.ready

.DEFAULT_GOAL := help
.PHONY: help demo up keys test faults soak long fuzz schemathesis evaluate docs lint format lock audit secrets clean docker-test rabbitmq-test sentinel-test hosts-test bench-scaling
help: ## what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

$(READY): requirements/bootstrap.txt requirements/dev.txt
	@test -n "$(PYTHON)" || { echo "facefit needs Python 3.11 or 3.12 on the PATH (or make PYTHON=/path/to/python)"; exit 1; }
	@echo "==> making .venv with $(PYTHON)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
	@echo "==> installing what it needs (about 500 MB on disk; the first time it is downloaded)"
	@VIRTUAL_ENV=.venv $(BIN)/uv pip sync --require-hashes requirements/dev.txt requirements/bootstrap.txt
	@touch $@

demo: $(READY) ## start everything, measure two portraits, show the result, stop everything
	@$(BIN)/python -m stack demo

up: $(READY) ## keep the service running here; options PORT=8000 DATA=.facefit
	@exec $(BIN)/python -m stack up --port $(PORT) --data $(DATA)

keys: $(READY) ## API keys of the service that `make up` runs: ARGS="create --tenant acme --name portal", list, revoke, expire
	@$(BIN)/python -m stack keys --data $(DATA) $(ARGS)

test: $(READY) ## every test but the long ones, against the same embedded stack
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadgroup -m "not long"

faults: PHOTOS = 500
faults: OUT = faults.json
faults: $(READY) ## break a stack in 20 ways under load, and count: FAULTS="1 3" PHOTOS=500 SEED=7 OUT=faults.json RESUME=1
	@$(BIN)/python -m tests.faults.run --photos $(PHOTOS) --seed $(or $(SEED),7) --out $(OUT) $(if $(FAULTS),--faults $(FAULTS)) $(if $(RESUME),--resume)

soak: OUT = soak.json
soak: $(READY) ## load without a pause and faults at random: MINUTES=60 RATE=5 SEED=7 OUT=soak.json
	@$(BIN)/python -m tests.faults.soak --minutes $(MINUTES) --rate $(RATE) --seed $(or $(SEED),7) --out $(OUT)

long: $(READY) ## the tests that `make test` leaves out because they take minutes
	@$(BIN)/python -m pytest -m long

schemathesis: $(READY) ## the OpenAPI document against a live service; options SECONDS=600 SEED=1
	@$(BIN)/python -m bench.openapi_fuzz --seconds $(SECONDS) --seed $(or $(SEED),1)

fuzz: $(READY) ## damaged files into every door; options SECONDS=600 SEED=n (what is found is kept in fuzz-findings)
	@$(BIN)/python -m tests.fuzz --seconds $(SECONDS) $(if $(SEED),--seed $(SEED))

evaluate: $(READY) ## accuracy on photos with hand-placed points: PHOTOS=DIR OUT=DIR RENDERS=n (heads turned, slow)
	@$(BIN)/python -m bench.evaluate --data $(PHOTOS) --out $(OUT) --renders $(RENDERS)

docs: $(READY) ## write docs/configuration.md from the settings, docs/operations/metrics.md from the metrics
	@$(BIN)/python -m docs.configuration
	@$(BIN)/python -m docs.metrics

audit: $(READY) ## ask osv.dev about every pinned version (needs a network; says so when it has none)
	@$(BIN)/python -m requirements.audit

secrets: ## what docker-compose.yml reads, as files; ROTATE=redis, s3 or store makes those anew
	@$(or $(PYTHON),python3) -m stack.secret_files $(if $(ROTATE),--rotate $(ROTATE))

docker-test: $(READY) ## build the images, start them with compose, kill what can be killed, count (needs Docker)
	@$(BIN)/python -m pytest -s $(addprefix tests/docker/,walls_run.py compose_run.py kills_run.py)

rabbitmq-test: $(READY) ## RabbitMQ's quorum queues as the broker, killed under load; needs rabbitmq-server
	@$(BIN)/python -m pytest -s tests/scaling/rabbitmq_run.py

sentinel-test: $(READY) ## Redis behind Sentinels, its master killed under load twice
	@$(BIN)/python -m pytest -s tests/scaling/sentinel_run.py

hosts-test: $(READY) ## two hosts over the same stores, one process of each kind killed; needs root, and faketime
	@$(BIN)/python -m pytest -s tests/scaling/hosts_run.py

bench-scaling: OUT = docs/operations/scaling-figures.json
bench-scaling: $(READY) ## what each part costs a photo, and the capacity table of docs/scaling.md from that
	@$(BIN)/python -m bench.scaling --out $(OUT)
	@$(BIN)/python -m bench.scaling.capacity --figures $(OUT)

lint: $(READY) ## ruff, mypy (strict), import walls
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(READY) ## let ruff format and mend what it can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

lock: $(READY) ## compile requirements/*.txt from pyproject.toml
	@for group in dev api worker stack bootstrap; do \
	  constraint=$$(test $$group = dev || echo "-c requirements/dev.txt"); \
	  $(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --group $$group $$constraint \
	    --custom-compile-command "make lock" -o requirements/$$group.txt || exit 1; done

clean: ## remove .venv and the data of `make up`
	@rm -rf .venv .facefit demo-output evaluate-output
