#include "common/array/npy.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include <fmt/format.h>

#include "common/array/npy_literal.h"
#include "common/base/checked.h"
#include "common/base/invariant.h"

namespace parcompute {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::size_t kPreamble = 8;  // magic and version
constexpr std::size_t kAlignment = 64;
constexpr std::size_t kMaxDict = kMaxNpyHeaderBytes - 12;
// Where an array of any size can later write its longest axis without moving the data: digits of 2^64, and
// one.
constexpr std::size_t kGrowthDigits = 21;
constexpr char kNativeOrder = std::endian::native == std::endian::little ? '<' : '>';

tl::unexpected<Error> refuse(std::string message) {
  return fail(ErrorCode::kBadData, std::move(message));
}

struct Elements {
  DType dtype;
  bool swapped;
  bool is_half = false;
};

// Why a dtype of NumPy's is not served, and what to do.
std::string refusal_of(std::string_view descr) {
  const std::string_view type = descr.find_first_of("<>=|") == 0 ? descr.substr(1) : descr;
  const auto is = [&](std::string_view prefix) { return type.starts_with(prefix); };
  if (is("O"))
    return "holds Python objects, which have no meaning outside of their process; convert them with numpy "
           "first: "
           "numpy.save(path, a.astype('float64'))";
  if (type == "f16" || type == "f12")
    return "holds long double elements, which differ by machine; convert it with numpy first: "
           "numpy.save(path, a.astype('float64'))";
  if (type == "c32" || type == "c24")
    return "holds complex long double elements, which differ by machine; convert it with numpy first: "
           "numpy.save(path, a.astype('complex128'))";
  if (is("S") || is("U") || is("a"))
    return fmt::format("holds strings ('{}'); convert it with numpy first, to numbers", npy_printable(descr));
  if (is("M8") || is("m8"))
    return fmt::format(
        "holds dates or time spans ('{}'); convert it with numpy first: numpy.save(path, a.view('int64'))",
        npy_printable(descr));
  if (is("V"))
    return fmt::format("holds raw or structured elements ('{}'); save one field alone with numpy first",
                       npy_printable(descr));
  return fmt::format("holds elements of dtype '{}'; convert it with numpy first, to one of {}",
                     npy_printable(descr), dtype_names());
}

Result<Elements> parse_descr(std::string_view descr) {
  if (!descr.empty() && descr.find_first_of("<>=|") == 0) {
    const char order = descr.front();
    // '|' says that there is no order, '=' that it is this machine's.
    const bool is_foreign = (order == '<' || order == '>') && order != kNativeOrder;
    for (const DTypeInfo& row : kDTypes)
      if (row.descr == descr.substr(1)) return Elements{row.dtype, row.itemsize > 1 && is_foreign};
    if (descr.substr(1) == "f2") return Elements{DType::kUint16, is_foreign, true};
  }
  return refuse(refusal_of(descr));
}

std::uint64_t little_endian(std::span<const std::byte> bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) value = value << 8 | std::to_integer<std::uint64_t>(bytes[i]);
  return value;
}

Result<void> check_magic(std::span<const std::byte> beginning, std::string_view label) {
  const auto begins_with = [&](std::string_view magic) {
    return beginning.size() >= magic.size() && std::memcmp(beginning.data(), magic.data(), magic.size()) == 0;
  };
  if (begins_with(kMagic)) return {};
  if (beginning.empty()) return refuse(fmt::format("'{}' is empty; write it with numpy.save", label));
  if (begins_with("PK\x03\x04"))
    return refuse(
        fmt::format("'{}' is a .npz archive; unpack it first: each of its members is a .npy file", label));
  return refuse(fmt::format(
      "'{}' is not a .npy file: its first bytes are not NumPy's; write it with numpy.save", label));
}

}  // namespace

Result<NpyHeader> parse_npy_header(std::span<const std::byte> beginning, std::string_view label) {
  if (auto ok = check_magic(beginning, label); !ok) return fail(ok.error());
  const auto truncated = [&] {
    return refuse(
        fmt::format("'{}' is truncated: it ends inside its header; copy it again, or save it again", label));
  };
  if (beginning.size() < kPreamble) return truncated();
  const auto major = std::to_integer<unsigned>(beginning[6]);
  const auto minor = std::to_integer<unsigned>(beginning[7]);
  if (major < 1 || major > 3 || minor != 0)
    return refuse(fmt::format("'{}' is a .npy file of version {}.{}; 1.0, 2.0 and 3.0 can be read", label,
                              major, minor));

  const std::size_t length_bytes = major == 1 ? 2 : 4;
  const std::size_t dict_offset = kPreamble + length_bytes;
  if (beginning.size() < dict_offset) return truncated();
  const std::uint64_t length = little_endian(beginning.subspan(kPreamble, length_bytes));
  if (length > kMaxDict)
    return refuse(fmt::format("'{}' has a header of {} bytes; more than {} are refused, as numpy does", label,
                              length, kMaxDict));
  if (beginning.size() - dict_offset < length) return truncated();

  const std::span<const std::byte> text = beginning.subspan(dict_offset, static_cast<std::size_t>(length));
  auto dict = parse_npy_dict({reinterpret_cast<const char*>(text.data()), text.size()});
  if (!dict) return refuse(fmt::format("'{}' cannot be read: its header {}", label, dict.error().message));
  const auto elements = parse_descr(dict->descr);
  if (!elements) return refuse(fmt::format("'{}' {}", label, elements.error().message));
  auto spec =
      make_spec(elements->dtype, std::move(dict->shape), dict->fortran_order ? Order::kFortran : Order::kC);
  if (!spec) return refuse(fmt::format("'{}' cannot be read: {}", label, spec.error().message));
  return NpyHeader{*std::move(spec), elements->swapped, elements->is_half, dict_offset + length};
}

std::string format_npy_header(const ArraySpec& spec) {
  PARCOMPUTE_INVARIANT(is_dense(spec));
  const bool fortran = !is_c_contiguous(spec);
  const DTypeInfo& dtype = info(spec.dtype);

  std::string shape = "(";
  for (std::size_t axis = 0; axis < spec.ndim(); ++axis)
    shape.append(axis == 0 ? "" : ", ").append(std::to_string(spec.shape[axis]));
  shape.append(spec.ndim() == 1 ? ",)" : ")");

  std::string dict =
      fmt::format("{{'descr': '{}{}', 'fortran_order': {}, 'shape': {}, }}",
                  dtype.itemsize == 1 ? '|' : kNativeOrder, dtype.descr, fortran ? "True" : "False", shape);
  if (spec.ndim() > 0) {
    const std::size_t digits = std::to_string(fortran ? spec.shape.back() : spec.shape.front()).size();
    dict.append(kGrowthDigits - digits, ' ');
  }
  // At least one space, also where none is needed: that is numpy.save's way.
  const std::size_t used = kPreamble + 2 + dict.size() + 1;
  dict.append(kAlignment - used % kAlignment, ' ').push_back('\n');

  // 32 dimensions of 20 digits stay far below the 65535 bytes of version 1.
  std::string header(kMagic);
  header.append({'\x01', '\x00', static_cast<char>(dict.size() & 0xff), static_cast<char>(dict.size() >> 8)});
  return header + dict;
}

}  // namespace parcompute
