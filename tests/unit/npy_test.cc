#include "common/array/npy.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace parcompute {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using namespace std::string_literals;

// A header of `version` around a dict; the length is right unless told otherwise.
std::string header_of(const std::string& dict, int version = 1, std::uint32_t length_error = 0) {
  std::string bytes = "\x93NUMPY"s;
  bytes.push_back(static_cast<char>(version));
  bytes.push_back('\0');
  const auto length = static_cast<std::uint32_t>(dict.size()) + length_error;
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i)
    bytes.push_back(static_cast<char>(length >> (8 * i) & 0xff));
  return bytes + dict;
}

Result<NpyHeader> parse(const std::string& bytes) {
  return parse_npy_header(std::as_bytes(std::span(bytes)), "x.npy");
}
Result<NpyHeader> parse_dict(const std::string& dict) {
  return parse(header_of(dict));
}
std::string with_descr(const std::string& descr) {
  return "{'descr': '" + descr + "', 'fortran_order': False, 'shape': (3,), }\n";
}
std::string with_shape(const std::string& shape) {
  return "{'descr': '<f8', 'fortran_order': False, 'shape': " + shape + ", }\n";
}

void expect_refused(const std::string& bytes, const std::string& why) {
  const auto header = parse(bytes);
  ASSERT_FALSE(header) << bytes;
  EXPECT_EQ(header.error().code, ErrorCode::kBadData);
  EXPECT_THAT(header.error().message, AllOf(StartsWith("'x.npy' "), HasSubstr(why)));
}

TEST(Npy, ReadsAHeaderOfEachVersion) {
  for (const int version : {1, 2, 3}) {
    const auto header =
        parse(header_of("{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }   \n", version));
    ASSERT_TRUE(header) << header.error().message;
    EXPECT_EQ(header->spec, *make_spec(DType::kFloat64, {3, 4}));
    EXPECT_FALSE(header->swapped);
    EXPECT_EQ(header->data_offset, (version == 1 ? 10u : 12u) + 63u);
  }
}

TEST(Npy, ReadsFortranOrder) {
  const auto header = parse_dict("{'descr': '<i2', 'fortran_order': True, 'shape': (3, 4), }");
  ASSERT_TRUE(header);
  EXPECT_EQ(header->spec.strides, (Dims{2, 6}));
}

TEST(Npy, ReadsEveryDTypeInBothByteOrders) {
  for (const DTypeInfo& row : kDTypes) {
    for (const char order : {'<', '>', '=', '|'}) {
      const auto header = parse_dict(with_descr(order + std::string(row.descr)));
      ASSERT_TRUE(header) << header.error().message;
      EXPECT_EQ(header->spec.dtype, row.dtype);
      EXPECT_EQ(header->swapped, order == '>' && row.itemsize > 1) << row.name << order;
    }
  }
}

TEST(Npy, ReadsFloat16AsItsBits) {
  for (const char order : {'<', '>', '=', '|'}) {
    const auto header = parse_dict(with_descr(order + std::string("f2")));
    ASSERT_TRUE(header) << header.error().message;
    EXPECT_EQ(header->spec, *make_spec(DType::kUint16, {3}));
    EXPECT_TRUE(header->is_half);
    EXPECT_EQ(header->swapped, order == '>');
  }
  EXPECT_FALSE(parse_dict(with_descr("<u2"))->is_half);
}

TEST(Npy, ReadsKeysInAnyOrderAndAnyWhiteSpace) {
  for (const char* dict : {
           "{'shape':(3,4),'fortran_order':False,'descr':'<f8'}",
           "  {\n\t\"shape\" : ( 3 , 4 , ) ,\r\n 'fortran_order' :False , \"descr\": \"<f8\" , } \n ",
           "{'descr': '<f8', 'fortran_order': False, 'shape': (3L, 4L), }",
           "{'descr': '\\<f8', 'fortran_order': False, 'shape': (3, 4)}",
       }) {
    const auto header = parse_dict(dict);
    if (std::string_view(dict).find("\\<") != std::string_view::npos) {
      EXPECT_FALSE(header) << "an unknown escape was let through";
      continue;
    }
    ASSERT_TRUE(header) << dict << ": " << header.error().message;
    EXPECT_EQ(header->spec.shape, (Dims{3, 4}));
  }
}

