/* Random numbers: the C form of the generator that `firecraft-key` specifies.
 *
 * The same key gives the same numbers here and in Rust, bit for bit. Compile
 * with -ffp-contract=off where your compiler fuses multiplications and
 * additions by default (GCC does outside of -std=c99, c11, …): `normal` is a
 * fixed sequence of operations, each rounded once. */

/* Ten rounds of Philox4x32 (Salmon et al., SC 2011). */
static inline void firecraft_philox(const uint32_t counter[4], const uint32_t key[2],
                                    uint32_t out[4]) {
  uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
  uint32_t k0 = key[0], k1 = key[1];
  for (int round = 0; round < 10; round++) {
    uint64_t left = (uint64_t)0xD2511F53u * c0;
    uint64_t right = (uint64_t)0xCD9E8D57u * c2;
    c0 = (uint32_t)(right >> 32) ^ c1 ^ k0;
    c1 = (uint32_t)right;
    c2 = (uint32_t)(left >> 32) ^ c3 ^ k1;
    c3 = (uint32_t)left;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}

/* Block `index` of the stream of a key, four words. */
static inline void firecraft_block(const uint64_t key[2], uint64_t index, uint32_t out[4]) {
  const uint32_t counter[4] = {(uint32_t)index, (uint32_t)(index >> 32), (uint32_t)key[1],
                               (uint32_t)(key[1] >> 32)};
  const uint32_t words[2] = {(uint32_t)key[0], (uint32_t)(key[0] >> 32)};
  firecraft_philox(counter, words, out);
}

static inline void firecraft_derive(const uint64_t key[2], uint64_t data, uint64_t domain,
                                    uint64_t out[2]) {
  const uint64_t moved[2] = {key[0] ^ domain, key[1]};
  uint32_t block[4];
  firecraft_block(moved, data, block);
  out[0] = block[0] | (uint64_t)block[1] << 32;
  out[1] = block[2] | (uint64_t)block[3] << 32;
}

/* The child of a key for a number. Fold before drawing. */
static inline void firecraft_fold(const uint64_t key[2], uint64_t data, uint64_t out[2]) {
  firecraft_derive(key, data, UINT64_C(0x9E3779B97F4A7C15), out);
}

/* The child of a key for a name, `len` bytes of UTF-8. */
static inline void firecraft_named(const uint64_t key[2], const char *name, size_t len,
                                   uint64_t out[2]) {
  const uint64_t domain = UINT64_C(0xD1B54A32D192ED03);
  firecraft_derive(key, len, domain, out);
  for (size_t start = 0; start < len; start += 8) {
    uint64_t group = 0;
    for (size_t i = 0; i < 8 && start + i < len; i++) {
      group |= (uint64_t)(uint8_t)name[start + i] << (8 * i);
    }
    const uint64_t parent[2] = {out[0], out[1]};
    firecraft_derive(parent, group, domain, out);
  }
}

/* Reads the stream of a key word by word. */
typedef struct FirecraftRng {
  uint64_t key[2];
  uint64_t position;
  uint32_t block[4];
} FirecraftRng;

static inline FirecraftRng firecraft_rng(const uint64_t key[2]) {
  FirecraftRng rng = {{key[0], key[1]}, 0, {0, 0, 0, 0}};
  return rng;
}

/* The next word. Takes one. */
static inline uint32_t firecraft_next_u32(FirecraftRng *rng) {
  if (rng->position % 4 == 0) {
    firecraft_block(rng->key, rng->position / 4, rng->block);
  }
  return rng->block[rng->position++ % 4];
}

/* The next two words, the first one in the low half. */
static inline uint64_t firecraft_next_u64(FirecraftRng *rng) {
  uint64_t low = firecraft_next_u32(rng);
  return low | (uint64_t)firecraft_next_u32(rng) << 32;
}

/* Uniform on [0, 1) with 24 random bits. Takes one word. */
static inline float firecraft_uniform(FirecraftRng *rng) {
  return (float)(firecraft_next_u32(rng) >> 8) * (1.0f / 16777216.0f);
}

/* Uniform on [0, 1) with 53 random bits. Takes two words. */
static inline double firecraft_uniform_f64(FirecraftRng *rng) {
  return (double)(firecraft_next_u64(rng) >> 11) * (1.0 / 9007199254740992.0);
}

/* Uniform on [low, high); `low` if the range is empty. Takes two words. */
static inline double firecraft_range(FirecraftRng *rng, double low, double high) {
  double span = (high - low) * firecraft_uniform_f64(rng);
  double value = low + span;
  return value < high && value >= low ? value : low;
}

/* The high and low half of a product of two 64-bit numbers. */
static inline uint64_t firecraft_multiply(uint64_t a, uint64_t b, uint64_t *low) {
  uint64_t a0 = (uint32_t)a, a1 = a >> 32, b0 = (uint32_t)b, b1 = b >> 32;
  uint64_t middle = a1 * b0 + (a0 * b0 >> 32);
  uint64_t cross = a0 * b1 + (uint32_t)middle;
  *low = a * b;
  return a1 * b1 + (middle >> 32) + (cross >> 32);
}

/* Uniform on 0..bound without bias; 0 if `bound` is 0 or 1 (Lemire's method).
 * Takes two words, and two more with a probability below bound / 2^64. */
static inline uint64_t firecraft_below(FirecraftRng *rng, uint64_t bound) {
  if (bound <= 1) {
    return 0;
  }
  uint64_t threshold = (0 - bound) % bound;
  for (;;) {
    uint64_t low;
    uint64_t high = firecraft_multiply(firecraft_next_u64(rng), bound, &low);
    if (low >= threshold) {
      return high;
    }
  }
}

/* 1 with probability p. Takes two words. */
static inline int firecraft_chance(FirecraftRng *rng, double p) {
  return firecraft_uniform_f64(rng) < p;
}

static inline float firecraft_horner(const float *coefficients, int count, float x) {
  float sum = 0.0f;
  for (int i = 0; i < count; i++) {
    sum = sum * x;
    sum = sum + coefficients[i];
  }
  return sum;
}

static inline uint32_t firecraft_bits(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

static inline float firecraft_float(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

/* Natural logarithm of a positive normal number, after Cephes' logf. */
static inline float firecraft_ln(float x) {
  static const float P[9] = {7.0376836e-2f,  -1.151461e-1f,  1.1676999e-1f,
                             -1.2420140e-1f, 1.4249323e-1f,  -1.6668058e-1f,
                             2.0000715e-1f,  -2.4999994e-1f, 3.3333331e-1f};
  uint32_t shifted = firecraft_bits(x) - 0x3f3504f3u;
  /* The exponent is the signed upper part. */
  int32_t exponent_bits = (int32_t)(shifted >> 23);
  float exponent = (float)(exponent_bits >= 256 ? exponent_bits - 512 : exponent_bits);
  float m = firecraft_float((shifted & 0x007fffffu) + 0x3f3504f3u) - 1.0f;
  float square = m * m;
  float y = firecraft_horner(P, 9, m) * m;
  y = y * square;
  float low = exponent * -2.1219444e-4f;
  y = y + low;
  float half = square * -0.5f;
  y = y + half;
  float high = exponent * 0.6933594f;
  return (m + y) + high;
}

/* Correctly rounded square root of a positive normal number. */
static inline float firecraft_sqrt(float x) {
  uint32_t bits = firecraft_bits(x);
  int32_t exponent = (int32_t)(bits >> 23) - 150;
  uint64_t mantissa = (bits & 0x007fffffu) | 0x00800000u;
  int32_t shift = exponent % 2 == 0 ? 30 : 31;
  uint64_t radicand = mantissa << shift;
  uint64_t root = 0;
  for (uint64_t bit = UINT64_C(1) << 31; bit != 0; bit >>= 1) {
    uint64_t next = root | bit;
    if (next * next <= radicand) {
      root = next;
    }
  }
  uint64_t inexact = root * root != radicand;
  int32_t scale = (exponent - shift) / 2 - 1;
  return (float)(root << 1 | inexact) * firecraft_float((uint32_t)(scale + 127) << 23);
}

/* Standard normal. Takes one word. */
static inline float firecraft_normal(FirecraftRng *rng) {
  static const float CN[4] = {59.109375f, 159.29113f, 50.43427f, 3.3871327f};
  static const float CD[4] = {67.18756f, 78.75776f, 17.895170f, 1.0f};
  static const float TN[4] = {0.17023821f, 1.3067285f, 2.7568154f, 1.4234372f};
  static const float TD[3] = {0.12021133f, 0.73700164f, 1.0f};
  uint32_t word = firecraft_next_u32(rng);
  float tail = ((float)(word & 0x7fffffffu) + 0.5f) * (1.0f / 4294967296.0f);
  float centre = 0.5f - tail;
  float z;
  if (centre <= 0.425f) {
    float square = centre * centre;
    float r = 0.180625f - square;
    float numerator = centre * firecraft_horner(CN, 4, r);
    z = numerator / firecraft_horner(CD, 4, r);
  } else {
    float r = firecraft_sqrt(-firecraft_ln(tail)) - 1.6f;
    z = firecraft_horner(TN, 4, r) / firecraft_horner(TD, 3, r);
  }
  return firecraft_float(firecraft_bits(z) | (word & 0x80000000u));
}
