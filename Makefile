# sekisho. "make help" tells what can be made; everything else sets itself up.

DEMO_MEMBERS ?= 1000000
FUZZTIME ?= 10s
# scrypt has no second thread, and is six times as slow if it is watched for one;
# the pointers of protobuf's own code, which reads each parse tree, are its makers' to check.
QUICK = -gcflags=golang.org/x/crypto/scrypt=-race=false -gcflags=google.golang.org/protobuf/...=-d=checkptr=0
# The packages whose tests take longest, so that none of them is still at it
# alone when all others are done.
LONGEST = ./gate ./cmd/sekisho ./console ./drill ./house
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2

# What Debian must bring: a C compiler for PostgreSQL's own SQL grammar, a
# server to stand in front of, a browser that the console's tests drive.
BUILD_PACKAGES = gcc libc6-dev
RUN_PACKAGES = $(BUILD_PACKAGES) postgresql nftables iproute2
# A proxy for the hands of containment to work at, a directory of people, and
# drivers that programs have.
TEST_PACKAGES = $(RUN_PACKAGES) chromium squid slapd python3-psycopg2 python3-psycopg
BENCH_PACKAGES = $(RUN_PACKAGES) pgbouncer openssl
REGRESS_PACKAGES = $(RUN_PACKAGES) perl make bzip2
APPLICATION_PACKAGES = $(RUN_PACKAGES) tryton-server tryton-modules-party tryton-modules-party-relationship tryton-modules-account-invoice tryton-modules-sale mailman3 python3-flufl.testing python3-psycopg2
CLIENT_PACKAGES = $(RUN_PACKAGES) openssl libpq-dev python3-psycopg2 python3-psycopg default-jdk-headless libpostgresql-jdbc-java

.DEFAULT_GOAL := help
.PHONY: help build run test bench fuzz regress applications clients setup clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

build: ## bin/sekisho
	@setup/toolchain
	@setup/packages $(BUILD_PACKAGES)
	@[ -x bin/sekisho ] || echo "building bin/sekisho (the first time takes a minute or two)" >&2
	@mkdir -p bin
	@go build -o bin/ ./cmd/...

run: ## the demo: a filled store, the gate, the console, and the cases of JAL 2014 and JTB 2016; ONCE=1 ends after the report, DEMO_MEMBERS=50000 makes it small
	@setup/packages $(RUN_PACKAGES)
	@$(MAKE) -s --no-print-directory build
	@exec bin/sekisho demo --dir var --members $(DEMO_MEMBERS) $(if $(ONCE),--once)

test: ## format, vet, staticcheck, known vulnerabilities, and every test with the race detector
	@setup/toolchain
	@setup/packages $(TEST_PACKAGES)
	setup/format
	go vet ./...
	go run $(STATICCHECK) ./...
	setup/vulnerabilities
	go test -vet=off -race $(QUICK) -timeout 30m $(LONGEST) ./...

bench: ## every benchmark, beside direct PostgreSQL, PgBouncer and pgaudit where they matter
	@setup/toolchain
	@setup/packages $(BENCH_PACKAGES)
	@setup/packages $$(basename $$(dirname $$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)) | sed 's/.*/postgresql-&-pgaudit/')
	bench/gate.sh
	bench/mailing.sh
	go test -run '^$$' -bench . -benchmem -timeout 60m ./...

fuzz: ## every fuzz target for FUZZTIME (10s) each
	@setup/toolchain
	@setup/packages $(BUILD_PACKAGES)
	setup/fuzz $(FUZZTIME)

regress: ## PostgreSQL's own regression suite through the gate, beside a direct connection; fetches PostgreSQL's source; PROTECTED=observe or enforce counts what differs where a table is protected
	@setup/toolchain
	@setup/packages $(REGRESS_PACKAGES)
	@setup/regress

applications: ## the tests of three applications that know nothing of sekisho, directly and through the gate: what passes, and how it is accounted; installs the applications
	@setup/toolchain
	@setup/packages $(APPLICATION_PACKAGES)
	@setup/applications

clients: ## real drivers and their makers' own tests (psql, pg_dump, pgbench, libpq, psycopg 2 and 3, node-postgres, JDBC, lib/pq, pgx), directly and through the gate: what differs; installs them
	@setup/toolchain
	@setup/packages $(CLIENT_PACKAGES)
	@setup/clients

setup: ## install what run and test need, and nothing else
	@setup/toolchain
	@setup/packages $(TEST_PACKAGES)

clean: ## remove bin, and var with the demo store: stop the demo first
	rm -rf bin var
