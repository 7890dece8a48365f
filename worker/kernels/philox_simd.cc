// A round multiplies two of a block's words to 128 bits, which vectors can only do in quarters: that pays where eight
// lanes share the work, and not below. With narrower vectors the machine's own 64-bit multiplication is faster, with
// several blocks in flight to hide its latency.
#include "worker/kernels/philox.h"

#include <cstddef>

#include "worker/kernels/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "worker/kernels/philox_simd.cc"
#include <hwy/foreach_target.h>
//
#include <hwy/highway.h>

#ifndef PARCOMPUTE_PHILOX_CONSTANTS
#define PARCOMPUTE_PHILOX_CONSTANTS
namespace parcompute::philox {

__extension__ using Wide = unsigned __int128;

constexpr int kRounds = 10;
constexpr std::uint64_t kMultiplier0 = 0xD2E7470EE14C6C93, kMultiplier1 = 0xCA5A826395121157;
// What is added to the key for every round: the golden ratio and the square root of 3, less 1.
constexpr std::uint64_t kWeyl0 = 0x9E3779B97F4A7C15, kWeyl1 = 0xBB67AE8584CAA73B;

}  // namespace parcompute::philox
#endif

HWY_BEFORE_NAMESPACE();
namespace parcompute {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using philox::Wide;

// `kBlocks` blocks in flight.
template <std::size_t kBlocks>
void multiply_blocks(const PhiloxStream& stream, Wide counter, std::uint64_t* words) {
  std::uint64_t x0[kBlocks], x1[kBlocks], x2[kBlocks], x3[kBlocks];
  for (std::size_t i = 0; i < kBlocks; ++i) {
    const Wide number = counter + i;
    x0[i] = static_cast<std::uint64_t>(number);
    x1[i] = static_cast<std::uint64_t>(number >> 64);
    x2[i] = x3[i] = 0;
  }
  std::uint64_t key0 = stream.key[0], key1 = stream.key[1];
#pragma GCC unroll 10
  for (int round = 0; round < philox::kRounds; ++round) {
#pragma GCC unroll 4
    for (std::size_t i = 0; i < kBlocks; ++i) {
      const Wide product0 = Wide{x0[i]} * philox::kMultiplier0;
      const Wide product1 = Wide{x2[i]} * philox::kMultiplier1;
      x0[i] = static_cast<std::uint64_t>(product1 >> 64) ^ x1[i] ^ key0;
      x2[i] = static_cast<std::uint64_t>(product0 >> 64) ^ x3[i] ^ key1;
      x1[i] = static_cast<std::uint64_t>(product1);
      x3[i] = static_cast<std::uint64_t>(product0);
    }
    key0 += philox::kWeyl0;
    key1 += philox::kWeyl1;
  }
  for (std::size_t i = 0; i < kBlocks; ++i, words += 4) {
    words[0] = x0[i];
    words[1] = x1[i];
    words[2] = x2[i];
    words[3] = x3[i];
  }
}

#if HWY_TARGET <= HWY_AVX3  // and the sets above it, which Highway numbers downwards

using D = hn::ScalableTag<std::uint64_t>;
using Halves = hn::Repartition<std::uint32_t, D>;
using V = hn::Vec<D>;
constexpr std::size_t kLanes = hn::MaxLanes(D());
constexpr std::size_t kVectors = 2;  // in flight; three spill
constexpr std::size_t kVectorBlocks = kVectors * kLanes;

struct Product {
  V high;
  V low;
};

// Even 32-bit halves multiplied to 64 bits.
HWY_INLINE V multiply_halves(V a, V b) {
  const Halves halves;
  return hn::MulEven(hn::BitCast(halves, a), hn::BitCast(halves, b));
}

// By a multiplier given as its low and its high half.
HWY_INLINE Product multiply(V x, V low, V high) {
  const D d;
  const Halves halves;
  const V x_high = hn::ShiftRight<32>(x);
  const V bottom = multiply_halves(x, low);
  // No sum can overflow: (2^32 - 1)^2 + 2 (2^32 - 1) = 2^64 - 1.
  const V middle = hn::Add(multiply_halves(x_high, low), hn::ShiftRight<32>(bottom));
  const V other = hn::Add(multiply_halves(x, high), hn::And(middle, hn::Set(d, 0xFFFFFFFFu)));
  const V top = hn::Add(multiply_halves(x_high, high), hn::ShiftRight<32>(middle));
  return {hn::Add(top, hn::ShiftRight<32>(other)),
          hn::BitCast(d, hn::OddEven(hn::DupEven(hn::BitCast(halves, other)), hn::BitCast(halves, bottom)))};
}

// kVectorBlocks blocks. Their counters have one high word.
void vector_blocks(const PhiloxStream& stream, Wide counter, std::uint64_t* words) {
  const D d;
  const V low0 = hn::Set(d, philox::kMultiplier0 & 0xFFFFFFFF), high0 = hn::Set(d, philox::kMultiplier0 >> 32);
  const V low1 = hn::Set(d, philox::kMultiplier1 & 0xFFFFFFFF), high1 = hn::Set(d, philox::kMultiplier1 >> 32);
  V x0[kVectors], x1[kVectors], x2[kVectors], x3[kVectors];
  for (std::size_t i = 0; i < kVectors; ++i) {
    x0[i] = hn::Iota(d, static_cast<std::uint64_t>(counter) + i * kLanes);
    x1[i] = hn::Set(d, static_cast<std::uint64_t>(counter >> 64));
    x2[i] = x3[i] = hn::Zero(d);
  }
  std::uint64_t key0 = stream.key[0], key1 = stream.key[1];
  for (int round = 0; round < philox::kRounds; ++round) {
    const V keys0 = hn::Set(d, key0), keys1 = hn::Set(d, key1);
    for (std::size_t i = 0; i < kVectors; ++i) {
      const Product product0 = multiply(x0[i], low0, high0), product1 = multiply(x2[i], low1, high1);
      x0[i] = hn::Xor3(product1.high, x1[i], keys0);
      x2[i] = hn::Xor3(product0.high, x3[i], keys1);
      x1[i] = product1.low;
      x3[i] = product0.low;
    }
    key0 += philox::kWeyl0;
    key1 += philox::kWeyl1;
  }
  for (std::size_t i = 0; i < kVectors; ++i, words += 4 * kLanes)
    hn::StoreInterleaved4(x0[i], x1[i], x2[i], x3[i], d, words);
}

#endif

void write_words(const PhiloxStream& stream, std::uint64_t first_block, std::span<std::uint64_t> words) {
  const Wide counter = Wide{stream.counter} + 1 + first_block;
  const std::uint64_t blocks = words.size() / 4;
  std::uint64_t done = 0;
#if HWY_TARGET <= HWY_AVX3
  const auto has_one_high_word = [&] {
    return static_cast<std::uint64_t>(counter + done) <= ~std::uint64_t{0} - kVectorBlocks;
  };
  for (; done + kVectorBlocks <= blocks && has_one_high_word(); done += kVectorBlocks)
    vector_blocks(stream, counter + done, words.data() + 4 * done);
#endif
  constexpr std::size_t kInFlight = 4;
  for (; done + kInFlight <= blocks; done += kInFlight)
    multiply_blocks<kInFlight>(stream, counter + done, words.data() + 4 * done);
  for (; done < blocks; ++done) multiply_blocks<1>(stream, counter + done, words.data() + 4 * done);
}

}  // namespace HWY_NAMESPACE
}  // namespace parcompute
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace parcompute {
namespace {

HWY_EXPORT(write_words);

}  // namespace

void philox_words(const PhiloxStream& stream, std::uint64_t first_block, std::span<std::uint64_t> words) {
  HWY_DYNAMIC_DISPATCH(write_words)(stream, first_block, words);
}

}  // namespace parcompute
#endif  // HWY_ONCE
