# Everything a person does with this repository, a line or two each. CI calls these targets and nothing else.
.DEFAULT_GOAL := help

VERSION ?= $(shell tools/version)
COMMIT  ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 0)
export VERSION COMMIT SOURCE_DATE_EPOCH
LDFLAGS := -s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT)
BIN     ?= bin/pdhook
TOOL    := go tool -modfile=tools/go.mod
COUNT   ?= 1
FUZZTIME ?= 100000x
PARALLEL ?= 16 # the end-to-end tests mostly wait
IMAGE   ?= pdhook:$(VERSION)
ENGINE  ?= docker # or podman, buildah
PREFIX  ?= /usr/local

# Tests try the same random histories each time; 0 draws new ones, as the long torture does.
export RAPID_SEED ?= 1

.PHONY: help
help: ## show this help
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build bin/pdhook, a static binary
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/pdhook

.PHONY: test
test: ## run all tests
	go test -parallel $(PARALLEL) ./...

.PHONY: test-browser
test-browser: ## look at the status page in headless Chromium (Debian: apt-get install chromium)
	go -C test/browser test -count=1 ./...

.PHONY: race
race: ## run all tests with the race detector (needs a C compiler); COUNT=20 repeats them
	go test -race -parallel $(PARALLEL) -count=$(COUNT) -timeout 80m ./...

.PHONY: test-chart
test-chart: ## lint, render and validate the Helm chart; the first time Helm is compiled
	@# go test does not see when files outside its module change: nothing may come from its cache.
	cd test/chart && go vet ./... && go test -count=1 ./...

.PHONY: chart-files
chart-files: ## bring the chart's table of values and its copy of the alerts up to date
	cp deploy/prometheus/alerts.yaml deploy/helm/pdhook/files/alerts.yaml
	cd test/chart && go test -run Readme -update .

.PHONY: dist-chart
dist-chart: ## write the Helm chart's archive alone to dist; VERSION=v1.2.3
	@VERSION=$(VERSION) tools/dist-chart dist

.PHONY: lint
lint: ## gofmt, go vet and more
	$(TOOL) golangci-lint run

.PHONY: check-rules
check-rules: ## check metrics, alerts and dashboard with promtool (Debian's package prometheus)
	go test -tags promtool -count=1 -run Promtool ./internal/app

.PHONY: fuzz
fuzz: ## run every fuzz test FUZZTIME times (100000x; 20s is twenty seconds each)
	@set -e; for file in $$(grep -rlE '^func Fuzz' --include='*_test.go' .); do \
	  for name in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9]*\).*/\1/p' $$file); do \
	    echo "$$file $$name"; go test -run '^$$' -fuzz "^$$name$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 20x $$(dirname $$file); \
	  done; done

.PHONY: torture
torture: ## break disks, networks and processes for real (root, Linux, strace, nginx, iproute2, e2fsprogs); SHORT=1 for minutes
	$(if $(SHORT),,RAPID_SEED=0) go test -timeout 3h ./internal/reconcile -run 'History' $(if $(SHORT),-rapid.checks=300,-rapid.checks=20000)
	go test -tags torture -run Traffic $(if $(SHORT),-short) -timeout 1h ./internal/store
	go test -tags torture -run '^TestTorture' $(if $(SHORT),-short) -parallel 4 -timeout 6h ./test/e2e

.PHONY: bench
bench: ## run the benchmarks
	go test -run '^$$' -bench . -benchmem ./...

.PHONY: bin/demo
bin/demo:
	@CGO_ENABLED=0 go build -trimpath -o bin/demo ./test/demo

.PHONY: demo
demo: build bin/demo ## pdhook at work against built-in simulators; ONCE=1 ends after the story
	@bin/demo story --pdhook bin/pdhook $(if $(ONCE),--once)

.PHONY: sandbox
sandbox: build bin/demo ## only the simulators, to set pdhook up by hand; writes to bin/sandbox
	@bin/demo sandbox --dir bin/sandbox

.PHONY: demo-request
demo-request: ## while the demo or the sandbox runs: ask for access, e.g. USER=kim@example.com ROLE=payments-admin
	@bin/demo request $(if $(filter command line,$(origin USER)),--user $(USER)) $(if $(ROLE),--role $(ROLE))

.PHONY: image
image: ## build the container image; ENGINE=podman builds it with podman
	@# OCI's own format, podman's default, knows no health check.
	$(ENGINE) build $(if $(filter podman buildah,$(ENGINE)),--format docker) $(IMAGE_FLAGS) --build-arg VERSION=$(VERSION) --build-arg REVISION=$(COMMIT) \
	  --build-arg CREATED=$(shell TZ=UTC git log -1 --date=format-local:%FT%TZ --format=%cd 2>/dev/null) -t $(IMAGE) .

.PHONY: install
install: build ## install below PREFIX, and /etc/pdhook.toml unless there is one; DESTDIR for packages
	install -D -m 0755 bin/pdhook $(DESTDIR)$(PREFIX)/bin/pdhook
	install -D -m 0644 deploy/systemd/sysusers.conf $(DESTDIR)$(PREFIX)/lib/sysusers.d/pdhook.conf
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system $(DESTDIR)/etc
	sed 's|/usr/local/bin|$(PREFIX)/bin|' deploy/systemd/pdhook.service >$(DESTDIR)$(PREFIX)/lib/systemd/system/pdhook.service
	chmod 0644 $(DESTDIR)$(PREFIX)/lib/systemd/system/pdhook.service
	test -e $(DESTDIR)/etc/pdhook.toml || \
	  { bin/pdhook configure >bin/pdhook.toml && install -m 0640 bin/pdhook.toml $(DESTDIR)/etc/pdhook.toml; }
	@echo 'Next: systemd-sysusers; chgrp pdhook /etc/pdhook.toml; fill it in; systemctl enable --now pdhook. After an update: systemctl daemon-reload; systemctl restart pdhook'

.PHONY: dist
dist: ## write the release archives for linux on amd64 and arm64, the chart, and checksums to dist
	@tools/dist dist

.PHONY: release-dry-run
release-dry-run: ## check that RELEASE=v1.2.3 can be released, build it, and say what would be pushed; pushes nothing
	@tools/release-dry-run $(RELEASE)

.PHONY: image-test
image-test: ## build the image with buildah (root, Linux) from stand-ins for its bases, inspect it, and run it
	go test -tags image -count=1 -timeout 20m ./test/image

.PHONY: package-test
package-test: ## test archives, installation, systemd unit and version (Linux, systemd-analyze)
	go test -tags package -count=1 -timeout 20m ./test/package
