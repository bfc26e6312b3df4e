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
BENCH ?=

BIN := .venv/bin
READY := .venv/.ready

.DEFAULT_GOAL := help
.PHONY: help demo up keys tenants test faults soak orders long fuzz schemathesis evaluate docs lint format lock audit secrets clean docker-test bench bench-full browser page page-check test-node site diagrams rabbitmq-test sentinel-test hosts-test bench-scaling
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

tenants: $(READY) ## limits of tenants of that service: ARGS="set acme --photos-per-minute 60", show, list
	@$(BIN)/python -m stack tenants --data $(DATA) $(ARGS)

test: $(READY) ## every test but the long ones, against the same embedded stack
	@$(BIN)/python -m pytest --numprocesses 4 --dist loadgroup -m "not long and not browser and not node"

faults: PHOTOS = 500
faults: OUT = faults.json
faults: $(READY) ## break a stack in 20 ways under load, and count: FAULTS="1 3" PHOTOS=500 SEED=7 OUT=faults.json RESUME=1
	@$(BIN)/python -m tests.faults.run --photos $(PHOTOS) --seed $(or $(SEED),7) --out $(OUT) $(if $(FAULTS),--faults $(FAULTS)) $(if $(RESUME),--resume)

soak: OUT = soak.json
soak: $(READY) ## load without a pause and faults at random: MINUTES=60 RATE=5 SEED=7 OUT=soak.json
	@$(BIN)/python -m tests.faults.soak --minutes $(MINUTES) --rate $(RATE) --seed $(or $(SEED),7) --out $(OUT)

orders: TIMES = 20
orders: $(READY) ## random orders of requests, deaths and losses, other ones in each run: TIMES=20 as many as `make test`
	@FACEFIT_TEST_TIMES=$(TIMES) $(BIN)/python -m pytest --numprocesses 2 --timeout 7200 --hypothesis-profile random \
		tests/contract/test_*_state_machine.py tests/unit/test_delivery_state_machine.py

long: $(READY) ## the tests that `make test` leaves out because they take minutes
	@$(BIN)/python -m pytest -m long

browser: $(READY) ## the page in a real browser (needs Chromium: apt-get install chromium); writes docs/images/page
	@$(BIN)/python -m pytest -m browser --timeout 900 tests/browser

page: ## build the page from web/ into api/web (needs Node.js 20 and npm)
	@command -v npm >/dev/null || { echo "make page needs Node.js 20 or later with npm; the built page is committed, so only a change of it needs them"; exit 1; }
	@cd web && npm ci --no-fund --no-audit --loglevel=error && npm run --silent build

page-check: $(READY) ## show that api/web is what a fresh build of web/ makes (needs Node.js 20 and npm)
	@$(BIN)/python -m pytest -m node tests/page_build

schemathesis: $(READY) ## the OpenAPI document against a live service; options SECONDS=600 SEED=1
	@$(BIN)/python -m bench.openapi_fuzz --seconds $(SECONDS) --seed $(or $(SEED),1)

fuzz: $(READY) ## damaged files into every door; options SECONDS=600 SEED=n (what is found is kept in fuzz-findings)
	@$(BIN)/python -m tests.fuzz --seconds $(SECONDS) $(if $(SEED),--seed $(SEED))

evaluate: $(READY) ## accuracy on photos with hand-placed points: PHOTOS=DIR OUT=DIR RENDERS=n (heads turned, slow)
	@$(BIN)/python -m bench.evaluate --data $(PHOTOS) --out $(OUT) --renders $(RENDERS)

bench: $(READY) ## speed against the bars and the original service, a few minutes: BENCH="--parts latency --resume"
	@$(BIN)/python -m bench.speed $(BENCH)

bench-full: $(READY) ## the same with more rounds and a batch of 10,000, a quarter of an hour: BENCH="--resume --batch 5000"
	@$(BIN)/python -m bench.speed --full $(BENCH)

diagrams: $(READY) ## draw the mermaid diagrams of the pages that have changed (needs npm and Chromium)
	@$(BIN)/python -m docs.diagrams

site: OUT = site
site: $(READY) ## build the docs site, with links checked: OUT=site
	@$(BIN)/python -m docs.site.build $(OUT)

test-node: $(READY) ## what needs Node: the receiver for Node, and js blocks of the docs
	@$(BIN)/python -m pytest -m node

docs: $(READY) ## write the generated pages: docs/configuration.md, docs/reference.md, docs/operations/metrics.md, the drawings
	@$(BIN)/python -m docs.configuration
	@$(BIN)/python -m docs.metrics
	@$(BIN)/python -m docs.reference
	@$(BIN)/python -m docs.drawings

audit: $(READY) ## ask osv.dev about every pinned version (needs a network; says so when it has none)
	@$(BIN)/python -m requirements.audit

secrets: ## what docker-compose.yml reads, as files; ROTATE=redis, s3 or store makes those anew
	@$(or $(PYTHON),python3) -m stack.secret_files $(if $(ROTATE),--rotate $(ROTATE))

docker-test: $(READY) ## build the images, start them with compose, kill what can be killed, count (needs Docker)
	@$(BIN)/python -m pytest -s $(addprefix tests/docker/,walls_run.py compose_run.py kills_run.py full_disk_run.py)

rabbitmq-test: $(READY) ## RabbitMQ's quorum queues as the broker, killed under load; needs rabbitmq-server
	@$(BIN)/python -m pytest -s tests/scaling/rabbitmq_run.py

sentinel-test: $(READY) ## Redis behind Sentinels, its master killed under load twice
	@$(BIN)/python -m pytest -s tests/scaling/sentinel_run.py

hosts-test: $(READY) ## two hosts over the same stores, one process of each kind killed; needs root
	@$(BIN)/python -m pytest -s tests/scaling/hosts_run.py

bench-scaling: OUT = docs/operations/scaling-figures.json
bench-scaling: $(READY) ## what each part costs a photo, and the capacity table of docs/scaling.md from that
	@$(BIN)/python -m bench.scaling --out $(OUT)
	@$(BIN)/python -m bench.scaling.capacity --figures $(OUT)

lint: $(READY) ## ruff, mypy (strict), import walls
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@PYTHONPATH=client/src $(BIN)/lint-imports

format: $(READY) ## let ruff format and mend what it can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

lock: $(READY) ## compile requirements/*.txt from pyproject.toml
	@for group in dev api worker stack docs examples bootstrap; do \
	  constraint=$$(test $$group = dev || echo "-c requirements/dev.txt"); \
	  $(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --group $$group $$constraint \
	    --custom-compile-command "make lock" -o requirements/$$group.txt || exit 1; done

clean: ## remove .venv and the data of `make up`
	@rm -rf .venv .facefit demo-output evaluate-output speed-output
