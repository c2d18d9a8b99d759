# SPDX-License-Identifier: MIT
#
# The front door; Meson does the work. `make help` lists what there is.

BUILD ?= build
PREFIX ?= /usr/local
DESTDIR ?=
ARGS ?=

CONFIGURE = scripts/configure.sh
OPTIONS = --prefix=$(PREFIX)

.PHONY: all run check check-long bench tidy install uninstall clean help

all:
	@scripts/install-packages.sh --look build
	@$(CONFIGURE) $(BUILD) $(OPTIONS)
	@ninja -C $(BUILD) --quiet

run:
	@scripts/install-packages.sh run
	@$(MAKE) --no-print-directory all
	@scripts/run.sh $(BUILD) $(ARGS)

check:
	@scripts/install-packages.sh check
	@scripts/check.py

check-long:
	@scripts/install-packages.sh check
	@scripts/check.py --long

tidy:
	@scripts/check-layers.py
	@scripts/tidy.py

bench: all
	@scripts/run-bench.sh $(BUILD) $(ARGS)

install: all
	@DESTDIR=$(DESTDIR) meson install -C $(BUILD) --no-rebuild --quiet

uninstall:
	@ninja -C $(BUILD) --quiet uninstall

clean:
	rm -rf $(BUILD) build-*

help:
	@echo 'make               build into $(BUILD)/; $(BUILD)/polyfault works from there'
	@echo 'make run           stress-ng and a file that is loaded lazily;'
	@echo '                   ARGS="PROGRAM ARGS" runs that program instead'
	@echo 'make check         every test, fully checked and under sanitizers'
	@echo 'make check-long    the same, longer'
	@echo 'make bench         figures, ours beside the kernel'"'"'s'
	@echo 'make tidy          layers, limits and links, without building'
	@echo 'make install       into PREFIX=$(PREFIX), below DESTDIR='
	@echo 'make uninstall     what install put there'
	@echo 'make clean         remove all build directories'
