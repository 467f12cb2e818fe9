// Tensors' elements in and out of words of 32 bits, in plain C++ behind a prelude: one float, two
// halves or four signed bytes, the first lowest.

INLINE float low_half(int word) { return half_as_float(static_cast<ushort>(word)); }
INLINE float high_half(int word) { return half_as_float(static_cast<ushort>(word >> 16)); }

// Byte number `index`, with its sign.
INLINE int byte_of(int word, int index) { return (word << (24 - 8 * index)) >> 24; }

INLINE int four_bytes(int a, int b, int c, int d) {
  return (a & 255) | ((b & 255) << 8) | ((c & 255) << 16) | (d << 24);
}

// Four words, or the four elements that start at `from`, which their size divides.
INLINE void read4_words(const void *from, int *to) {
  const int4 words = *static_cast<const int4 *>(from);
  to[0] = words.x, to[1] = words.y, to[2] = words.z, to[3] = words.w;
}
INLINE void read4_f32(const void *from, float *to) {
  const float4 words = *static_cast<const float4 *>(from);
  to[0] = words.x, to[1] = words.y, to[2] = words.z, to[3] = words.w;
}
INLINE void read4_f16(const void *from, float *to) {
  const int2 words = *static_cast<const int2 *>(from);
  to[0] = low_half(words.x), to[1] = high_half(words.x);
  to[2] = low_half(words.y), to[3] = high_half(words.y);
}
INLINE void read4_s8(const void *from, int *to) {
  const int word = *static_cast<const int *>(from);
  to[0] = byte_of(word, 0), to[1] = byte_of(word, 1);
  to[2] = byte_of(word, 2), to[3] = byte_of(word, 3);
}

INLINE void write4_f32(void *to, const float *from) {
  *static_cast<float4 *>(to) = make_float4(from[0], from[1], from[2], from[3]);
}
INLINE void write4_f16(void *to, const float *from) {
  *static_cast<int2 *>(to) = make_int2(two_halves(from[0], from[1]), two_halves(from[2], from[3]));
}
INLINE void write4_s8(void *to, const int *from) {
  *static_cast<int *>(to) = four_bytes(from[0], from[1], from[2], from[3]);
}

