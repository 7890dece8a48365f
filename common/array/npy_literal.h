// The Python literal in a .npy header, as far as numpy.save ever writes one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/array/array_spec.h"
#include "common/base/error.h"

namespace parcompute {

struct NpyDict {
  std::string descr;  // "<f8"
  bool fortran_order = false;
  Dims shape;
};

// {'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }: these keys, once each, in any order, white
// space anywhere. A structured dtype (a list or a tuple) is refused by that name. Messages are clauses that
// follow "its header ".
Result<NpyDict> parse_npy_dict(std::string_view text);

// Fit for one line on a terminal, however hostile: at most 40 printable characters.
std::string npy_printable(std::string_view text);

}  // namespace parcompute
