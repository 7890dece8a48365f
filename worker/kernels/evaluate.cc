// evaluate: expressions, element by element and reduced (plan: common/operation/evaluate_plan.cc).
#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>

#include <hwy/cache_control.h>

#include "common/operation/evaluate_plan.h"
#include "worker/kernels/evaluate_pieces.h"
#include "worker/kernels/evaluator.h"
#include "worker/kernels/gather.h"
#include "worker/kernels/kernels_made.h"
#include "worker/kernels/reduce_tile.h"
#include "worker/kernels/stream_copy.h"

namespace parcompute {
namespace {

// Results above this are written around the caches: they would be gone again before anybody reads them.
constexpr std::uint64_t kStreamedBytes = 16 * 1024 * 1024;

// One stage in this worker's hands.
class StageRunner {
 public:
  StageRunner(const Stage& stage, const StageLayout& layout, std::vector<Evaluator::Source> sources, std::byte* result, std::byte* partials)
      : stage_(stage),
        layout_(layout),
        results_(coalesced(layout.result)),
        result_(result),
        partials_(partials),
        evaluator_(stage.program, std::move(sources), layout.reduces ? layout.columns * layout.lanes : layout.row > 0 ? kTileRows * kTileColumns : 0, layout.row > 0),
        streams_(byte_count(stage.result) >= kStreamedBytes) {
    if (!layout.reduces) return;
    whole_ = evaluator_.whole(stage.reduction->reducer == Reducer::kSum);
    tile_ = make_reduce_tile(*stage.reduction, stage.program.dtype, layout.columns, layout.lanes, whole_ ? whole_->addend : Addend::kElement);
    if (!whole_ && stage.reduction->reducer == Reducer::kVar)
      pass_.resize(layout.pass_rows * layout.columns * itemsize(stage.program.dtype));
  }

  Result<void> run(EvaluateStep::Kind kind, BlockRange blocks) {
    switch (kind) {
      case EvaluateStep::Kind::kMap: return map(blocks);
      case EvaluateStep::Kind::kReduce: return reduce(blocks);
      case EvaluateStep::Kind::kCombine: return combine(blocks);
    }
    __builtin_unreachable();
  }

 private:
  std::uint64_t size() const { return itemsize(stage_.result.dtype); }

  // ---- without a reduction

  Result<void> map(BlockRange blocks) {
    const std::uint64_t begin = blocks.first * layout_.elements_per_block;
    const std::uint64_t end = std::min(layout_.results(), (blocks.first + blocks.count) * layout_.elements_per_block);
    if (layout_.row > 0) return map_tiles(begin / layout_.row, end / layout_.row);
    for (std::uint64_t at = begin; at < end;) {
      const std::size_t count = std::min<std::uint64_t>(evaluator_.strip(), end - at);
      std::byte* const to = result_ + at * size();
      if (streams_) {
        const std::size_t ahead = std::min<std::uint64_t>(evaluator_.strip(), end - at - count);
        if (auto ok = evaluator_.stream(at, count, to, ahead); !ok) return ok;
      } else {
        const auto computed = evaluator_.run(at, count, to);
        if (!computed) return fail(computed.error());
        if (*computed != to) std::memcpy(to, *computed, count * size());
      }
      at += count;
    }
    if (streams_) hwy::FlushStream();
    return {};
  }

  // Rows [begin, end), tile by tile.
  Result<void> map_tiles(std::uint64_t begin, std::uint64_t end) {
    for (std::uint64_t first = begin; first < end; first += kTileRows) {
      const std::size_t rows = std::min(kTileRows, end - first);
      for (std::uint64_t column = 0; column < layout_.row; column += kTileColumns) {
        const std::size_t columns = std::min(kTileColumns, layout_.row - column);
        const auto computed = evaluator_.run_tile(layout_.row, first, rows, column, columns);
        if (!computed) return fail(computed.error());
        for (std::size_t r = 0; r < rows; ++r)
          std::memcpy(result_ + ((first + r) * layout_.row + column) * size(), *computed + r * columns * size(), columns * size());
      }
    }
    return {};
  }

  // ---- with one

  // A tile: the results of one outer index and one run of inner ones.
  struct Place {
    std::uint64_t outer = 0, segment = 0, first_column = 0;
    std::size_t columns = 0;
  };

