# performer - `make` builds ./performer; `make help` lists the rest.
#
# CC=clang works, too; PREFIX and DESTDIR as usual. Objects go to build/; with another BUILD=dir the
# program goes there as well: dir/performer. V=1 shows the commands.

ifeq ($(origin CC),default)
CC       := gcc
endif
BUILD    ?= build
CFLAGS   ?= -O3 -g
WERROR   ?= -Werror
PREFIX   ?= /usr/local
VERSION  := 0.1.0
, := ,
WARN     := -Wall -Wextra -Wpedantic -Wshadow -Wconversion $(WERROR)

# One include path per folder. Headers of libraries come in by -isystem, so that we see only our own
# warnings.
PKGS     := openblas jansson libpcre2-8 libutf8proc libzip zlib libedit
PKG_INC  := $(patsubst -I%,-isystem %,$(shell pkg-config --cflags-only-I $(PKGS) 2>/dev/null))
PKG_LIBS := $(shell pkg-config --libs $(PKGS) 2>/dev/null)
# Rooms are folders of folders. Basenames are unique, so an #include names a file without a path.
headers   = $(foreach folder,$(1),$(wildcard $(folder)/*.h $(folder)/*/*.h))
rooms     = $(patsubst %/,%,$(sort $(dir $(headers))))
iquote    = $(addprefix -iquote ,$(call rooms,$(1)))
sources   = $(sort $(foreach folder,$(1),$(wildcard $(folder)/*.c $(folder)/*/*.c)))
CPPFLAGS += $(call iquote,engine models tokenizer) $(PKG_INC) -isystem /usr/include/stb
ALL_CFLAGS = -std=c11 $(CFLAGS) $(WARN) -fopenmp -fPIC -fno-semantic-interposition -MMD -MP
LDLIBS   += $(PKG_LIBS) -lm