TEST(Npy, ReadsShapesWithoutDimensionsAndWithoutElements) {
  EXPECT_EQ(parse_dict(with_shape("()"))->spec.shape, Dims{});
  EXPECT_EQ(parse_dict(with_shape("(0,)"))->spec.shape, Dims{0});
  EXPECT_EQ(parse_dict(with_shape("(5, 0, 7)"))->spec.shape, (Dims{5, 0, 7}));
  std::string ones = "(";
  for (int i = 0; i < 32; ++i) ones += "1, ";
  EXPECT_EQ(parse_dict(with_shape(ones + ")"))->spec.ndim(), 32u);
  expect_refused(header_of(with_shape(ones + "1)")), "more than 32 dimensions");
}

TEST(Npy, ObjectArraysAreRefusedWithTheWayOut) {
  expect_refused(header_of(with_descr("|O")), "holds Python objects");
  expect_refused(header_of(with_descr("|O8")), "astype('float64')");
}

TEST(Npy, EveryOtherKindOfElementIsRefusedByName) {
  expect_refused(header_of(with_descr("<f16")), "long double");
  expect_refused(header_of(with_descr("<c32")), "complex long double");
  expect_refused(header_of(with_descr("|S5")), "strings ('|S5')");
  expect_refused(header_of(with_descr("<U3")), "strings ('<U3')");
  expect_refused(header_of(with_descr("<M8[ns]")), "view('int64')");
  expect_refused(header_of(with_descr("|V16")), "raw or structured");
  expect_refused(header_of("{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (3,), }"),
                 "several fields");
  expect_refused(header_of("{'descr': ('<f8', (2,)), 'fortran_order': False, 'shape': (3,), }"),
                 "several fields");
  for (const char* descr : {"", "f8", "<", "<f", "<f88", "<f8 ", "<F8", "<g16", "<b1x", "<<f8", "<i3"})
    expect_refused(header_of(with_descr(descr)), "convert it with numpy first");
}

TEST(Npy, HostileTextIsNotEchoedToTheTerminal) {
  const auto header = parse_dict(with_descr("\x1b[31m" + std::string(500, 'x')));
  ASSERT_FALSE(header);
  EXPECT_EQ(header.error().message.find('\x1b'), std::string::npos);
  EXPECT_LT(header.error().message.size(), 300u);
}

TEST(Npy, HostileShapesAreRefused) {
  expect_refused(header_of(with_shape("(-1,)")), "negative");
  expect_refused(header_of(with_shape("(9223372036854775808,)")), "too large");
  expect_refused(header_of(with_shape("(9223372036854775807,)")), "larger than any memory");
  expect_refused(header_of(with_shape("(4294967296, 4294967296)")), "larger than any memory");
  expect_refused(header_of(with_shape("(0, 4294967296, 4294967296)")), "larger than any memory");
  expect_refused(header_of(with_shape("(" + std::string(5000, '9') + ",)")), "too large");
  expect_refused(header_of(with_shape("(3)")), "no tuple");
  for (const char* shape : {"3", "[3]", "(3,,)", "(,)", "(3 4)", "(03,)", "(+3,)", "(3.0,)", "(0x3,)",
                            "(3LL,)", "('3',)", "(3", "(True,)", "None", "((3,),)", "(1_0,)"})
    expect_refused(header_of(with_shape(shape)), "where");
}

TEST(Npy, KeysMustBeThereOnceAndBeKnown) {
  expect_refused(header_of("{}"), "lacks 'descr'");
  expect_refused(header_of("{'descr': '<f8', 'shape': (3,)}"), "lacks 'fortran_order'");
  expect_refused(header_of("{'descr': '<f8', 'fortran_order': False}"), "lacks 'shape'");
  expect_refused(header_of("{'descr': '<f8', 'descr': '<f8', 'fortran_order': False, 'shape': (3,)}"),
                 "twice");
  expect_refused(header_of("{'shape': (1,), 'fortran_order': False, 'shape': (3,), 'descr': '<f8'}"),
                 "twice");
  expect_refused(header_of("{'descr': '<f8', 'fortran_order': False, 'shape': (3,), 'x': 1}"),
                 "an entry 'x'");
}

