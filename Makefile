# performer - `make` builds ./performer; `make demo` and `make test` install what is missing first.
#
# CC=clang works too. PREFIX and DESTDIR as usual. Objects go to build/ (BUILD=dir for another).

CC      ?= gcc
BUILD   ?= build
CFLAGS  ?= -O3 -g
WERROR  ?= -Werror
WARN    := -Wall -Wextra -Wpedantic -Wshadow -Wconversion $(WERROR)

# One include path per folder; headers of others come in by -isystem, so that our warnings stay ours.
PKGS     := openblas jansson libpcre2-8 libutf8proc libzip libedit
PKG_INC  := $(patsubst -I%,-isystem %,$(shell pkg-config --cflags-only-I $(PKGS) 2>/dev/null))
PKG_LIBS := $(shell pkg-config --libs $(PKGS) 2>/dev/null)
CPPFLAGS += -iquote engine -iquote models -iquote tokenizer $(PKG_INC) -isystem /usr/include/stb
ALL_CFLAGS = -std=c11 $(CFLAGS) $(WARN) -fopenmp -fvisibility=hidden -fPIC -MMD -MP
LDLIBS   += $(PKG_LIBS) -lm

LIB_SRC  := $(sort $(wildcard engine/*.c models/*.c tokenizer/*.c))
TOOL_SRC := $(sort $(wildcard tools/*.c))
TEST_SRC := $(sort $(wildcard tests/test_*.c))
SHELL_TESTS := $(sort $(wildcard tests/test_*.sh))
LIB_OBJ  := $(LIB_SRC:%.c=$(BUILD)/%.o)
TOOL_OBJ := $(TOOL_SRC:%.c=$(BUILD)/%.o)
TESTS    := $(TEST_SRC:tests/%.c=$(BUILD)/tests/%)
LIB      := $(BUILD)/libperformer.a

all: performer

performer: $(TOOL_OBJ) $(LIB)
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $(TOOL_OBJ) $(LIB) $(LDLIBS)

$(LIB): $(LIB_OBJ)
	@rm -f $@
	$(AR) rcs $@ $^

# Instruction sets live in their own files and are chosen at run time: only these get their flags.
$(BUILD)/engine/kernels_avx2.o: ISA := -mavx2 -mfma -mf16c
$(BUILD)/engine/kernels_avx512.o: ISA := -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 -mfma -mf16c
$(BUILD)/engine/kernels_avx512vnni.o: ISA := -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni -mavx2 -mfma -mf16c

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(ALL_CFLAGS) $(ISA) -c $< -o $@

$(BUILD)/tests/%: tests/%.c $(LIB)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -iquote tests -iquote tools $(ALL_CFLAGS) $(LDFLAGS) -o $@ $< $(LIB) $(LDLIBS) -lcmocka

check: performer $(TESTS)
	tests/run $(TESTS) $(SHELL_TESTS)

clean:
	rm -rf $(BUILD) performer

.PHONY: all check clean
-include $(LIB_OBJ:.o=.d) $(TOOL_OBJ:.o=.d) $(TESTS:=.d)
