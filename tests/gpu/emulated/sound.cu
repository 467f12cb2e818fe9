// Kernels that any GPU runs, whatever the order of its threads. They stand behind words.cuh.

#define ARRAYS \
  uchar *__restrict__ constants, uchar *__restrict__ workspace, float *__restrict__ image, \
      float *__restrict__ boxes, float *__restrict__ scores

// Blocks of 256: each reversed.
extern "C" __global__ void __launch_bounds__(256) reversed(ARRAYS) {
  __shared__ alignas(64) float line[256];
  line[((int)threadIdx.x)] = image[((((int)blockIdx.x) * 256) + ((int)threadIdx.x))];
  barrier();
  boxes[((((int)blockIdx.x) * 256) + ((int)threadIdx.x))] = line[(255 - ((int)threadIdx.x))];
}

// Running sums of 100 numbers, which takes seven rounds of two barriers.
extern "C" __global__ void __launch_bounds__(100) running_sums(ARRAYS) {
  extern __shared__ __align__(64) float line[];
  line[((int)threadIdx.x)] = image[((int)threadIdx.x)];
  for (int i = 0; i < 7; ++i) {
    float before = 0x0p+0f/*0.0*/;
    barrier();
    if ((1 << i) <= ((int)threadIdx.x)) {
      before = line[(((int)threadIdx.x) - (1 << i))];
    }
    barrier();
    line[((int)threadIdx.x)] = (line[((int)threadIdx.x)] + before);
  }
  boxes[((int)threadIdx.x)] = line[((int)threadIdx.x)];
}

// Each thread's place in the grid, as one number.
extern "C" __global__ void places(ARRAYS) {
  int place = blockIdx.z;
  place = place * gridDim.y + blockIdx.y;
  place = place * gridDim.x + blockIdx.x;
  place = place * blockDim.z + threadIdx.z;
  place = place * blockDim.y + threadIdx.y;
  place = place * blockDim.x + threadIdx.x;
  ((int *)workspace)[place] = place;
}

// Of each warp of 32 numbers: the sum, as lane 0 has it after five exchanges, and the neighbours
// that `shuffle` gives.
extern "C" __global__ void __launch_bounds__(64) warps(ARRAYS) {
  float sum = image[((int)threadIdx.x)];
  boxes[((int)threadIdx.x)] = shuffle(sum, ((int)threadIdx.x) * 5 + 3);
  #pragma unroll
  for (int i = 0; i < 5; ++i) {
    sum = (sum + shuffle_xor(sum, (1 << i)));
  }
  scores[((int)threadIdx.x)] = shuffle(sum, 0);
}

// Six tiles of 64 numbers through three buffers; the fourth tile is outside. Each thread adds
// numbers that another one copied.
extern "C" __global__ void __launch_bounds__(16) pipeline(ARRAYS) {
  __shared__ alignas(64) int tiles[192];
  alignas(64) float sums[4];
  *(float4 *)(sums + 0) = make_float4(0x0p+0f, 0x0p+0f, 0x0p+0f, 0x0p+0f);
  for (int i = 0; i < 8; ++i) {
    if (2 <= i) {
      copies_wait<1>();
      barrier();
      for (int j = 0; j < 4; ++j) {
        sums[j] = (sums[j] + word_as_float(
            tiles[((((i - 2) % 3) * 64) + ((15 - ((int)threadIdx.x)) * 4)) + j]));
      }
    }
    if (i < 6) {
      copy16((&(tiles[((i % 3) * 64) + (((int)threadIdx.x) * 4)])),
             (&(((int *)constants)[((i * 64) + (((int)threadIdx.x) * 4))])), (i != 3),
             float_as_word(0x1p+0f));
    }
    copies_commit();
  }
  *(float4 *)(boxes + (((int)threadIdx.x) * 4)) = *(float4 *)(sums + 0);
}

// 16 x 16 sums of rows of 96 bytes: constants by workspace.
#define PRODUCT(name, type, number, result) \
  __shared__ alignas(128) int a[320]; \
  __shared__ alignas(128) int b[320]; \
  alignas(64) number sums[8]; \
  alignas(64) int fragment_a[8]; \
  alignas(64) int fragment_b[8]; \
  for (int i = 0; i < 8; ++i) sums[i] = 0; \
  for (int k = 0; k < 3; ++k) { \
    barrier(); \
    copy16((&(a[(((int)threadIdx.x) >> 1) * 20 + (((int)threadIdx.x) & 1) * 4])), \
           constants + (((int)threadIdx.x) >> 1) * 96 + k * 32 + (((int)threadIdx.x) & 1) * 16, 1, 0); \
    copy16((&(b[(((int)threadIdx.x) >> 1) * 20 + (((int)threadIdx.x) & 1) * 4])), \
           workspace + (((int)threadIdx.x) >> 1) * 96 + k * 32 + (((int)threadIdx.x) & 1) * 16, 1, 0); \
    copies_commit(); \
    copies_wait<0>(); \
    barrier(); \
    load_a_##type((&(fragment_a[0])), (&(a[0])), 80); \
    load_b_##type((&(fragment_b[0])), (&(b[0])), 80); \
    multiply_##type((&(sums[0])), (&(fragment_a[0])), (&(fragment_b[0]))); \
  } \
  barrier(); \
  store_sums((&(((number *)a)[0])), (&(sums[0])), 20); \
  barrier(); \
  for (int i = 0; i < 8; ++i) \
    ((number *)result)[((int)threadIdx.x) * 8 + i] = \
        ((number *)a)[(((int)threadIdx.x) >> 1) * 20 + (((int)threadIdx.x) & 1) * 8 + i];

extern "C" __global__ void __launch_bounds__(32) product_f16(ARRAYS) {
  PRODUCT(product_f16, f16, float, scores)
}

extern "C" __global__ void __launch_bounds__(32) product_s8(ARRAYS) {
  PRODUCT(product_s8, s8, int, scores)
}

// What the functions of words make of pairs of words.
extern "C" __global__ void __launch_bounds__(64) words(ARRAYS) {
  int place = ((((int)blockIdx.x) * 64) + ((int)threadIdx.x));
  float low = image[(place * 2)];
  float high = image[((place * 2) + 1)];
  int *results = ((int *)workspace) + (place * 8);
  results[0] = two_halves(low, high);
  results[1] = nearest(low);
  results[2] = float_as_word(low_half(float_as_word(low)));
  results[3] = float_as_word(high_half(float_as_word(low)));
  results[4] = dot_s8(float_as_word(low), float_as_word(high), 7);
  int halves = two_halves(low, high);
  results[5] = float_as_word(multiply_add(low_half(halves), high_half(halves), 0x1p+0f));
  results[6] = float_as_word(max(low, high));
  results[7] = float_as_word(min(low, high));
}

// A number that was never written.
extern "C" __global__ void __launch_bounds__(32) early(ARRAYS) {
  boxes[((int)threadIdx.x)] = ((float *)workspace)[((int)threadIdx.x)];
}
