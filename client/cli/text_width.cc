#include "client/cli/text_width.h"

#include <clocale>
#include <cwchar>

#include <wchar.h>

namespace parcompute::cli {
namespace {

// The C library knows widths in a locale of UTF-8 alone, and this program may run in another.
class Utf8Locale {
 public:
  Utf8Locale() : made_(newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)), before_(made_ == nullptr ? nullptr : uselocale(made_)) {}
  Utf8Locale(const Utf8Locale&) = delete;
  Utf8Locale& operator=(const Utf8Locale&) = delete;
  ~Utf8Locale() {
    if (made_ == nullptr) return;
    uselocale(before_);
    freelocale(made_);
  }

 private:
  locale_t made_, before_;
};

}  // namespace

std::size_t columns_of(std::string_view text) {
  const Utf8Locale locale;
  std::size_t columns = 0;
  while (!text.empty()) {
    wchar_t letter = 0;
    std::mbstate_t state{};
    const std::size_t bytes = std::mbrtowc(&letter, text.data(), text.size(), &state);
    const bool is_letter = bytes != 0 && bytes <= text.size();  // else one of the two errors
    const int width = is_letter ? wcwidth(letter) : 1;
    columns += width < 0 ? 1 : static_cast<std::size_t>(width);
    text.remove_prefix(is_letter ? bytes : 1);
  }
  return columns;
}

}  // namespace parcompute::cli
