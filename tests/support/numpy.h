// Python with NumPy, for differential tests.
#pragma once

#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace parcompute::testing {

// An interpreter that has NumPy; empty where none has. PARCOMPUTE_TEST_PYTHON comes first.
inline const std::string& python_with_numpy() {
  static const std::string found = [] {
    std::vector<std::string> candidates{"python3", "/usr/bin/python3"};
    if (const char* wanted = std::getenv("PARCOMPUTE_TEST_PYTHON"); wanted != nullptr) candidates.insert(candidates.begin(), wanted);
    for (const std::string& candidate : candidates)
      if (std::system((candidate + " -c 'import numpy' >/dev/null 2>&1").c_str()) == 0) return candidate;
    return std::string();
  }();
  return found;
}

// The fields of a line, between separators. An empty line has one empty field.
inline std::vector<std::string> fields_of(std::string_view line, char separator) {
  std::vector<std::string> fields;
  while (true) {
    const std::size_t end = line.find(separator);
    fields.emplace_back(line.substr(0, end));
    if (end == std::string_view::npos) return fields;
    line.remove_prefix(end + 1);
  }
}

}  // namespace parcompute::testing