LIB_SRC  := $(call sources,engine models tokenizer)
FIG_SRC  := $(wildcard tools/figures/*.c)
TOOL_SRC := $(filter-out $(FIG_SRC),$(call sources,tools))
TEST_SRC := $(sort $(wildcard tests/test_*.c))
LIB_OBJ  := $(LIB_SRC:%.c=$(BUILD)/%.o)
EMBEDDED := $(patsubst %,$(BUILD)/%.o,$(wildcard tools/*/*.css tools/*/*.js))
TOOL_OBJ := $(TOOL_SRC:%.c=$(BUILD)/%.o) $(EMBEDDED)
FIG_OBJ  := $(FIG_SRC:%.c=$(BUILD)/%.o) $(filter-out %/main.o,$(TOOL_OBJ))
FIGURES  := $(BUILD)/figures
TESTS    := $(TEST_SRC:tests/%.c=$(BUILD)/tests/%)
FUZZ_SRC := $(sort $(wildcard tests/fuzz/fuzz_*.c))
FUZZERS  := $(FUZZ_SRC:%.c=$(BUILD)/%)
TESTS_SH := $(sort $(wildcard tests/test_*.sh))
LIB      := $(BUILD)/libperformer.a
PROGRAM  := $(if $(filter build,$(BUILD)),performer,$(BUILD)/performer)

# Runs a command: shows only its name and its product, or with V=1 the command itself.
RUN = $(if $(V),,@echo '  $(1)  $@'; )$(2)

all: $(PROGRAM) ; @:

ifeq ($(PKG_LIBS)$(filter-out all,$(MAKECMDGOALS)),)
$(info libraries or pkg-config are missing here; `make deps` installs them)
endif

$(PROGRAM): $(TOOL_OBJ) $(LIB)
	$(call RUN,LINK,$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $(TOOL_OBJ) $(LIB) $(LDLIBS))

# Measures and draws what docs/figures shows.
$(FIGURES): $(FIG_OBJ) $(LIB)
	$(call RUN,LINK,$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $(FIG_OBJ) $(LIB) $(LDLIBS))

$(LIB): $(LIB_OBJ)
	@rm -f $@
	$(call RUN,AR,$(AR) rcs $@ $^)

# The shared library shows what performer.h declares, and nothing else.
SO_NAME := libperformer.so.0
SHARED  := $(BUILD)/$(SO_NAME).1.0
API     := scripts/api $(foreach room,$(call rooms,engine models tokenizer),$(wildcard $(room)/*.h))
MADE    := $(BUILD)/performer.h $(BUILD)/performer.pc $(BUILD)/performer.1 $(BUILD)/libperformer.3 \
    $(BUILD)/performer.bash $(BUILD)/performer.zsh

$(BUILD)/performer.map: $(API) | $(LIB)
	$(call RUN,API,CC="$(CC)" scripts/api symbols >$@)

$(SHARED): $(BUILD)/performer.map $(LIB_OBJ)
	$(call RUN,LINK,$(CC) $(ALL_CFLAGS) $(LDFLAGS) -shared -Wl$(,)-soname$(,)$(SO_NAME) \
	    -Wl$(,)-Bsymbolic-functions -Wl$(,)--version-script=$< -o $@ $(LIB_OBJ) $(LDLIBS))

$(BUILD)/performer.h: $(API) | $(LIB)
	$(call RUN,API,scripts/api header >$@)

$(BUILD)/libperformer.3: $(API) docs/man/libperformer.3 | $(LIB)
	$(call RUN,MAN,CC="$(CC)" scripts/api man >$@)

$(BUILD)/performer.1: $(PROGRAM) scripts/manual
	$(call RUN,MAN,scripts/manual ./$(PROGRAM) >$@)

$(BUILD)/performer.bash $(BUILD)/performer.zsh: $(PROGRAM)
	$(call RUN,MADE,./$(PROGRAM) --completion $(patsubst .%,%,$(suffix $@)) >$@)

$(BUILD)/performer.pc: FORCE | $(LIB)
	$(call RUN,PC,printf '%s\n' 'prefix=$(PREFIX)' 'Name: performer' \
	    'Description: transformer inference whose attention is a choice' 'Version: $(VERSION)' \
	    'Cflags: -I$${prefix}/include' \
	    'Libs: -L$${prefix}/lib -lperformer' 'Libs.private: $(PKG_LIBS) -fopenmp -lm' >$@)

# Instruction sets live in their own files and are chosen at run time: only these get their flags.
# Their loops are unrolled so far that a compiler takes minutes for all checks of the sanitizers:
# these builds leave some out by UNCHECKED. The plain kernels, which the tests compare them with,
# keep all.
MACHINE := $(firstword $(subst -, ,$(shell $(CC) -dumpmachine 2>/dev/null)))
ifeq ($(MACHINE),x86_64)
$(BUILD)/engine/%_avx2.o: ISA := -mavx2 -mfma -mf16c $(UNCHECKED)
AVX512 := -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 -mfma -mf16c $(UNCHECKED)
$(BUILD)/engine/%_avx512.o: ISA := $(AVX512)
$(BUILD)/engine/%_avx512vnni.o: ISA := $(AVX512) -mavx512vnni
else ifeq ($(MACHINE),aarch64)
$(BUILD)/engine/%_neondot.o: ISA := -march=armv8.2-a+dotprod
endif

# What objects are made with: they are made again when it changes.
MADE_WITH = $(CC) $(CPPFLAGS) $(ALL_CFLAGS)
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(MADE_WITH)' | cmp -s - $@ || echo '$(MADE_WITH)' >$@

$(BUILD)/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call RUN,CC,$(CC) $(CPPFLAGS) $(if $(findstring tools/,$@),$(call iquote,tools)) $(ALL_CFLAGS) \
	    $(ISA) -c $< -o $@)

# Files as string constants: tools/report/report.css becomes `const char report_css[]`. ASCII only.
$(EMBEDDED): $(BUILD)/%.o: % $(BUILD)/flags
	@mkdir -p $(@D)
	$(call RUN,EMBED,{ echo 'const char $(subst .,_,$(notdir $<))[] = {'; \
	    od -An -v -td1 $< | sed 's/[0-9][0-9]*/&$(,)/g'; echo '0};'; } | \
	    $(CC) $(filter-out -MMD -MP,$(ALL_CFLAGS)) -x c -c - -o $@)