  Result<void> reduce(BlockRange blocks) {
    for (std::uint64_t block = blocks.first; block < blocks.first + blocks.count; ++block) {
      if (layout_.segments > 1) {
        // Neighbouring blocks are neighbours in memory: tiles, then segments, then outer elements.
        const Place place = place_of(block / layout_.tiles / layout_.segments, block / layout_.tiles % layout_.segments, block % layout_.tiles);
        if (auto ok = add_segment(place); !ok) return ok;
        store(place);
        continue;
      }
      const std::uint64_t begin = block * layout_.tiles_per_block;
      const std::uint64_t end = std::min(layout_.outer * layout_.tiles, begin + layout_.tiles_per_block);
      // Divisions once a block: a tile may be a few elements.
      std::uint64_t outer = begin / layout_.tiles, tile = begin % layout_.tiles;
      for (std::uint64_t at = begin; at < end; ++at) {
        const Place place = place_of(outer, 0, tile);
        if (auto ok = add_segment(place); !ok) return ok;
        if (auto ok = finish(place); !ok) return ok;
        if (++tile == layout_.tiles) {
          tile = 0;
          ++outer;
        }
      }
    }
    return {};
  }

  // The tile's results, in runs that lie at even distances.
  Result<void> finish(const Place& place) {
    const std::uint64_t first = place.outer * layout_.inner + place.first_column;
    if (results_.ndim() == 0) return tile_->finish(0, 1, result_, 0);
    const std::int64_t stride = results_.strides.back();
    if (results_.ndim() == 1) return tile_->finish(0, place.columns, result_ + static_cast<std::int64_t>(first) * stride, stride);
    const auto row = static_cast<std::uint64_t>(results_.shape.back());
    for (std::size_t column = 0; column < place.columns;) {
      const std::uint64_t index = first + column;
      const std::size_t run = std::min<std::uint64_t>(place.columns - column, row - index % row);
      if (auto ok = tile_->finish(column, run, result_at(index), stride); !ok) return ok;
      column += run;
    }
    return {};
  }

  Place place_of(std::uint64_t outer, std::uint64_t segment, std::uint64_t tile) const {
    const std::uint64_t first = tile * layout_.columns;
    return {outer, segment, first, static_cast<std::size_t>(std::min(layout_.columns, layout_.inner - first))};
  }

  std::uint64_t rows_of(std::uint64_t segment) const { return std::min(layout_.rows, layout_.reduced - segment * layout_.rows); }

  Result<void> add_segment(const Place& place) {
    tile_->begin(place.columns);
    const std::uint64_t begin = place.segment * layout_.rows;
    const std::uint64_t end = begin + rows_of(place.segment);
    for (std::uint64_t row = begin; row < end; row += layout_.pass_rows)
      if (auto ok = add_pass(place, row, std::min(layout_.pass_rows, end - row)); !ok) return ok;
    tile_->end();
    return {};
  }

  // Rows of the stage: `layout_.inner` elements each, of which the tile has `columns`.
  Result<void> add_pass(const Place& place, std::uint64_t row, std::uint64_t rows) {
    const std::uint64_t element = itemsize(stage_.program.dtype);
    const auto index_of = [&](std::uint64_t r) { return (place.outer * layout_.reduced + r) * layout_.inner + place.first_column; };
    if (whole_) {
      const std::uint64_t at = index_of(row) * element;
      tile_->add(whole_->x + at, row, rows, layout_.inner, whole_->y + at);
      return {};
    }
    // Whole rows lie one behind the other: as many as a strip holds, in whole turns of the lanes.
    const bool has_whole_rows = place.columns == layout_.inner;
    const std::uint64_t turn = layout_.lanes * place.columns;
    const std::uint64_t at_once = has_whole_rows ? std::max<std::uint64_t>(1, evaluator_.strip() / turn) * layout_.lanes : 1;
    std::byte* pass = pass_.data();
    for (std::uint64_t done = 0; done < rows;) {
      const std::uint64_t count = std::min(at_once, rows - done);
      const std::uint64_t elements = count * place.columns;
      const auto computed = evaluator_.run(index_of(row + done), elements, pass_.empty() ? nullptr : pass);
      if (!computed) return fail(computed.error());
      if (pass_.empty()) {
        tile_->add(*computed, row + done, count, place.columns);
      } else {
        if (*computed != pass) std::memcpy(pass, *computed, elements * element);
        pass += elements * element;
      }
      done += count;
    }
    if (!pass_.empty()) tile_->add(pass_.data(), row, rows, place.columns);
    return {};
  }

  std::byte* partial_at(std::uint64_t outer, std::uint64_t segment, std::uint64_t column) const {
    return partials_ + ((outer * layout_.segments + segment) * layout_.inner + column) * layout_.partial_bytes;
  }

  void store(const Place& place) const {
    for (std::size_t column = 0; column < place.columns; ++column)
      tile_->store(column, partial_at(place.outer, place.segment, place.first_column + column));
  }

