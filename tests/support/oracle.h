// Records that a Python oracle writes (tests/python/records.py): cases and NumPy's answers to them.
//
// A record is a kind (4 letters) and its fields, little endian; the last one's kind is "end.".
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "tests/support/kernel_runner.h"
#include "tests/support/numpy.h"

namespace parcompute::testing {

// An array as its elements in C order.
struct OracleAnswer {
  DType dtype = DType::kFloat64;
  Dims shape;
  std::string bytes;
};

// Runs `script FILE ARGUMENTS`. False where it fails; its words are on standard error.
inline bool run_oracle(std::string_view script, const std::string& file, std::string_view arguments) {
  return std::system(fmt::format("{} -B '{}' '{}' {}", python_with_numpy(), script, file, arguments).c_str()) == 0;
}

class OracleReader {
 public:
  explicit OracleReader(const std::string& path) : file_(path, std::ios::binary) {}

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
  template <class T>
  std::vector<T> values() {
    const std::string text = bytes();
    std::vector<T> all(text.size() / sizeof(T));
    if (!all.empty()) std::memcpy(all.data(), text.data(), text.size());
    return all;
  }
  DType dtype() { return *dtype_from_number(static_cast<std::uint32_t>(number())); }

  // A view and the memory behind it, at an address `shift` bytes from an aligned one.
  Operand array(std::size_t shift) {
    Operand operand;
    operand.spec.dtype = dtype();
    const std::int64_t ndim = number();
    operand.spec.shape = numbers(ndim);
    operand.spec.strides = numbers(ndim);
    operand.spec.offset = static_cast<std::uint64_t>(number());
    const std::string text = bytes();
    operand.buffer = Buffer(text.size(), shift);
    if (!text.empty()) std::memcpy(operand.buffer.data(), text.data(), text.size());
    return operand;
  }
  OracleAnswer answer() {
    OracleAnswer answer;
    answer.dtype = dtype();
    const std::int64_t ndim = number();
    answer.shape = numbers(ndim);
    answer.bytes = bytes();
    return answer;
  }

 private:
  std::ifstream file_;
};

}  // namespace parcompute::testing
