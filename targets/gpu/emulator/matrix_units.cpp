// The matrix units, with the PTX ISA's fragments of mma.m16n8k16 (halves) and mma.m16n8k32 (bytes).
//
// In words of four bytes both are the same: lane 4 g + t has of the left matrix, whose rows are
// eight words, word t of row g and of row g + 8, then word t + 4 of both; of the right one, word t
// and word t + 4 of column g, then of column g + 8; and of the sums, columns 2 t and 2 t + 1 of row
// g and row g + 8, then the same eight columns on.

#include "runtime.h"

namespace emulator {
namespace {

constexpr int SIDE = 16, WORDS = 8;

int row_of(int lane, int i) { return lane / 4 + (i / 2 % 2) * 8; }
int column_of(int lane, int i) { return lane % 4 * 2 + i % 2 + (i / 4) * 8; }

// Where the matrix lies, which all lanes must agree on. It is `bytes` wide, `SIDE` rows.
const Call &agreed(const char *function, Call *const *lanes, const void *Call::*where, int pitch,
                   int bytes) {
  const Call &first = *lanes[0];
  for (int lane = 1; lane < WARP; ++lane)
    if (lanes[lane]->*where != first.*where || lanes[lane]->number != first.number)
      fail("%s: lane %d gives another address or pitch than lane 0", function, lane);
  if (pitch % 16) fail("%s: the pitch, %d bytes, is no multiple of 16", function, pitch);
  check_shared(function, first.*where, (SIDE - 1) * pitch + bytes, 32);
  return first;
}

// second: which of a lane's words 1 and 2 is the one eight rows further.
void load(const char *function, Call *const *lanes, int second) {
  const int pitch = lanes[0]->number;
  const auto *from =
      static_cast<const char *>(agreed(function, lanes, &Call::from, pitch, 4 * WORDS).from);
  for (int lane = 0; lane < WARP; ++lane) {
    int *to = static_cast<int *>(lanes[lane]->to);
    for (int i = 0; i < 4; ++i) {
      const int further = i & second ? 8 : 0, half = i & ~second & 3 ? 4 : 0;
      __builtin_memcpy(to + i, from + (lane / 4 + further) * pitch + (lane % 4 + half) * 4, 4);
    }
    for (int i = 4; i < 8; ++i) to[i] = 0x7f7f7f7f;  // an interface of eight, a unit of four
  }
}

void answer_load_a(Call *const *lanes) { load("load_a", lanes, 1); }
void answer_load_b(Call *const *lanes) { load("load_b", lanes, 2); }

void gather(Call *const *lanes, int (*a)[WORDS], int (*b)[WORDS]) {
  for (int lane = 0; lane < WARP; ++lane) {
    const int *own_a = static_cast<const int *>(lanes[lane]->from);
    const int *own_b = static_cast<const int *>(lanes[lane]->other);
    const int group = lane / 4, word = lane % 4;
    a[group][word] = own_a[0], a[group + 8][word] = own_a[1];
    a[group][word + 4] = own_a[2], a[group + 8][word + 4] = own_a[3];
    b[group][word] = own_b[0], b[group][word + 4] = own_b[1];
    b[group + 8][word] = own_b[2], b[group + 8][word + 4] = own_b[3];
  }
}

template <typename Number>
void add(Call *const *lanes, const Number (*sums)[SIDE]) {
  for (int lane = 0; lane < WARP; ++lane) {
    Number *own = static_cast<Number *>(lanes[lane]->to);
    for (int i = 0; i < 8; ++i) own[i] += sums[row_of(lane, i)][column_of(lane, i)];
  }
}

// Sums of 32 bytes' products: exact for bytes, and for halves each product is, in float32.
template <typename Element, typename Number>
void multiply(Call *const *lanes) {
  constexpr int DEPTH = 4 * WORDS / sizeof(Element);
  alignas(64) int words_a[SIDE][WORDS], words_b[SIDE][WORDS];
  gather(lanes, words_a, words_b);
  Element elements_a[SIDE * DEPTH], elements_b[SIDE * DEPTH];
  __builtin_memcpy(elements_a, words_a, sizeof words_a);
  __builtin_memcpy(elements_b, words_b, sizeof words_b);
  alignas(64) Number a[SIDE * DEPTH], b[DEPTH][SIDE], sums[SIDE][SIDE] = {};
  for (int i = 0; i < SIDE * DEPTH; ++i) a[i] = elements_a[i];
  for (int depth = 0; depth < DEPTH; ++depth)
    for (int column = 0; column < SIDE; ++column)
      b[depth][column] = elements_b[column * DEPTH + depth];
  for (int row = 0; row < SIDE; ++row)
    for (int depth = 0; depth < DEPTH; ++depth)
      for (int column = 0; column < SIDE; ++column)
        sums[row][column] += a[row * DEPTH + depth] * b[depth][column];
  add(lanes, sums);
}

template <typename Number>
void store(Call *const *lanes) {
  const int pitch = lanes[0]->number * static_cast<int>(sizeof(Number));
  agreed("store_sums", lanes, &Call::other, pitch, SIDE * sizeof(Number));
  for (int lane = 0; lane < WARP; ++lane) {
    const Number *own = static_cast<const Number *>(lanes[lane]->from);
    char *to = static_cast<char *>(lanes[lane]->to);
    for (int i = 0; i < 8; ++i)
      __builtin_memcpy(to + row_of(lane, i) * pitch + column_of(lane, i) * sizeof(Number), own + i,
                       sizeof(Number));
  }
}

void meet_for(void (*answer)(Call *const *), void *to, const void *from, const void *other,
              int number) {
  Call call{answer, from, other, to, number, 0};
  meet(call);
}

}  // namespace
}  // namespace emulator

using namespace emulator;

void load_a_f16(int *to, const void *from, int pitch) {
  meet_for(answer_load_a, to, from, nullptr, pitch);
}
void load_b_f16(int *to, const void *from, int pitch) {
  meet_for(answer_load_b, to, from, nullptr, pitch);
}
void load_a_s8(int *to, const void *from, int pitch) { load_a_f16(to, from, pitch); }
void load_b_s8(int *to, const void *from, int pitch) { load_b_f16(to, from, pitch); }

void multiply_f16(float *sums, const int *a, const int *b) {
  meet_for(multiply<Half, float>, sums, a, b, 0);
}
void multiply_s8(int *sums, const int *a, const int *b) {
  meet_for(multiply<signed char, int>, sums, a, b, 0);
}

void store_sums(float *to, const float *sums, int pitch) {
  meet_for(store<float>, to, sums, to, pitch);
}
void store_sums(int *to, const int *sums, int pitch) { meet_for(store<int>, to, sums, to, pitch); }
