# Two commands matter: "make demo" shows the thing, "make test" passes the tests. Both need Go and nothing else.
GO      ?= go
BIN     := bin/outband
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
FUZZTIME ?= 5s

export CGO_ENABLED ?= 0

.PHONY: build demo test race vet generate fuzz bench cross clean

build:
	$(GO) build -trimpath -ldflags "-s -w -X github.com/outband/outband/cli.Version=$(VERSION)" -o $(BIN) ./cmd/outband

# Three virtual machines of different generations on loopback addresses, a short tour, and then they stay up.
demo: build
	$(BIN) demo

test:
	$(GO) test -timeout 30m ./...

race: # a program that ends may report for 50 ms, not for the second that is the default: the tests run thousands
	GORACE=atexit_sleep_ms=50 CGO_ENABLED=1 $(GO) test -race -short -timeout 30m ./...

vet:
	$(GO) vet ./...
	test -z "$$(gofmt -l .)" || { gofmt -l .; exit 1; }

# Writes class/*/*.gen.go anew from class/model/classes.json, and docs/commands.md from the commands.
generate:
	$(GO) generate ./...

# Every fuzz target for a short time each.
fuzz:
	.ci/fuzz $(FUZZTIME)

bench:
	cd bench && $(GO) test -run '^$$' -bench . -benchmem ./...

# What other systems get. Everything must build everywhere.
cross:
	for target in linux/amd64 linux/arm64 darwin/arm64 windows/amd64; do \
		echo $$target; \
		GOOS=$${target%/*} GOARCH=$${target#*/} $(GO) build -trimpath -o /dev/null ./cmd/outband || exit 1; \
		GOOS=$${target%/*} GOARCH=$${target#*/} $(GO) vet ./... || exit 1; \
	done

clean:
	rm -rf bin
