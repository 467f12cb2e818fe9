// What only a GPU can do. It stands before `words.cuh` and the kernels, and needs no header:
// `targets/gpu/emulator/prelude.h` defines the same functions for a processor.
//
// A word is 32 bits of a tensor: one float, two halves or four signed bytes, the first lowest.

#define uint unsigned int
#define uchar unsigned char
#define ushort unsigned short
typedef signed char int8_t;  // TVM's name

#define INLINE static __device__ __forceinline__

INLINE unsigned shared_address(const void *pointer) {
  return static_cast<unsigned>(__cvta_generic_to_shared(pointer));
}

// ---- threads of a block, lanes of a warp -------------------------------------------------------

INLINE void barrier() { __syncthreads(); }

// The value of lane (own ^ mask), or of lane `from`. All 32 lanes must call.
INLINE float shuffle_xor(float value, int mask) { return __shfl_xor_sync(~0u, value, mask); }
INLINE float shuffle(float value, int from) { return __shfl_sync(~0u, value, from); }

// ---- arithmetic said outright: nothing here is contracted or reordered --------------------------

INLINE float multiply(float a, float b) { return __fmul_rn(a, b); }
INLINE float multiply_add(float a, float b, float c) { return __fmaf_rn(a, b, c); }
INLINE int nearest(float value) { return __float2int_rn(value); }  // half to even, saturating
INLINE float exponential(float value) { return expf(value); }
INLINE float divide(float a, float b) { return __fdiv_rn(a, b); }

// ---- words -------------------------------------------------------------------------------------

INLINE float word_as_float(int word) { return __int_as_float(word); }
INLINE int float_as_word(float value) { return __float_as_int(value); }

INLINE float half_as_float(ushort half) {
  float value;
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(half));
  return value;
}
// Beyond the largest half, 65504, the value becomes infinite: the gate of `compile` would see it.
INLINE int two_halves(float low, float high) {
  ushort first, second;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(first) : "f"(low));
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(second) : "f"(high));
  return static_cast<int>(first | (static_cast<uint>(second) << 16));
}

// total + the product of two words of four signed bytes.
INLINE int dot_s8(int a, int b, int total) {
#if __CUDA_ARCH__ >= 610
  // CUDA 11's NVRTC does not know __dp4a.
  asm("dp4a.s32.s32 %0, %1, %2, %0;" : "+r"(total) : "r"(a), "r"(b));
  return total;
#else
#pragma unroll
  for (int i = 0; i < 4; ++i)
    total += ((a << (24 - 8 * i)) >> 24) * ((b << (24 - 8 * i)) >> 24);
  return total;
#endif
}

// ---- 16 bytes from global to shared memory -----------------------------------------------------

// Where `inside` is 0: four times the word `fill`. Both addresses are multiples of 16. What was
// copied may be read after `copies_wait`, and by other threads after a barrier too.
INLINE void copy16(void *shared, const void *global, int inside, int fill) {
  if (!inside) {
    *static_cast<int4 *>(shared) = make_int4(fill, fill, fill, fill);
    return;
  }
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address(shared)),
               "l"(global)
               : "memory");
#else
  *static_cast<int4 *>(shared) = *static_cast<const int4 *>(global);
#endif
}

// Ends a group of copies. Groups end in order.
INLINE void copies_commit() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

// Waits until at most `Left` of this thread's groups are under way.
template <int Left>
INLINE void copies_wait() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;" ::"n"(Left) : "memory");
#endif
}

// ---- matrix units: 16 x 16 sums, 32 bytes deep -------------------------------------------------
//
// All 32 lanes of a warp call together. A fragment is eight words of each lane, sums are eight
// numbers of each; which lane has what is the unit's own business. a: 16 rows of the left matrix,
// b: 16 columns of the right one, each 32 bytes in shared memory, so 16 halves or 32 signed bytes.
// pitch: bytes from one row or column to the next, a multiple of 16; `from` is a multiple of 32.

#if __CUDA_ARCH__ >= 800

INLINE int lane() { return threadIdx.x & 31; }

INLINE void load_matrices(int *to, const void *row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(shared_address(row))
               : "memory");
}

// Quarters in mma's order: upper rows, lower rows, first of the left half.
INLINE void load_a(int *to, const char *from, int pitch) {
  load_matrices(to, from + (lane() & 15) * pitch + (lane() >> 4) * 16);
}

// The first eight columns, their left and their right half, then the other eight.
INLINE void load_b(int *to, const char *from, int pitch) {
  load_matrices(to, from + ((lane() & 7) + (lane() >> 4) * 8) * pitch + ((lane() >> 3) & 1) * 16);
}

INLINE void load_a_f16(int *to, const void *from, int pitch) { load_a(to, (const char *)from, pitch); }
INLINE void load_b_f16(int *to, const void *from, int pitch) { load_b(to, (const char *)from, pitch); }
INLINE void load_a_s8(int *to, const void *from, int pitch) { load_a(to, (const char *)from, pitch); }
INLINE void load_b_s8(int *to, const void *from, int pitch) { load_b(to, (const char *)from, pitch); }

INLINE void multiply_f16(float *sums, const int *a, const int *b) {
#pragma unroll
  for (int i = 0; i < 2; ++i)
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(sums[4 * i]), "+f"(sums[4 * i + 1]), "+f"(sums[4 * i + 2]), "+f"(sums[4 * i + 3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[2 * i]), "r"(b[2 * i + 1]));
}

