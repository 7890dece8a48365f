// How wide a text is on a terminal.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace parcompute::cli {

// Columns, whatever the locale: two for a letter of Chinese, Japanese or Korean, none for an accent that combines. A byte that is
// no UTF-8 (a path may hold any) counts one.
std::size_t columns_of(std::string_view text);

// One line that does nothing to a terminal, whoever wrote the text: blanks and line ends of any number are one blank, and what
// cannot be printed (control characters, bytes that are no UTF-8, letters that turn the direction of writing) is a '?'.
std::string one_line(std::string_view text);
// The same of a text of several lines: their ends and its blanks stay. All that a person is told goes through it.
std::string harmless(std::string_view text);
// At most so many columns (3 or more), the last three of them "..." where something was left out.
std::string clipped(std::string_view text, std::size_t columns);

}  // namespace parcompute::cli
