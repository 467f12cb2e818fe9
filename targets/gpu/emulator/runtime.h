// What the parts of the emulator share.
#pragma once

#include "prelude.h"

namespace emulator {

constexpr int WARP = 32;

// One lane's part in what its warp does together.
struct Call {
  void (*answer)(Call *const *lanes);  // all 32, in order of the lanes
  const void *from, *other;
  void *to;
  int number;
  float value;
};

// Stops the thread until all lanes of its warp have made the same call, and it is answered.
void meet(Call &call);

// Ends the launch with an error that begins with the kernel and where it was.
[[noreturn, gnu::format(printf, 1, 2)]] void fail(const char *format, ...);

// Fails unless the bytes lie in the block's shared memory, at a multiple of `alignment`.
void check_shared(const char *function, const void *begin, int bytes, int alignment);

}  // namespace emulator
