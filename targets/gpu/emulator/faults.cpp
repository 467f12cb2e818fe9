// What g++'s -fsanitize calls before an access that is out of an array or misaligned. Its own library
// would end the process; here the launch ends.

#include "runtime.h"

namespace {

struct Place {
  const char *file;
  uint line, column;
};

struct Type {
  ushort kind, info;
  char name[];
};

struct Access {
  Place place;
  const Type *type;
  uchar log_alignment, kind;
};

struct Indexing {
  Place place;
  const Type *array, *index;
};

}  // namespace

extern "C" {

void __ubsan_handle_type_mismatch_v1(const Access *access, unsigned long address) {
  const unsigned long alignment = 1ul << access->log_alignment;
  if (address % alignment)
    emulator::fail("its line %u: access to %s at an address that is no multiple of %lu",
                   access->place.line, access->type->name, alignment);
  emulator::fail("its line %u: access to %s out of its array", access->place.line, access->type->name);
}

void __ubsan_handle_out_of_bounds(const Indexing *indexing, unsigned long index) {
  emulator::fail("its line %u: index %ld of %s", indexing->place.line, static_cast<long>(index),
                 indexing->array->name);
}
}
