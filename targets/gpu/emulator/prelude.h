// CUDA's words and the functions of `../prelude.cuh` for an ordinary processor, so that kernels are
// C++ for g++. What needs more than its own thread is in `runtime.cpp` and `matrix_units.cpp`.
#pragma once

#include <math.h>

#define uint unsigned int
#define uchar unsigned char
#define ushort unsigned short

#define INLINE static inline __attribute__((always_inline))

// ---- CUDA's words ------------------------------------------------------------------------------

#define __global__
#define __launch_bounds__(...)  // it comes by way of EMULATED_KERNEL
#define __restrict__ __restrict
#define __align__ alignas
#define alignas(bytes) __attribute__((aligned(bytes)))  // CUDA takes it amid a declaration

// Shared arrays have their kernel's section, which the runtime fills before each block.
#define __shared__ static __attribute__((section(SHARED_SECTION)))

#define VECTORS(type, name)                                                                   \
  struct alignas(2 * sizeof(type)) name##2 { type x, y; };                                    \
  struct name##3 { type x, y, z; };                                                           \
  struct alignas(4 * sizeof(type)) name##4 { type x, y, z, w; };                              \
  INLINE name##2 make_##name##2(type x, type y) { return {x, y}; }                            \
  INLINE name##3 make_##name##3(type x, type y, type z) { return {x, y, z}; }                 \
  INLINE name##4 make_##name##4(type x, type y, type z, type w) { return {x, y, z, w}; }
VECTORS(signed char, char)
VECTORS(uchar, uchar)
VECTORS(short, short)
VECTORS(ushort, ushort)
VECTORS(int, int)
VECTORS(uint, uint)
VECTORS(float, float)
#undef VECTORS

INLINE int min(int a, int b) { return a < b ? a : b; }
INLINE int max(int a, int b) { return a > b ? a : b; }
INLINE float min(float a, float b) { return b != b || a < b ? a : b; }  // of a number and NaN, the
INLINE float max(float a, float b) { return b != b || a > b ? a : b; }  // number, as on a GPU

namespace emulator {

// By axis. `const` holds within a thread, which is all that a kernel sees.
__attribute__((const)) unsigned thread_index(int axis);
__attribute__((const)) unsigned block_index(int axis);
__attribute__((const)) unsigned block_size(int axis);
__attribute__((const)) unsigned grid_size(int axis);

template <unsigned (*of)(int), int axis>
struct Coordinate {
  operator unsigned() const { return of(axis); }
};

template <unsigned (*of)(int)>
struct Coordinates {
  Coordinate<of, 0> x;
  Coordinate<of, 1> y;
  Coordinate<of, 2> z;
};

// The memory of the launch's `extern __shared__` arrays.
void *dynamic_shared();

float exchange(float value, int from);
void copy_later(void *shared, const void *global);
void store_words(void *shared, int word);
void commit_copies();
void wait_for_copies(int left);

struct Kernel;
void add_kernel(Kernel *kernel);

using Entry = void (*)(uchar *, uchar *, float *, float *, float *);

// What is known of a kernel.
struct Kernel {
  const char *name;
  Entry entry;
  unsigned most_threads;
  char *shared_begin, *shared_end;
  Kernel *next = nullptr;

  Kernel(const char *name, Entry entry, unsigned most_threads, char *begin, char *end)
      : name(name), entry(entry), most_threads(most_threads), shared_begin(begin), shared_end(end) {
    add_kernel(this);
  }
};

}  // namespace emulator

// Stands behind each kernel, at the end of its file. The linker names the ends of sections.
#define EMULATED_KERNEL(name, most_threads)                                                    \
  extern "C" __attribute__((weak, visibility("hidden"))) char __start_shared_##name[];         \
  extern "C" __attribute__((weak, visibility("hidden"))) char __stop_shared_##name[];          \
  static emulator::Kernel kernel_##name(#name, name, most_threads, __start_shared_##name,      \
                                        __stop_shared_##name);

static constexpr emulator::Coordinates<emulator::thread_index> threadIdx{};
static constexpr emulator::Coordinates<emulator::block_index> blockIdx{};
static constexpr emulator::Coordinates<emulator::block_size> blockDim{};
static constexpr emulator::Coordinates<emulator::grid_size> gridDim{};

// ---- threads of a block, lanes of a warp -------------------------------------------------------

void barrier();

INLINE float shuffle(float value, int from) { return emulator::exchange(value, from & 31); }
INLINE float shuffle_xor(float value, int mask) {
  return shuffle(value, (static_cast<int>(threadIdx.x) & 31) ^ mask);
}

// ---- arithmetic; compiled without contraction --------------------------------------------------

INLINE float multiply(float a, float b) { return a * b; }
INLINE float multiply_add(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
INLINE int nearest(float value) {
  if (value != value) return 0;
  if (value >= 0x1p31f) return __INT_MAX__;
  if (value < -0x1p31f) return -__INT_MAX__ - 1;
  return static_cast<int>(__builtin_rintf(value));
}
INLINE float exponential(float value) { return expf(value); }
INLINE float divide(float a, float b) { return a / b; }

// ---- words -------------------------------------------------------------------------------------

template <typename To, typename From>
INLINE To same_bits(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  __builtin_memcpy(&to, &from, sizeof(to));
  return to;
}

#ifdef __aarch64__
using Half = __fp16;
#else
using Half = _Float16;
#endif

INLINE float word_as_float(int word) { return same_bits<float>(word); }
INLINE int float_as_word(float value) { return same_bits<int>(value); }
INLINE float half_as_float(ushort half) { return same_bits<Half>(half); }
INLINE int two_halves(float low, float high) {
  const uint first = same_bits<ushort>(static_cast<Half>(low));
  const uint second = same_bits<ushort>(static_cast<Half>(high));
  return static_cast<int>(first | (second << 16));
}
INLINE int dot_s8(int a, int b, int total) {
  for (int i = 0; i < 4; ++i)
    total += static_cast<signed char>(a >> (8 * i)) * static_cast<signed char>(b >> (8 * i));
  return total;
}

// ---- 16 bytes from global to shared memory -----------------------------------------------------

INLINE void copy16(void *shared, const void *global, int inside, int fill) {
  if (inside)
    emulator::copy_later(shared, global);
  else
    *static_cast<int4 *>(shared) = make_int4(fill, fill, fill, fill);
}
INLINE void copies_commit() { emulator::commit_copies(); }
template <int Left>
INLINE void copies_wait() {
  emulator::wait_for_copies(Left);
}

// ---- matrix units ------------------------------------------------------------------------------

void load_a_f16(int *to, const void *from, int pitch);
void load_b_f16(int *to, const void *from, int pitch);
void load_a_s8(int *to, const void *from, int pitch);
void load_b_s8(int *to, const void *from, int pitch);
void multiply_f16(float *sums, const int *a, const int *b);
void multiply_s8(int *sums, const int *a, const int *b);
void store_sums(float *to, const float *sums, int pitch);
void store_sums(int *to, const int *sums, int pitch);
