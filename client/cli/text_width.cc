#include "client/cli/text_width.h"

#include <algorithm>
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

// The first letter of a text, in a locale of UTF-8.
struct Letter {
  std::size_t bytes = 1;
  std::size_t columns = 1;
  wchar_t code = 0;
  bool is_printable = false;
};

Letter first_letter(std::string_view text) {
  Letter letter;
  std::mbstate_t state{};
  const std::size_t bytes = std::mbrtowc(&letter.code, text.data(), text.size(), &state);
  if (bytes == 0 || bytes > text.size()) return letter;  // a zero, or one of the two errors
  const int width = wcwidth(letter.code);
  letter.bytes = bytes;
  letter.columns = width < 0 ? 1 : static_cast<std::size_t>(width);
  letter.is_printable = width >= 0;
  return letter;
}

// Unicode's bidirectional controls: what follows them is shown in another order than it stands.
bool turns_direction(wchar_t code) {
  return code == 0x061C || code == 0x200E || code == 0x200F || (code >= 0x202A && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);
}

// The text's first letter, or a '?' in its place, goes to the end of `shown`.
void move_letter(std::string_view& text, std::string& shown) {
  const Letter letter = first_letter(text);
  if (letter.is_printable && !turns_direction(letter.code))
    shown += text.substr(0, letter.bytes);
  else
    shown += '?';
  text.remove_prefix(letter.bytes);
}

}  // namespace

std::size_t columns_of(std::string_view text) {
  const Utf8Locale locale;
  std::size_t columns = 0;
  while (!text.empty()) {
    const Letter letter = first_letter(text);
    columns += letter.columns;
    text.remove_prefix(letter.bytes);
  }
  return columns;
}

std::string one_line(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const Utf8Locale locale;
  std::string line;
  while (!text.empty()) {
    if (const std::size_t blanks = std::min(text.find_first_not_of(kBlanks), text.size()); blanks > 0) {
      text.remove_prefix(blanks);
      if (!line.empty() && !text.empty()) line += ' ';
      continue;
    }
    move_letter(text, line);
  }
  return line;
}

std::string harmless(std::string_view text) {
  const auto is_plain = [](char c) { return (c >= ' ' && c <= '~') || c == '\n'; };
  if (std::all_of(text.begin(), text.end(), is_plain)) return std::string(text);
  const Utf8Locale locale;
  std::string shown;
  while (!text.empty()) {
    if (text[0] != '\n' && text[0] != '\t') {
      move_letter(text, shown);
      continue;
    }
    shown += text[0];
    text.remove_prefix(1);
  }
  return shown;
}

std::string clipped(std::string_view text, std::size_t columns) {
  constexpr std::string_view kEllipsis = "...";
  if (columns_of(text) <= columns) return std::string(text);
  const Utf8Locale locale;
  std::size_t end = 0;
  for (std::size_t used = 0; end < text.size();) {
    const Letter letter = first_letter(text.substr(end));
    used += letter.columns;
    if (used + kEllipsis.size() > columns) break;
    end += letter.bytes;
  }
  return std::string(text.substr(0, end)) + std::string(kEllipsis);
}

}  // namespace parcompute::cli
