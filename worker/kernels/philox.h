// Philox4x64-10: random bits from a counter (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1,
// 2, 3", SC'11).
//
// Block i of a stream is four words, a function of the key and of i alone: that is what makes random numbers the same
// for any number of workers. Words come in NumPy's order: word w of `numpy.random.Philox(key=key, counter=counter)`
// is word w % 4 of the block whose counter is counter + 1 + w / 4, for NumPy counts before it draws.
#pragma once

#include <cstdint>
#include <span>

namespace parcompute {

struct PhiloxStream {
  std::uint64_t key[2] = {};  // as NumPy's `key`: low word, high word
  std::uint64_t counter = 0;  // as NumPy's `counter`: how many blocks of four words are passed over
};

// The words [4 * first_block, 4 * first_block + words.size()) of the stream. A multiple of four words.
void philox_words(const PhiloxStream& stream, std::uint64_t first_block, std::span<std::uint64_t> words);

}  // namespace parcompute
