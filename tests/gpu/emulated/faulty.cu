// Kernels with one fault each. Blocks of 64 threads.

#define ARRAYS \
  uchar *__restrict__ constants, uchar *__restrict__ workspace, float *__restrict__ image, \
      float *__restrict__ boxes, float *__restrict__ scores
#define THREAD ((int)threadIdx.x)

// ---- wrong numbers: each kernel ought to copy 64 numbers, reversed ------------------------------

extern "C" __global__ void __launch_bounds__(64) no_barrier(ARRAYS) {
  __shared__ alignas(64) float line[64];
  line[THREAD] = image[THREAD];
  boxes[THREAD] = line[(63 - THREAD)];
}

// The buffer is used again while others read it.
extern "C" __global__ void __launch_bounds__(64) no_second_barrier(ARRAYS) {
  __shared__ alignas(64) float line[32];
  for (int i = 0; i < 2; ++i) {
    if ((THREAD >> 5) == i) line[(THREAD & 31)] = image[THREAD];
    barrier();
    if ((THREAD >> 5) != i) boxes[THREAD] = line[(31 - (THREAD & 31))];
  }
}

extern "C" __global__ void __launch_bounds__(64) no_wait(ARRAYS) {
  __shared__ alignas(64) float line[64];
  if (THREAD < 16) copy16((&(line[(THREAD * 4)])), (&(image[(THREAD * 4)])), 1, 0);
  copies_commit();
  barrier();
  boxes[THREAD] = line[(63 - THREAD)];
}

extern "C" __global__ void __launch_bounds__(64) short_wait(ARRAYS) {
  __shared__ alignas(64) float line[64];
  for (int i = 0; i < 2; ++i) {
    if (THREAD < 8)
      copy16((&(line[((i * 32) + (THREAD * 4))])), (&(image[((i * 32) + (THREAD * 4))])), 1, 0);
    copies_commit();
  }
  copies_wait<1>();
  barrier();
  boxes[THREAD] = line[(63 - THREAD)];
}

extern "C" __global__ void __launch_bounds__(64) no_commit(ARRAYS) {
  __shared__ alignas(64) float line[64];
  if (THREAD < 16) copy16((&(line[(THREAD * 4)])), (&(image[(THREAD * 4)])), 1, 0);
  copies_wait<0>();
  barrier();
  boxes[THREAD] = line[(63 - THREAD)];
}

// Copies arrive for the thread that made them; the others need a barrier after its wait.
extern "C" __global__ void __launch_bounds__(64) wait_after_barrier(ARRAYS) {
  __shared__ alignas(64) float line[64];
  if ((THREAD & 3) == 0) copy16((&(line[THREAD])), (&(image[THREAD])), 1, 0);
  copies_commit();
  barrier();
  copies_wait<0>();
  boxes[THREAD] = line[(63 - THREAD)];
}

extern "C" __global__ void __launch_bounds__(64) not_initialised(ARRAYS) {
  alignas(64) float sums[4];
  for (int i = 0; i < 4; ++i) sums[(THREAD + i) & 3] += image[(63 - THREAD)];
  boxes[THREAD] = sums[1];
}

// ---- what cannot go on --------------------------------------------------------------------------

extern "C" __global__ void __launch_bounds__(64) divergent_barrier(ARRAYS) {
  if (THREAD < 32) barrier();
}

extern "C" __global__ void __launch_bounds__(64) early_end(ARRAYS) {
  if (THREAD == 5) return;
  for (int i = 0; i < 3; ++i) barrier();
}

extern "C" __global__ void __launch_bounds__(64) half_a_warp(ARRAYS) {
  if (THREAD < 48) boxes[THREAD] = shuffle_xor(image[THREAD], 1);
}

extern "C" __global__ void __launch_bounds__(64) two_operations(ARRAYS) {
  __shared__ alignas(64) int tile[128];
  alignas(64) int fragment[8];
  if (THREAD & 1) {
    boxes[THREAD] = shuffle_xor(image[THREAD], 1);
  } else {
    load_a_s8((&(fragment[0])), (&(tile[0])), 32);
  }
}

extern "C" __global__ void __launch_bounds__(64) barrier_or_shuffle(ARRAYS) {
  if (THREAD & 1) barrier(); else boxes[THREAD] = shuffle_xor(image[THREAD], 1);
}

extern "C" __global__ void __launch_bounds__(64) misaligned(ARRAYS) {
  *(float4 *)(boxes + 0) = *(float4 *)(image + THREAD);
}

extern "C" __global__ void __launch_bounds__(64) local_index(ARRAYS) {
  alignas(64) float sums[8];
  for (int i = 0; i < 8; ++i) sums[i] = image[i];
  boxes[0] = sums[(THREAD & 15)];
}

extern "C" __global__ void __launch_bounds__(64) shared_index(ARRAYS) {
  __shared__ alignas(64) float line[64];
  line[(THREAD + 1)] = image[THREAD];
}

extern "C" __global__ void __launch_bounds__(64) shared_vector(ARRAYS) {
  __shared__ alignas(64) int line[64];
  *(int4 *)(line + (THREAD * 4)) = *(int4 *)(((int *)constants) + 0);
}

extern "C" __global__ void __launch_bounds__(64) behind_dynamic(ARRAYS) {
  extern __shared__ __align__(64) int line[];
  line[(THREAD + 1)] = THREAD;
}

#define COPY(to, from) \
  __shared__ alignas(64) int line[64]; \
  line[THREAD] = 0; \
  copy16((to), (from), 1, 0);

extern "C" __global__ void __launch_bounds__(64) copy_to_odd(ARRAYS) {
  COPY(line + 1, constants)
}
extern "C" __global__ void __launch_bounds__(64) copy_from_odd(ARRAYS) {
  COPY(line, constants + 8)
}
extern "C" __global__ void __launch_bounds__(64) copy_to_global(ARRAYS) {
  COPY(workspace, constants)
}
extern "C" __global__ void __launch_bounds__(64) copy_behind(ARRAYS) {
  COPY(line + 64, constants)
}

#define LOAD(from, pitch) \
  __shared__ alignas(64) int tile[128]; \
  alignas(64) int fragment[8]; \
  tile[THREAD] = 0; \
  load_b_f16((&(fragment[0])), (from), (pitch));

extern "C" __global__ void __launch_bounds__(64) load_from_global(ARRAYS) {
  LOAD(constants, 32)
}
extern "C" __global__ void __launch_bounds__(64) load_behind(ARRAYS) {
  LOAD(tile, 48)
}
extern "C" __global__ void __launch_bounds__(64) load_from_odd(ARRAYS) {
  LOAD(tile + 4, 16)
}
extern "C" __global__ void __launch_bounds__(64) load_odd_pitch(ARRAYS) {
  LOAD(tile, 24)
}
extern "C" __global__ void __launch_bounds__(64) load_apart(ARRAYS) {
  LOAD(tile + THREAD * 8, 16)
}

extern "C" __global__ void __launch_bounds__(64) store_to_global(ARRAYS) {
  alignas(64) float sums[8];
  for (int i = 0; i < 8; ++i) sums[i] = image[i];
  store_sums((&(scores[0])), (&(sums[0])), 16);
}

extern "C" __global__ void __launch_bounds__(64) beside_scores(ARRAYS) {
  scores[(THREAD - 1)] = 0x0p+0f;
}

extern "C" __global__ void __launch_bounds__(64) into_constants(ARRAYS) {
  constants[THREAD] = 1;
}
