#include "worker/kernels/kernels_made.h"

namespace parcompute {
namespace {

class Nop final : public Kernel {
 public:
  Result<void> run(std::size_t, BlockRange, ScalarBytes&) override { return {}; }
};

}  // namespace

std::unique_ptr<Kernel> make_nop(KernelJob) {
  return std::make_unique<Nop>();
}

}  // namespace parcompute
