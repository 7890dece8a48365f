// UTF-8: what text in messages must be. File names are any bytes.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace parcompute {

bool is_utf8(std::string_view text);
// The text's beginning, at most so many bytes, in whole characters.
std::string_view clip_utf8(std::string_view text, std::size_t bytes);
// The text with U+FFFD in place of each byte that is no part of a character.
std::string to_utf8(std::string_view text);

}  // namespace parcompute
