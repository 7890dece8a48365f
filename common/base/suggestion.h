// "did you mean ...": the nearest known word to a mistyped one.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace parcompute {

// Insertions, deletions, replacements and swaps of neighbours that lead from `a` to `b` (Damerau and
// Levenshtein's distance, its optimal string alignment form).
std::size_t edit_distance(std::string_view a, std::string_view b);

// "; did you mean 'matmul'?", or nothing where no known word is near.
std::string suggestion(std::string_view word, std::span<const std::string> known);

}  // namespace parcompute