INLINE void multiply_s8(int *sums, const int *a, const int *b) {
#pragma unroll
  for (int i = 0; i < 2; ++i)
    asm volatile(
        "mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+r"(sums[4 * i]), "+r"(sums[4 * i + 1]), "+r"(sums[4 * i + 2]), "+r"(sums[4 * i + 3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[2 * i]), "r"(b[2 * i + 1]));
}

// To shared memory, row by row; pitch: numbers from one row to the next, a multiple of four.
template <typename Number>
INLINE void store_sums(Number *to, const Number *sums, int pitch) {
  Number *own = to + (lane() >> 2) * pitch + (lane() & 3) * 2;
#pragma unroll
  for (int i = 0; i < 8; ++i) own[((i >> 1) & 1) * 8 * pitch + (i >> 2) * 8 + (i & 1)] = sums[i];
}

#elif __CUDA_ARCH__ >= 720  // Xavier: its units have an interface of their own, and bytes go twice

#define WORDS8(x) x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3]), "=r"(x[4]), "=r"(x[5]), "=r"(x[6]), "=r"(x[7]

INLINE void load_a_f16(int *to, const void *from, int pitch) {
  asm volatile(
      "wmma.load.a.sync.aligned.row.m16n16k16.shared.f16 {%0, %1, %2, %3, %4, %5, %6, %7}, [%8], %9;"
      : "=r"(WORDS8(to))
      : "r"(shared_address(from)), "r"(pitch / 2)
      : "memory");
}
INLINE void load_b_f16(int *to, const void *from, int pitch) {
  asm volatile(
      "wmma.load.b.sync.aligned.col.m16n16k16.shared.f16 {%0, %1, %2, %3, %4, %5, %6, %7}, [%8], %9;"
      : "=r"(WORDS8(to))
      : "r"(shared_address(from)), "r"(pitch / 2)
      : "memory");
}
INLINE void load_a_s8(int *to, const void *from, int pitch) {
#pragma unroll
  for (int i = 0; i < 2; ++i)
    asm volatile("wmma.load.a.sync.aligned.row.m16n16k16.shared.s8 {%0, %1}, [%2], %3;"
                 : "=r"(to[2 * i]), "=r"(to[2 * i + 1])
                 : "r"(shared_address(from) + 16 * i), "r"(pitch)
                 : "memory");
}
INLINE void load_b_s8(int *to, const void *from, int pitch) {
#pragma unroll
  for (int i = 0; i < 2; ++i)
    asm volatile("wmma.load.b.sync.aligned.col.m16n16k16.shared.s8 {%0, %1}, [%2], %3;"
                 : "=r"(to[2 * i]), "=r"(to[2 * i + 1])
                 : "r"(shared_address(from) + 16 * i), "r"(pitch)
                 : "memory");
}

INLINE void multiply_f16(float *sums, const int *a, const int *b) {
  asm volatile(
      "wmma.mma.sync.aligned.row.col.m16n16k16.f32.f32 {%0, %1, %2, %3, %4, %5, %6, %7}, "
      "{%8, %9, %10, %11, %12, %13, %14, %15}, {%16, %17, %18, %19, %20, %21, %22, %23}, "
      "{%0, %1, %2, %3, %4, %5, %6, %7};"
      : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3]), "+f"(sums[4]), "+f"(sums[5]),
        "+f"(sums[6]), "+f"(sums[7])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(a[4]), "r"(a[5]), "r"(a[6]), "r"(a[7]),
        "r"(b[0]), "r"(b[1]), "r"(b[2]), "r"(b[3]), "r"(b[4]), "r"(b[5]), "r"(b[6]), "r"(b[7]));
}
INLINE void multiply_s8(int *sums, const int *a, const int *b) {
#pragma unroll
  for (int i = 0; i < 2; ++i)
    asm volatile(
        "wmma.mma.sync.aligned.row.col.m16n16k16.s32.s8.s8.s32 {%0, %1, %2, %3, %4, %5, %6, %7}, "
        "{%8, %9}, {%10, %11}, {%0, %1, %2, %3, %4, %5, %6, %7};"
        : "+r"(sums[0]), "+r"(sums[1]), "+r"(sums[2]), "+r"(sums[3]), "+r"(sums[4]), "+r"(sums[5]),
          "+r"(sums[6]), "+r"(sums[7])
        : "r"(a[2 * i]), "r"(a[2 * i + 1]), "r"(b[2 * i]), "r"(b[2 * i + 1]));
}

INLINE void store_sums(float *to, const float *sums, int pitch) {
  asm volatile(
      "wmma.store.d.sync.aligned.row.m16n16k16.shared.f32 [%0], {%1, %2, %3, %4, %5, %6, %7, %8}, %9;"
      ::"r"(shared_address(to)),
      "f"(sums[0]), "f"(sums[1]), "f"(sums[2]), "f"(sums[3]), "f"(sums[4]), "f"(sums[5]),
      "f"(sums[6]), "f"(sums[7]), "r"(pitch)
      : "memory");
}
INLINE void store_sums(int *to, const int *sums, int pitch) {
  asm volatile(
      "wmma.store.d.sync.aligned.row.m16n16k16.shared.s32 [%0], {%1, %2, %3, %4, %5, %6, %7, %8}, %9;"
      ::"r"(shared_address(to)),
      "r"(sums[0]), "r"(sums[1]), "r"(sums[2]), "r"(sums[3]), "r"(sums[4]), "r"(sums[5]),
      "r"(sums[6]), "r"(sums[7]), "r"(pitch)
      : "memory");
}

#endif

