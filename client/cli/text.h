// Small text helpers.
#pragma once

#include <string>
#include <string_view>

namespace parcompute::cli {

// Spaces before or behind `text`, up to `width` bytes.
inline std::string flush_right(std::string text, std::size_t width) {
  if (text.size() < width) text.insert(text.begin(), width - text.size(), ' ');
  return text;
}
inline std::string flush_left(std::string text, std::size_t width) {
  if (text.size() < width) text.resize(width, ' ');
  return text;
}

// "sum, min, max"
template <class Words>
std::string joined(const Words& words) {
  std::string text;
  for (const auto& word : words) {
    if (!text.empty()) text.append(", ");
    text.append(word);
  }
  return text;
}

// The words on lines of up to 80 columns, two spaces before each line.
template <class Words>
std::string indented_words(const Words& words) {
  std::string text, line = " ";
  for (const auto& word : words) {
    if (line.size() + 1 + std::string_view(word).size() > 80) {
      text += line + "\n";
      line = " ";
    }
    line.append(" ").append(word);
  }
  return text + line + "\n";
}

}  // namespace parcompute::cli
