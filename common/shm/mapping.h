// Mapping: ownership of a range of this process's address space that shows a descriptor's bytes.
//
// A mapping outlives the descriptor and the name behind it. Touching a page that the file behind it does not reach any
// more (somebody truncated it) raises SIGBUS.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "common/base/error.h"

namespace boost::interprocess {
class mapped_region;
}

namespace parcompute {

enum class Access { kRead, kReadWrite };

class Mapping {
 public:
  Mapping();  // maps nothing
  Mapping(Mapping&&) noexcept;
  Mapping& operator=(Mapping&&) noexcept;
  ~Mapping();

  // `offset` need not lie on a page boundary. `bytes` may be 0: data() is then null.
  static Result<Mapping> map(int fd, std::uint64_t offset, std::uint64_t bytes, Access access, std::string_view subject);

  std::byte* data() const;
  std::uint64_t size() const;

 private:
  std::unique_ptr<boost::interprocess::mapped_region> region_;
};

}  // namespace parcompute
