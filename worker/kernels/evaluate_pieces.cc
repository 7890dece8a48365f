#include "worker/kernels/evaluate_pieces.h"

#include <algorithm>
#include <cstring>

#include "common/base/invariant.h"
#include "worker/kernels/gather.h"
#include "worker/kernels/loops.h"

namespace parcompute {
namespace {

// Pieces begin where vectors do.
constexpr std::size_t kPieceStep = 64;
// So long that a piece's results and what they replace fit into a small first-level cache: the copy costs half of what it does from the
// second level.
constexpr std::size_t kMostPieceBytes = 16 * 1024;

// As memcpy. The next piece, of `next` bytes behind this one, is asked of the memory on the way: it would have nothing to do while a piece that
// is in the cache is copied, and it is what limits these jobs.
void copy_while_fetching(std::byte* to, const std::byte* from, std::size_t bytes, std::size_t next) {
  constexpr std::size_t kStep = 512, kLine = 64;
  std::byte* const ahead = to + bytes;
  for (std::size_t at = 0; at < bytes; at += kStep) {
    for (std::size_t line = at; line < std::min(at + kStep, next); line += kLine) __builtin_prefetch(ahead + line, 1);
    std::memcpy(to + at, from + at, std::min(kStep, bytes - at));
  }
}

}  // namespace

PieceStore::PieceStore(const Stage& stage, const StoredPieces& pieces, std::vector<Evaluator::Source> sources, std::byte* data, RedoLog& log, bool overwrites_operands)
    : layout_(pieces.layout),
      target_(coalesced(pieces.target)),
      data_(data),
      log_(log),
      logs_(overwrites_operands),
      piece_(std::min(log.buffer().size(), kMostPieceBytes) / itemsize(target_.dtype) / kPieceStep * kPieceStep),
      result_bytes_(itemsize(stage.result.dtype)),
      target_bytes_(itemsize(target_.dtype)),
      is_dense_(target_.ndim() == 0 || (target_.ndim() == 1 && target_.strides[0] == static_cast<std::int64_t>(target_bytes_))),
      cast_(stage.result.dtype == target_.dtype ? nullptr : find_cast(stage.result.dtype, target_.dtype)),
      evaluator_(stage.program, std::move(sources)) {
  PARCOMPUTE_INVARIANT(piece_ > 0);
}

Result<void> PieceStore::run(BlockRange blocks) {
  const std::uint64_t begin = blocks.first * layout_.elements_per_block;
  const std::uint64_t end = std::min(layout_.results(), (blocks.first + blocks.count) * layout_.elements_per_block);
  std::uint64_t piece = logs_ ? log_.published() : 0;
  for (std::uint64_t at = begin + piece * piece_; at < end; at += piece_, ++piece) {
    const std::size_t count = std::min<std::uint64_t>(piece_, end - at);
    if (!logs_ || log_.computed() == piece) {
      if (auto ok = compute(at, count); !ok) return ok;
      if (logs_) log_.set_computed();
    }
    publish(at, count, std::min<std::uint64_t>(piece_, end - at - count));
    if (logs_) log_.set_published();
  }
  return {};
}

Result<void> PieceStore::compute(std::uint64_t first, std::size_t count) {
  std::byte* to = log_.buffer().data();
  for (std::size_t done = 0; done < count;) {
    const std::size_t strip = std::min(evaluator_.strip(), count - done);
    const auto computed = evaluator_.run(first + done, strip, cast_ == nullptr ? to : nullptr);
    if (!computed) return fail(computed.error());
    if (cast_ != nullptr) {
      Strip cast;
      cast.in[0] = *computed;
      cast.out = to;
      cast.count = strip;
      cast_(cast);
    } else if (*computed != to) {
      std::memcpy(to, *computed, strip * result_bytes_);
    }
    done += strip;
    to += strip * target_bytes_;
  }
  return {};
}

void PieceStore::publish(std::uint64_t first, std::size_t count, std::size_t next) const {
  if (is_dense_) {
    copy_while_fetching(first_element(target_, data_) + first * target_bytes_, log_.buffer().data(), count * target_bytes_, next * target_bytes_);
  } else {
    scatter(target_, data_, first, count, log_.buffer().data());
  }
}

}  // namespace parcompute
