// NumPy's .npy files: one array, a header in front.
//
//   0x93 'N' 'U' 'M' 'P' 'Y'  major minor  length (2 bytes, from version 2 on 4; little-endian)
//   {'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }   padded with spaces to a multiple of 64, a
//   newline the elements
//
// Versions 1, 2 and 3 are read, in C and Fortran order and either byte order, of the dtypes in dtype.h and of
// float16, which an import makes float32 of; everything else is refused by its name and with the way out. The bytes
// may come from anyone: nothing in them is believed before it is checked, and no header can cost more than
// kMaxNpyHeaderBytes. Written is what numpy.save writes, to the byte.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "common/array/array_spec.h"
#include "common/base/error.h"
#include "common/os/unique_fd.h"

namespace parcompute {

// Magic, version, length and the dict. NumPy refuses dicts above 10000 bytes by default, and so do we.
inline constexpr std::size_t kMaxNpyHeaderBytes = 12 + 10000;

struct NpyHeader {
  ArraySpec spec;        // dense, strides by the file's order, offset 0
  bool swapped = false;  // the elements have the other byte order than this machine
  bool is_half = false;  // float16: the spec is that of their bits, as uint16
  std::uint64_t data_offset =
      0;  // bytes from the file's beginning to the first element; any number, not aligned
};

// `beginning` is the file's first bytes: all of them, or kMaxNpyHeaderBytes. `label` is what a person calls
// the file.
Result<NpyHeader> parse_npy_header(std::span<const std::byte> beginning, std::string_view label);

// What numpy.save writes in front of a dense array. A bug for a spec that is not dense.
std::string format_npy_header(const ArraySpec& spec);

// ---- files
// ---------------------------------------------------------------------------------------------------

// Never blocks, also not on a FIFO. Whatever is no regular file is refused.
Result<UniqueFd> open_npy(const std::string& path, bool writable);

// Reads with pread and checks that the file holds all the elements that its header promises.
Result<NpyHeader> read_npy_header(int fd, std::string_view label);

// Writes a checked array whose element (0, ..., 0) lies at `element0` (spec.offset is not added), dense
// arrays in their own order, others in C order. The file appears, whole, under its name or not at all: see
// AtomicFile.
Result<void> write_npy(const std::string& path, const ArraySpec& spec, const std::byte* element0);

}  // namespace parcompute
