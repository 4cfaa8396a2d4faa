# make demo     the whole loop, in a browser and in the terminal (HEADLESS=1, DATA=folder, SUBJECT=U1, SPEED=20,
#               PORT=riscv)
# make test     every check there is, as in CI
# make check    the quick ones
# make setup    all that the others need, into .venv; they call it themselves
# make coverage which lines and branches the tests reach (ALL=1: slow tests, too); build/coverage/index.html
# make mutation small faults put into planner, guard and link: do the tests notice? (an hour)
# make clean    away with everything that can be made again
.DEFAULT_GOAL := demo
.PHONY: setup demo test check coverage mutation clean
BIN := .venv/bin
# Most tests wait for a clock, a broker or a process: two at a time take half as long. A file's tests stay together.
WORKERS = -n 2 --dist loadfile --no-loadscope-reorder
LINTS = "$(BIN)/ruff check ." "$(BIN)/ruff format --check ." "$(BIN)/mypy" "$(BIN)/lint-imports --no-logo"

setup:
	@tools/setup.sh test

demo:
	@tools/setup.sh $(if $(DATA),data,demo)
	@$(BIN)/biotrain demo $(if $(HEADLESS),--headless) $(if $(DATA),--data "$(DATA)") \
	  $(if $(SUBJECT),--subject "$(SUBJECT)") $(if $(SPEED),--speed "$(SPEED)") \
	  $(if $(PORT),--port "$(PORT)") $(if $(JSON),--json) $(if $(KEEP),--keep)

# The linters never keep the tests from running; pytest comes last, so that its summary ends the output.
test: setup
	@status=0; for lint in $(LINTS); do echo "== $$lint"; $$lint || { echo "FAILED: $$lint"; status=1; }; done; \
	echo "== $(BIN)/pytest"; $(BIN)/pytest -q $(WORKERS) || status=1; exit $$status

check: setup
	@for lint in $(LINTS); do echo "== $$lint"; $$lint || exit 1; done
	@$(BIN)/pytest -q $(WORKERS) -m "not slow"

coverage: setup
	@$(BIN)/python -m pip install -q pytest-cov
	@$(BIN)/pytest -q $(WORKERS) $(if $(ALL),,-m "not slow") --cov --cov-report= || true
	@$(BIN)/coverage html -q -d build/coverage; $(BIN)/python tools/coverage_table.py

mutation: setup
	@$(BIN)/python -m pip install -q cosmic-ray
	@$(BIN)/python tools/mutation.py

clean:
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
