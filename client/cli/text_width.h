// How wide a text is on a terminal.
#pragma once

#include <cstddef>
#include <string_view>

namespace parcompute::cli {

// Columns, whatever the locale: two for a letter of Chinese, Japanese or Korean, none for an accent that combines. A byte that is
// no UTF-8 (a path may hold any) counts one.
std::size_t columns_of(std::string_view text);

}  // namespace parcompute::cli