  Result<void> combine(BlockRange blocks) {
    const std::uint64_t begin = blocks.first * layout_.results_per_block;
    const std::uint64_t end = std::min(layout_.results(), (blocks.first + blocks.count) * layout_.results_per_block);
    for (std::uint64_t result = begin; result < end; ++result) {
      const std::uint64_t outer = result / layout_.inner, column = result % layout_.inner;
      auto ok = tile_->combine(partial_at(outer, 0, column), layout_.segments, layout_.inner * layout_.partial_bytes, layout_.rows,
                               rows_of(layout_.segments - 1), result_at(result));
      if (!ok) return ok;
    }
    return {};
  }

  // Results are counted in the layout's order and lie in C order.
  std::byte* result_at(std::uint64_t index) const { return result_ + element_offset(results_, index); }

  const Stage& stage_;
  const StageLayout& layout_;
  ArraySpec results_;  // layout_.result, with fewer axes
  std::byte* result_;
  std::byte* partials_;
  Evaluator evaluator_;
  bool streams_;
  std::optional<Evaluator::Whole> whole_;  // what is added where it lies
  std::unique_ptr<ReduceTile> tile_;
  std::vector<std::byte> pass_;  // the elements of one pass, where they are computed and read twice
};

class Evaluate final : public Kernel {
 public:
  explicit Evaluate(KernelJob job) : job_(std::move(job)), plan_(*job_.plan.evaluate), runners_(plan_.layouts.size()) {}

  Result<void> run(std::size_t phase, BlockRange blocks, ScalarBytes& value) override {
    if (job_.plan.pieces && phase + 1 == plan_.phases.size()) return piece_store().run(blocks);
    for (const EvaluateStep& step : plan_.phases[phase])
      if (auto ok = runner(step.stage).run(step.kind, blocks); !ok) return ok;
    if (phase + 1 == plan_.phases.size() && job_.plan.scalar) {
      value = {};
      std::memcpy(value.data(), result_of(plan_.layouts.size() - 1), itemsize(*job_.plan.scalar));
    }
    return {};
  }

 private:
  // The last stage's is the job's own, or, of a scalar that no array shall hold, this kernel's.
  std::byte* result_of(std::size_t stage) {
    if (stage + 1 < plan_.layouts.size()) return job_.scratch.data() + plan_.result_offsets[stage];
    return job_.outputs.empty() ? scalar_ : first_element(job_.outputs[0]);
  }

  // Made when it is first asked for: most workers see some of the stages alone.
  StageRunner& runner(std::size_t index) {
    if (runners_[index]) return *runners_[index];
    const Stage& stage = plan_.evaluation.stages[index];
    const StageLayout& layout = plan_.layouts[index];
    std::byte* partials = layout.partials_bytes() == 0 ? nullptr : job_.scratch.data() + plan_.partial_offsets[index];
    runners_[index] = std::make_unique<StageRunner>(stage, layout, sources(stage, layout), result_of(index), partials);
    return *runners_[index];
  }

  PieceStore& piece_store() {
    const Stage& stage = plan_.evaluation.stages.back();
    const StoredPieces& pieces = *job_.plan.pieces;
    if (!piece_store_)
      piece_store_.emplace(stage, pieces, sources(stage, pieces.layout), job_.outputs[0].data, *job_.redo, job_.plan.overwrites_operands);
    return *piece_store_;
  }

  std::vector<Evaluator::Source> sources(const Stage& stage, const StageLayout& layout) {
    std::vector<Evaluator::Source> all;
    for (std::size_t i = 0; i < stage.program.inputs.size(); ++i) {
      const ProgramInput& input = stage.program.inputs[i];
      const bool from_stage = input.from == ProgramInput::From::kStage;
      all.push_back({layout.inputs[i], from_stage ? result_of(input.index) : job_.inputs[input.index].data});
    }
    return all;
  }

  KernelJob job_;
  const EvaluatePlan& plan_;  // the job's plan holds it
  std::vector<std::unique_ptr<StageRunner>> runners_;
  std::optional<PieceStore> piece_store_;  // in place of the last one
  alignas(16) std::byte scalar_[16] = {};
};

// A job whose program was refused.
class Refused final : public Kernel {
 public:
  explicit Refused(Error error) : error_(std::move(error)) {}
  Result<void> run(std::size_t, BlockRange, ScalarBytes&) override { return fail(error_); }

 private:
  Error error_;
};

}  // namespace

std::unique_ptr<Kernel> make_evaluate(KernelJob job) {
  std::vector<ArraySpec> specs;
  for (const View& input : job.inputs) specs.push_back(input.spec);
  if (auto ok = verify(job.plan.evaluate->evaluation, specs); !ok) return std::make_unique<Refused>(ok.error());
  return std::make_unique<Evaluate>(std::move(job));
}

}  // namespace parcompute