TEST_INC = -iquote tests -iquote tests/fuzz $(call iquote,tools)
$(BUILD)/tests/%: tests/%.c $(LIB)
	@mkdir -p $(@D)
	$(call RUN,TEST,$(CC) $(CPPFLAGS) $(TEST_INC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $< \
	    $(filter %.o,$^) $(LIB) $(LDLIBS) -lcmocka)
# A test of parts of the program, which the library does not have.
$(BUILD)/tests/test_recall: $(patsubst %,$(BUILD)/tools/%.o,measure/divergence \
    measure/recall_texts measure/recall_story measure/recall_answer cli/terminal cli/options \
    cli/flags cli/aliases)

# Training once more with numbers in double, for which central differences are exact enough. The
# linker then takes nothing of engine/train from the library.
TRAIN_DOUBLE := $(patsubst %.c,$(BUILD)/double/%.o,$(wildcard engine/train/*.c))
$(BUILD)/double/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call RUN,CC,$(CC) -DPF_REAL_DOUBLE $(CPPFLAGS) $(ALL_CFLAGS) -c $< -o $@)
$(BUILD)/tests/test_train_double $(BUILD)/tests/test_distill_double: $(TRAIN_DOUBLE)

# Only with clang, and CFLAGS as `make fuzz` sets them.
$(BUILD)/tests/fuzz/%: tests/fuzz/%.c $(LIB)
	@mkdir -p $(@D)
	$(call RUN,FUZZ,$(CC) $(CPPFLAGS) -iquote tests/fuzz $(ALL_CFLAGS) $(LDFLAGS) \
	    $(if $(findstring fuzz_,$@),-fsanitize=fuzzer) -o $@ $< $(LIB) $(LDLIBS))

fuzzers: $(FUZZERS) $(BUILD)/tests/fuzz/make_seeds

tests: $(TESTS)

check: $(PROGRAM) $(FIGURES) $(TESTS)
	@PERFORMER=./$(PROGRAM) FIGURES=$(FIGURES) tests/run $(TESTS) $(TESTS_SH)

# The targets below may have to install something first. The variables above ask pkg-config while
# make reads this file, so a second make does the work; it uses all cores unless told otherwise.
AGAIN = $(MAKE) --no-print-directory $(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell nproc))

deps:
	@CC="$(CC)" scripts/deps

demo:
	@CC="$(CC)" scripts/deps build
	+@$(AGAIN) all
	@PERFORMER=./$(PROGRAM) scripts/demo

test:
	@CC="$(CC)" scripts/deps build test
	+@$(AGAIN) check

lint:
	@CC="$(CC)" scripts/deps build test lint
	+@$(AGAIN) all $(BUILD)/figures
	+@BUILD=$(BUILD) COMPILE_FLAGS="$(CPPFLAGS) $(TEST_INC) -std=c11 -fopenmp" scripts/lint

format:
	clang-format -i $(foreach d,engine models tokenizer tools tests,$(wildcard $d/*.[ch] $d/*/*.[ch]))

# Every test under AddressSanitizer, UndefinedBehaviorSanitizer and LeakSanitizer.
asan:
	@CC="$(CC)" scripts/deps build test
	+@ASAN_OPTIONS=allocator_may_return_null=1 PF_TEST_SECONDS=1200 \
	    $(AGAIN) check BUILD=build/asan WERROR= UNCHECKED=-fno-sanitize=undefined \
	    CFLAGS="-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined \
	    -fno-sanitize-recover=undefined"

# What threads share, under ThreadSanitizer. Needs clang, whose OpenMP reports its synchronisation;
# with gcc's every parallel region would look like a race.
TSAN_TESTS := threads map session snapshot attention matmul out_of_memory calibration
tsan:
	@CC=clang scripts/deps build test lint
	+@PF_TEST_SECONDS=1200 \
	    TSAN_OPTIONS="ignore_noninstrumented_modules=1 suppressions=$(CURDIR)/scripts/tsan.supp" \
	    $(AGAIN) tsan-check BUILD=build/tsan CC=clang WERROR= \
	    CFLAGS="-O1 -g -fno-omit-frame-pointer -fsanitize=thread"

tsan-check: $(TSAN_TESTS:%=$(BUILD)/tests/test_%) $(BUILD)/examples/many_sessions
	@tests/run $(TSAN_TESTS:%=$(BUILD)/tests/test_%)
	@$(BUILD)/examples/many_sessions models/weights/tales-favor.gguf

$(BUILD)/examples/%: examples/%.c $(BUILD)/performer.h $(LIB)
	@mkdir -p $(@D)
	$(call RUN,CC,$(CC) -isystem $(BUILD) $(ALL_CFLAGS) -pthread -o $@ $< $(LIB) $(LDLIBS))

# The kernels for aarch64 on any Debian machine: cross-compiles engine/ and runs the tests of the
# kernels in an emulator, once as a processor without SDOT and once as one with it.
NEON_TESTS := kernels matvec
neon:
	@scripts/deps build neon
	+@$(AGAIN) neon-check BUILD=build/neon CC=aarch64-linux-gnu-gcc AR=aarch64-linux-gnu-ar \
	    LIB_SRC="$(call sources,engine)" PKG_LIBS=

neon-check: $(NEON_TESTS:%=$(BUILD)/tests/test_%)
	@for cpu in cortex-a53 max; do for test in $^; do \
	    echo "$$test as $$cpu"; qemu-aarch64 -cpu $$cpu $$test || exit 1; done; done

# One run from file to text, and one that goes on from its saved state, with every byte watched.
VALGRIND := valgrind --quiet --error-exitcode=9 --leak-check=full --show-leak-kinds=definite \
    --errors-for-leak-kinds=definite
valgrind: all
	@scripts/deps valgrind
	OMP_NUM_THREADS=1 $(VALGRIND) ./$(PROGRAM) generate models/weights/tales-favor.gguf --threads 2 \
	    -p "Once upon a time" -n 8 -s 1 --save-state build/valgrind.state
	OMP_NUM_THREADS=1 $(VALGRIND) ./$(PROGRAM) generate models/weights/tales-favor.gguf --threads 2 \
	    -n 8 --load-state build/valgrind.state

# Every reader of foreign bytes under libFuzzer, SECONDS each; TARGETS="gguf pth" runs only these.
SECONDS ?= 20
fuzz:
	@CC=clang scripts/deps build lint
	+@$(AGAIN) fuzzers BUILD=build/fuzz CC=clang WERROR= \
	    UNCHECKED=-fno-sanitize=address,undefined CFLAGS="-O1 -g -fno-omit-frame-pointer \
	    -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined"
	@scripts/fuzz build/fuzz $(SECONDS) $(TARGETS)

# Runs every command that README.md and docs/ show, compares its output, and redraws the figures.
docs-check: $(PROGRAM) $(FIGURES)
	@PERFORMER=./$(PROGRAM) FIGURES=$(FIGURES) scripts/docs-check

# Draws docs/figures; scripts/measure-figures measures what takes minutes.
figures: $(FIGURES)
	@FIGURES=$(FIGURES) scripts/figures

# The tables of docs/calibration.md, in minutes: not part of CI.
evidence: $(PROGRAM)
	scripts/evidence

smollm2 gemma3 qwen-coder:
	@scripts/fetch-model $@

# Beside llama.cpp, which it builds, in minutes: not part of CI. FILES="a.gguf b.gguf" runs these.
peers: $(PROGRAM)
	@PERFORMER=./$(PROGRAM) scripts/peers $(FILES)

INSTALLED_WEIGHTS := $(foreach end,gguf txt md,$(wildcard models/weights/*.$(end)))
install: all $(SHARED) $(MADE)
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/performer
	install -d $(DESTDIR)$(PREFIX)/include $(DESTDIR)$(PREFIX)/lib/pkgconfig \
	    $(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/share/man/man3 \
	    $(DESTDIR)$(PREFIX)/share/doc/performer/examples \
	    $(DESTDIR)$(PREFIX)/share/bash-completion/completions \
	    $(DESTDIR)$(PREFIX)/share/zsh/site-functions
	install -m 755 $(PROGRAM) $(DESTDIR)$(PREFIX)/bin/performer
	install -m 644 $(LIB) $(DESTDIR)$(PREFIX)/lib
	install -m 755 $(SHARED) $(DESTDIR)$(PREFIX)/lib
	ln -sf $(notdir $(SHARED)) $(DESTDIR)$(PREFIX)/lib/$(SO_NAME)
	ln -sf $(SO_NAME) $(DESTDIR)$(PREFIX)/lib/libperformer.so
	install -m 644 $(BUILD)/performer.h $(DESTDIR)$(PREFIX)/include
	install -m 644 $(BUILD)/performer.pc $(DESTDIR)$(PREFIX)/lib/pkgconfig
	install -m 644 $(BUILD)/performer.1 $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 644 $(BUILD)/libperformer.3 $(DESTDIR)$(PREFIX)/share/man/man3
	install -m 644 $(BUILD)/performer.bash \
	    $(DESTDIR)$(PREFIX)/share/bash-completion/completions/performer
	install -m 644 $(BUILD)/performer.zsh $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_performer
	install -m 644 $(wildcard examples/*.c) $(DESTDIR)$(PREFIX)/share/doc/performer/examples
	install -m 644 $(INSTALLED_WEIGHTS) $(DESTDIR)$(PREFIX)/share/performer

# Removes what install puts there, and the folders that are then empty and only performer's.
uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/performer \
	    $(addprefix $(DESTDIR)$(PREFIX)/lib/,$(notdir $(LIB) $(SHARED)) $(SO_NAME) libperformer.so \
	    pkgconfig/performer.pc) \
	    $(DESTDIR)$(PREFIX)/include/performer.h \
	    $(DESTDIR)$(PREFIX)/share/man/man1/performer.1 \
	    $(DESTDIR)$(PREFIX)/share/man/man3/libperformer.3 \
	    $(DESTDIR)$(PREFIX)/share/bash-completion/completions/performer \
	    $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_performer \
	    $(addprefix $(DESTDIR)$(PREFIX)/share/doc/performer/,$(wildcard examples/*.c)) \
	    $(addprefix $(DESTDIR)$(PREFIX)/share/performer/,$(notdir $(INSTALLED_WEIGHTS)))
	for folder in doc/performer/examples doc/performer performer; do \
	    folder=$(DESTDIR)$(PREFIX)/share/$$folder; \
	    if [ -d "$$folder" ]; then rmdir --ignore-fail-on-non-empty "$$folder"; fi; done

clean:
	rm -rf build $(BUILD) performer

help:
	@echo 'make            build ./performer'
	@echo 'make demo       install what is missing, build, and print two short stories'
	@echo 'make test       install what is missing, build, and run every test'
	@echo 'make check      build and run every test; install nothing'
	@echo 'make asan       the tests under the address, leak and undefined-behaviour sanitizers'
	@echo 'make tsan       what threads share, under ThreadSanitizer'
	@echo 'make valgrind   one whole run under valgrind'
	@echo 'make neon       the kernels for aarch64, cross-compiled and tested in an emulator'
	@echo 'make fuzz       libFuzzer on every reader of foreign bytes: SECONDS=20 for each of TARGETS'
	@echo 'make lint       floors, references, sizes, clang-format, shellcheck, cppcheck, clang-tidy'
	@echo 'make docs-check run the commands that README.md and docs/ show'
	@echo 'make figures    measure and draw what docs/figures shows'
	@echo 'make format     let clang-format rewrite the sources'
	@echo 'make smollm2    fetch a real language model (94 MiB) to models/downloads/'
	@echo 'make gemma3     the same: Gemma 3 270M (241 MiB; Gemma Terms of Use)'
	@echo 'make qwen-coder the same: Qwen2.5-Coder-0.5B-Instruct (469 MiB)'
	@echo 'make peers      speed and memory beside llama.cpp, which it builds: FILES="a.gguf ..."'
	@echo 'make deps       install everything that any of these needs (Debian)'
	@echo 'make install    program, library, header, manuals to $$PREFIX (/usr/local) below $$DESTDIR'
	@echo 'make uninstall  remove what make install put there, with the same PREFIX and DESTDIR'
	@echo 'make clean      remove what was built'

.PHONY: all tests check deps demo test lint format asan docs-check evidence tsan tsan-check neon \
    neon-check valgrind fuzz fuzzers figures smollm2 gemma3 qwen-coder peers install uninstall \
    clean help FORCE
-include $(LIB_OBJ:.o=.d) $(TRAIN_DOUBLE:.o=.d) $(TOOL_SRC:%.c=$(BUILD)/%.d) \
    $(FIG_SRC:%.c=$(BUILD)/%.d) $(TESTS:=.d) $(FUZZERS:=.d)
