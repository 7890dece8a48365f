// Differential: NumPy writes and we read, we write and NumPy reads, and both write the same bytes.

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "common/array/npy.h"
#include "tests/support/numpy.h"
#include "tests/support/process_state.h"
#include "tests/support/temporary_directory.h"

namespace parcompute {
namespace {

using testing::python_with_numpy;

struct Case {
  std::string file;
  DType dtype;
  Dims shape;
  bool fortran;
  bool swapped;
  int version;
};

std::string python_tuple(const Dims& shape) {
  std::string text = "(";
  for (const std::int64_t dim : shape) text += std::to_string(dim) + ",";
  return text + ")";
}

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const DTypeInfo& row : kDTypes)
    for (const Dims& shape :
         {Dims{}, Dims{0}, Dims{7}, Dims{3, 4}, Dims{4, 1, 3}, Dims{2, 0, 3}, Dims{1}, Dims{100, 101}})
      for (const bool fortran : {false, true})
        for (const bool swapped : {false, true})
          for (const int version : {1, 2, 3})
            cases.push_back(
                {fmt::format("{}.npy", cases.size()), row.dtype, shape, fortran, swapped, version});
  return cases;
}

class NpyNumpy : public ::testing::Test {
 protected:
  void SetUp() override {
    if (python_with_numpy().empty())
      GTEST_SKIP() << "no python3 with NumPy: install python3-numpy or set PARCOMPUTE_TEST_PYTHON";
  }
  // Runs a program in the directory; its output belongs to the failure.
  void run(const std::string& program) {
    testing::write_file(directory_ / "program.py", "import numpy as np, sys\n" + program);
    const std::string command =
        fmt::format("cd '{}' && {} program.py 2>&1", directory_.path(), python_with_numpy());
    FILE* pipe = ::popen(command.c_str(), "r");
    ASSERT_NE(pipe, nullptr);
    std::string output;
    for (int c = 0; (c = std::fgetc(pipe)) != EOF;) output.push_back(static_cast<char>(c));
    EXPECT_EQ(::pclose(pipe), 0) << output;
  }
  static std::string as_python(const std::vector<Case>& cases) {
    std::string text = "cases = [\n";
    for (const Case& each : cases)
      text += fmt::format("  ('{}', '{}', {}, '{}', {}, {}),\n", each.file, name(each.dtype),
                          python_tuple(each.shape), each.fortran ? "F" : "C", each.swapped ? "True" : "False",
                          each.version);
    // Elements count up from 0, whatever the order: element i in C order is i (modulo small, bool is odd).
    return text +
           "]\n"
           "def expected(dtype, shape, order):\n"
           "  n = int(np.prod(shape))\n"
           "  a = (np.arange(n) % 2 if dtype == 'bool' else np.arange(n) % "
           "100).astype(dtype).reshape(shape)\n"
           "  return np.array(a, order=order)\n";
  }

  testing::TemporaryDirectory directory_;
};

// The elements, in the order of the file, as ours are made.
std::string elements_of(const Case& each) {
  const ArraySpec spec = *make_spec(each.dtype, each.shape, each.fortran ? Order::kFortran : Order::kC);
  std::string bytes(byte_count(spec), '\0');
  Dims index(each.shape.size(), 0);
  for (std::uint64_t i = 0; i < element_count(spec); ++i) {
    std::int64_t offset = 0;
    for (std::size_t axis = 0; axis < index.size(); ++axis) offset += index[axis] * spec.strides[axis];
    visit_dtype(each.dtype, [&](auto zero) {
      using T = decltype(zero);
      T value{};
      if constexpr (std::is_same_v<T, bool>)
        value = i % 2 != 0;
      else
        value = static_cast<T>(static_cast<std::uint8_t>(i % 100));
      std::memcpy(bytes.data() + offset, &value, sizeof value);
    });
    for (std::size_t axis = index.size(); axis-- > 0;) {
      if (++index[axis] < each.shape[axis]) break;
      index[axis] = 0;
    }
  }
  return bytes;
}

TEST_F(NpyNumpy, WeReadWhatNumpyWrites) {
  const auto cases = all_cases();
  run(as_python(cases) +
      "for file, dtype, shape, order, swapped, version in cases:\n"
      "  a = expected(dtype, shape, order)\n"
      "  if swapped: a = a.astype(a.dtype.newbyteorder())\n"
      "  a = np.array(a, order=order)\n"
      "  with open(file, 'wb') as f: np.lib.format.write_array(f, a, version=(version, 0))\n");
  for (const Case& each : cases) {
    const auto fd = open_npy(directory_ / each.file, false);
    ASSERT_TRUE(fd);
    const auto header = read_npy_header(fd->get(), each.file);
    ASSERT_TRUE(header) << header.error().message;
    EXPECT_EQ(header->spec.dtype, each.dtype);
    EXPECT_EQ(header->spec.shape, each.shape);
    EXPECT_EQ(header->swapped, each.swapped && itemsize(each.dtype) > 1)
        << each.file << " " << name(each.dtype);
    EXPECT_TRUE(each.fortran ? is_f_contiguous(header->spec) : is_c_contiguous(header->spec));
    if (header->swapped) continue;
    EXPECT_EQ(testing::read_file(directory_ / each.file).substr(header->data_offset), elements_of(each))
        << each.file;
  }
}