TEST(Npy, WhatIsNoDictIsRefused) {
  for (const char* dict :
       {"", " ", "\n", "[]", "{", "{'descr", "{'descr'", "{'descr':", "{'descr': '<f8'", "{'descr': '<f8',",
        "{descr: '<f8'}", "{'descr' '<f8'}", "{'fortran_order': 0}", "{'fortran_order': None}",
        "{'fortran_order': true}", "{,}", "{'descr': '<f8\n'}", "{'descr': '<f8\\"})
    expect_refused(header_of(dict), "its header ");
  expect_refused(header_of(with_shape("(3,)") + "{}"), "its header ");
  expect_refused(header_of(with_shape("(3,)") + "\0"s), "its header ");
}

TEST(Npy, AHeaderThatEndsEarlyIsTruncated) {
  for (const int version : {1, 2}) {
    const std::string whole = header_of(with_shape("(3,)"), version);
    for (std::size_t size = 1; size < whole.size(); ++size)
      expect_refused(whole.substr(0, size), size < 6 ? "not a .npy file" : "truncated");
  }
  expect_refused(header_of(with_shape("(3,)"), 1, 1), "truncated");
}

TEST(Npy, LongHeadersAreRefusedAsNumpyDoes) {
  const std::string dict = with_shape("(3,)");
  EXPECT_TRUE(parse(header_of(dict + std::string(10000 - dict.size(), ' '))));
  expect_refused(header_of(dict + std::string(10001 - dict.size(), ' ')), "10001 bytes");
  expect_refused(header_of(dict, 2, 0xffff0000), "more than 10000");
}

TEST(Npy, OtherFilesAreRefusedByWhatTheyAre) {
  expect_refused("", "empty");
  expect_refused("PK\x03\x04 and more", "archive");
  expect_refused("hello, world", "not a .npy file");
  expect_refused("\x93NUMPY\x04\0\x10\0{}"s, "version 4.0");
  expect_refused("\x93NUMPY\x01\x01\x10\0{}"s, "version 1.1");
  expect_refused("\x93NUMPY\0\0\x10\0{}"s, "version 0.0");
}

TEST(Npy, WrittenHeadersAreReadBack) {
  for (const DTypeInfo& row : kDTypes) {
    for (const Order order : {Order::kC, Order::kFortran}) {
      for (const Dims& shape :
           {Dims{}, Dims{0}, Dims{7}, Dims{3, 4}, Dims{2, 3, 4}, Dims(32, 1), Dims{1, 5}}) {
        const ArraySpec spec = *make_spec(row.dtype, shape, order);
        const std::string bytes = format_npy_header(spec);
        const auto header = parse(bytes);
        ASSERT_TRUE(header) << header.error().message;
        EXPECT_EQ(header->data_offset, bytes.size());
        EXPECT_EQ(bytes.size() % 64, 0u);
        EXPECT_EQ(header->spec.dtype, spec.dtype);
        EXPECT_EQ(header->spec.shape, spec.shape);
        EXPECT_EQ(is_c_contiguous(header->spec), is_c_contiguous(spec));
        EXPECT_EQ(is_f_contiguous(header->spec), is_f_contiguous(spec));
      }
    }
  }
}

TEST(Npy, TheLongestHeaderStaysReadable) {
  Dims shape(kMaxDims, 1);
  shape[0] = std::int64_t{1} << 58;
  const auto header = parse(format_npy_header(*make_spec(DType::kFloat64, shape)));
  ASSERT_TRUE(header) << header.error().message;
  EXPECT_EQ(header->spec.shape, shape);
}

TEST(NpyDeathTest, AStridedArrayHasNoHeader) {
  const ArraySpec spec{DType::kFloat64, {4}, {16}, 0};
  EXPECT_DEATH((void)format_npy_header(spec), "is_dense");
}

}  // namespace
}  // namespace parcompute
