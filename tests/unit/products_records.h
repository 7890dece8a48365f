// The records of tests/python/products_oracle.py, and the interpreter that writes them.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "tests/support/kernel_runner.h"

namespace parcompute::products {

// An interpreter that has NumPy; empty where none has. PARCOMPUTE_TEST_PYTHON comes first.
inline std::string python_with_numpy() {
  std::vector<std::string> candidates{"python3", "/usr/bin/python3"};
  if (const char* wanted = std::getenv("PARCOMPUTE_TEST_PYTHON"); wanted != nullptr)
    candidates.insert(candidates.begin(), wanted);
  for (const std::string& candidate : candidates)
    if (std::system((candidate + " -c 'import numpy' >/dev/null 2>&1").c_str()) == 0) return candidate;
  return {};
}

class Reader {
 public:
  explicit Reader(const std::string& path) : file_(path, std::ios::binary) {}

  std::string kind() {
    std::string text(4, '\0');
    file_.read(text.data(), 4);
    return file_ ? text : "cut short";
  }
  std::int64_t number() {
    std::int64_t x = 0;
    file_.read(reinterpret_cast<char*>(&x), sizeof x);
    return x;
  }
  Dims numbers(std::int64_t count) {
    Dims all;
    for (std::int64_t i = 0; i < count; ++i) all.push_back(number());
    return all;
  }
  std::string bytes() {
    std::string text(static_cast<std::size_t>(number()), '\0');
    file_.read(text.data(), static_cast<std::streamsize>(text.size()));
    return text;
  }
  std::vector<double> doubles() {
    const std::string text = bytes();
    std::vector<double> all(text.size() / sizeof(double));
    if (!all.empty()) std::memcpy(all.data(), text.data(), text.size());
    return all;
  }
  testing::Operand array(std::size_t shift) {
    testing::Operand operand;
    operand.spec.dtype = *dtype_from_number(static_cast<std::uint32_t>(number()));
    const std::int64_t ndim = number();
    operand.spec.shape = numbers(ndim);
    operand.spec.strides = numbers(ndim);
    operand.spec.offset = static_cast<std::uint64_t>(number());
    const std::string text = bytes();
    operand.buffer = testing::Buffer(text.size(), shift);
    std::memcpy(operand.buffer.data(), text.data(), text.size());
    return operand;
  }

 private:
  std::ifstream file_;
};

}  // namespace parcompute::products