TEST_F(NpyNumpy, NumpyReadsWhatWeWrite) {
  std::vector<Case> cases;
  for (const Case& each : all_cases())
    if (!each.swapped && each.version == 1) cases.push_back(each);
  for (const Case& each : cases) {
    const std::string bytes = elements_of(each);
    const ArraySpec spec = *make_spec(each.dtype, each.shape, each.fortran ? Order::kFortran : Order::kC);
    const auto written = write_npy(directory_ / each.file, spec, std::as_bytes(std::span(bytes)).data());
    ASSERT_TRUE(written) << written.error().message;
  }
  run(as_python(cases) +
      "for file, dtype, shape, order, swapped, version in cases:\n"
      "  a, e = np.load(file), expected(dtype, shape, order)\n"
      "  assert a.dtype == e.dtype and a.shape == e.shape and (a == e).all(), (file, a, e)\n"
      "  np.lib.format.open_memmap(file, mode='r')\n"
      "  np.save('theirs.npy', e)\n"
      "  ours, theirs = open(file, 'rb').read(), open('theirs.npy', 'rb').read()\n"
      "  if np.__version__ >= '1.24' and np.__version__ < '1.27':\n"
      "    assert ours == theirs, (file, ours[:200], theirs[:200])\n");
}

TEST_F(NpyNumpy, HeadersOfManyLengthsAreNumpysToTheByte) {
  std::string shapes;
  std::vector<Dims> all;
  for (std::size_t ndim = 0; ndim <= 32; ++ndim)
    for (const std::int64_t dim : {1, 2, 3}) {
      Dims shape(ndim, 1);
      for (std::size_t axis = 0; axis < std::min<std::size_t>(ndim, 9); ++axis)
        shape[axis] = axis % 2 == 0 ? dim : 10 * dim;
      all.push_back(shape);
    }
  for (std::size_t i = 0; i < all.size(); ++i) {
    testing::write_file(directory_ / fmt::format("{}.header", i),
                        format_npy_header(*make_spec(DType::kUint8, all[i])));
    shapes += python_tuple(all[i]) + ",\n";
  }
  run("import io\nif not '1.24' <= np.__version__ < '1.27': sys.exit()\n"
      "for i, shape in enumerate([" +
      shapes +
      "]):\n"
      "  f = io.BytesIO()\n"
      "  np.lib.format.write_array_header_1_0(f, {'descr': '|u1', 'fortran_order': False, 'shape': shape})\n"
      "  assert f.getvalue() == open(f'{i}.header', 'rb').read(), (shape, f.getvalue())\n");
}

TEST_F(NpyNumpy, WhatNumpySavesAndWeDoNotServeIsRefusedByName) {
  run("def save(name, a): np.save(name, np.asarray(a))\n"
      "save('object', np.array([None, 1]))\n"
      "save('long', np.zeros(3, 'longdouble'))\n"
      "save('text', ['a', 'bc'])\n"
      "save('bytes', [b'a', b'bc'])\n"
      "save('date', np.zeros(3, 'datetime64[ns]'))\n"
      "save('fields', np.zeros(3, [('a', '<f8'), ('b', '<i4')]))\n"
      "save('raw', np.zeros(3, 'V7'))\n"
      "np.savez('archive.npy.npz', a=np.zeros(3))\n");
  for (const auto& [file, why] : std::map<std::string, std::string>{{"object.npy", "Python objects"},
                                                                    {"long.npy", "long double"},
                                                                    {"text.npy", "strings"},
                                                                    {"bytes.npy", "strings"},
                                                                    {"date.npy", "dates"},
                                                                    {"fields.npy", "several fields"},
                                                                    {"raw.npy", "raw"},
                                                                    {"archive.npy.npz", "archive"}}) {
    const auto fd = open_npy(directory_ / file, false);
    ASSERT_TRUE(fd);
    const auto header = read_npy_header(fd->get(), file);
    ASSERT_FALSE(header) << file;
    EXPECT_NE(header.error().message.find(why), std::string::npos) << header.error().message;
  }
}

}  // namespace
}  // namespace parcompute
