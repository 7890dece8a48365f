// Three things make this fast, and all of them are exact.
//
// 1. Sieve. Every point takes its first kWindow steps with its count kept step by step; most points of a
// picture leave
//    here. Those that stay go to a pool of lanes, several vectors in flight; a lane that is done takes the
//    next point.
//
// 2. Windows without tests. A lane in the pool takes kWindow = 16 steps that neither count nor compare, and
// only then
//    looks at |z|^2. Claim: where |z|^2 < 3.99 after them, no state of the window had |z|^2 > 4 as computed.
//    Pool points have passed the test at z = c, so |c| <= 2 (1 + 2^-52). A step from |z| < 3 rounds x' and y'
//    each by less than 4e-15 in all. Let |z| >= 2 - d with 0 <= d < 0.1; then |z'| >= |z|^2 - |c| - 8e-15 >=
//    2 - 4 d - 9e-15. Computed |z|^2 > 4 means |z| > 2 - 1e-15, so d <= 1e-15 there, and 16 steps later d <=
//    4^16 * 1e-14 < 5e-5: |z|^2 > 3.999. From |z| >= 3 on, |z| grows, to infinity and NaN, which stay what
//    they are and fail the comparison. Lanes that do fail it go through the window again from its first
//    state, counting each step.
//
// 3. Cycles. A step is a function of z alone, so an orbit that returns to a state it has been in, exactly,
// stays in that
//    cycle for ever and its count is max_iter. At the end of every window z is compared with a remembered z,
//    which is renewed at growing distances (Brent, 1980). Rounded orbits inside the set settle into such
//    cycles early. Signs of zero do not matter: they change no later number, only signs of zero.
//
// y' = 2*(x*y) + cy is computed as a fused multiply-add where there is one: doubling is exact, so the sum is
// rounded once either way. x*x - y*y must not be fused.
#include "worker/kernels/mandelbrot_simd.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>
#include <utility>

#include "worker/kernels/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "worker/kernels/mandelbrot_simd.cc"
#include <hwy/foreach_target.h>
//
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace parcompute {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using D = hn::CappedTag<double, 8>;
using DI = hn::RebindToSigned<D>;
using V = hn::Vec<D>;
using VI = hn::Vec<DI>;
using M = hn::Mask<D>;

constexpr std::size_t kLanes = hn::MaxLanes(D());
constexpr std::int64_t kWindow = 16;
// Vectors of the pool: a step is a chain of three operations of four cycles, two of which may start in every
// cycle.
constexpr std::size_t kVectors = HWY_TARGET == HWY_AVX3 ? 6 : 4;
constexpr std::size_t kSlots = kVectors * kLanes;
// Vectors of the sieve.
constexpr std::size_t kSieveVectors = 4;
constexpr std::size_t kSieveSlots = kSieveVectors * kLanes;

constexpr double kEscape = 4.0;
constexpr double kNearEscape = 3.99;
constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();

HWY_INLINE void step(V cx, V cy, V& x, V& y) {
  const V xx = hn::Mul(x, x);
  const V yy = hn::Mul(y, y);
  const V xy = hn::Mul(x, y);
  x = hn::Add(hn::Sub(xx, yy), cx);
  y = hn::MulAdd(xy, hn::Set(D(), 2.0), cy);
}

HWY_INLINE M inside(V x, V y) {
  return hn::Le(hn::Add(hn::Mul(x, x), hn::Mul(y, y)), hn::Set(D(), kEscape));
}

// Points on their way, lane by lane.
struct Lanes {
  alignas(64) std::array<double, kSlots> cx, cy, x, y;
  alignas(64) std::array<double, kSlots> saved_x, saved_y;
  alignas(64) std::array<std::int64_t, kSlots> taken;    // steps so far
  alignas(64) std::array<std::int64_t, kSlots> save_at;  // when to remember z again
  std::array<std::uint64_t, kSlots> index;               // of the point in the run
};

// Points that passed the sieve, waiting for a lane.
struct Queue {
  static constexpr std::size_t kCapacity = 1024;
  std::array<double, kCapacity> cx, cy, x, y;
  std::array<std::uint64_t, kCapacity> index;
  std::size_t next = 0;
  std::size_t end = 0;
};

class Run {
 public:
  Run(const MandelbrotGrid& grid, std::uint64_t first, const std::function<std::uint64_t()>& more, std::int64_t* counts)
      : grid_(grid),
        counts_(counts),
        more_(more),
        row_(first / grid.ny),
        column_(first % grid.ny),
        row_x_(grid.x(row_)),
        max_iter_(static_cast<std::int64_t>(grid.max_iter)),
        last_window_(max_iter_ / kWindow * kWindow) {}

  void compute() {
    if (max_iter_ == 0) {
      for (; has_more(); sieved_ = count_) std::fill(counts_ + sieved_, counts_ + count_, 0);
      return;
    }
    std::size_t busy = 0;
    for (std::size_t slot = 0; slot < kSlots; ++slot) busy += take_next(slot) ? 1 : 0;
    while (busy != 0) {
      advance();
      for (std::size_t v = 0; v < kVectors; ++v) busy -= settle(v);
    }
  }

 private:
  // Whether there are points that have not begun.
  bool has_more() {
    if (sieved_ == count_) count_ += more_();
    return sieved_ < count_;
  }

  // The coordinates of the next points of the run; a short last batch is filled up with points that leave at
  // once.
  std::size_t next_points(double* cx, double* cy) {
    const std::size_t batch = std::min<std::uint64_t>(kSieveSlots, count_ - sieved_);
    for (std::size_t i = 0; i < batch; ++i) {
      cx[i] = row_x_;
      cy[i] = grid_.y(column_);
      if (++column_ == grid_.ny) {
        column_ = 0;
        row_x_ = grid_.x(++row_);
      }
    }
    for (std::size_t i = batch; i < kSieveSlots; ++i) cx[i] = cy[i] = 4;
    return batch;
  }

  // Sends the run's next points through their first window, until some wait in the queue or none are left.
  void sieve() {
    const D d;
    const DI di;
    queue_.next = queue_.end = 0;
    const std::int64_t steps = std::min(max_iter_, kWindow);
    alignas(64) double cx[kSieveSlots], cy[kSieveSlots], x[kSieveSlots], y[kSieveSlots];
    alignas(64) std::int64_t taken[kSieveSlots];
    while (sieved_ < count_ && queue_.end + kSieveSlots <= Queue::kCapacity) {
      const std::size_t batch = next_points(cx, cy);
      V vcx[kSieveVectors], vcy[kSieveVectors], vx[kSieveVectors], vy[kSieveVectors];
      VI vtaken[kSieveVectors];
      M alive[kSieveVectors];
      for (std::size_t v = 0; v < kSieveVectors; ++v) {
        vcx[v] = hn::Load(d, cx + v * kLanes);
        vcy[v] = hn::Load(d, cy + v * kLanes);
        vx[v] = vy[v] = hn::Zero(d);
        vtaken[v] = hn::Zero(di);
        alive[v] = hn::Eq(vx[v], vx[v]);
      }
      for (std::int64_t n = 0; n < steps; ++n) {
        for (std::size_t v = 0; v < kSieveVectors; ++v) {
          alive[v] = hn::And(alive[v], inside(vx[v], vy[v]));
          vtaken[v] =
              hn::IfThenElse(hn::RebindMask(di, alive[v]), hn::Add(vtaken[v], hn::Set(di, 1)), vtaken[v]);
          step(vcx[v], vcy[v], vx[v], vy[v]);
        }
        if (n % 2 == 1 && all_left(alive)) break;
      }
      for (std::size_t v = 0; v < kSieveVectors; ++v) {
        hn::Store(vx[v], d, x + v * kLanes);
        hn::Store(vy[v], d, y + v * kLanes);
        hn::Store(vtaken[v], di, taken + v * kLanes);
      }
      for (std::size_t i = 0; i < batch; ++i) {
        counts_[sieved_ + i] = taken[i];
        if (taken[i] == kWindow && max_iter_ > kWindow) enqueue(cx[i], cy[i], x[i], y[i], sieved_ + i);
      }
      sieved_ += batch;
    }
  }

  static bool all_left(const M* alive) {
    M any = alive[0];
    for (std::size_t v = 1; v < kSieveVectors; ++v) any = hn::Or(any, alive[v]);
    return hn::AllFalse(D(), any);
  }

  void enqueue(double cx, double cy, double x, double y, std::uint64_t index) {
    const std::size_t at = queue_.end++;
    queue_.cx[at] = cx;
    queue_.cy[at] = cy;
    queue_.x[at] = x;
    queue_.y[at] = y;
    queue_.index[at] = index;
  }

  // Gives the slot the next waiting point. False where there is none: the slot rests, in a state that nothing
  // ends.
  bool take_next(std::size_t slot) {
    lanes_.saved_x[slot] = lanes_.saved_y[slot] = std::numeric_limits<double>::quiet_NaN();
    while (queue_.next == queue_.end && has_more()) sieve();
    if (queue_.next == queue_.end) {
      lanes_.cx[slot] = lanes_.cy[slot] = lanes_.x[slot] = lanes_.y[slot] = 0;
      lanes_.taken[slot] = -(std::int64_t{1} << 62);
      lanes_.save_at[slot] = kNever;
      return false;
    }
    const std::size_t from = queue_.next++;
    lanes_.cx[slot] = queue_.cx[from];
    lanes_.cy[slot] = queue_.cy[from];
    lanes_.x[slot] = queue_.x[from];
    lanes_.y[slot] = queue_.y[from];
    lanes_.index[slot] = queue_.index[from];
    lanes_.taken[slot] = kWindow;
    lanes_.save_at[slot] = 2 * kWindow;
    return true;
  }

  // One window for every lane, from lanes_.x and .y to ahead_x_ and ahead_y_. (A point whose steps do not
  // fill another window takes it all the same, and settle() counts it anew.)
  void advance() {
    const D d;
    V cx[kVectors], cy[kVectors], x[kVectors], y[kVectors];
    for (std::size_t v = 0; v < kVectors; ++v) {
      cx[v] = hn::Load(d, &lanes_.cx[v * kLanes]);
      cy[v] = hn::Load(d, &lanes_.cy[v * kLanes]);
      x[v] = hn::Load(d, &lanes_.x[v * kLanes]);
      y[v] = hn::Load(d, &lanes_.y[v * kLanes]);
    }
    for (std::int64_t n = 0; n < kWindow; ++n)
      for (std::size_t v = 0; v < kVectors; ++v) step(cx[v], cy[v], x[v], y[v]);
    for (std::size_t v = 0; v < kVectors; ++v) {
      hn::Store(x[v], d, &ahead_x_[v * kLanes]);
      hn::Store(y[v], d, &ahead_y_[v * kLanes]);
    }
  }

  // Takes the window's end over for one vector, and ends the points that are done. Returns how many slots
  // came to rest.
  std::size_t settle(std::size_t v) {
    const D d;
    const DI di;
    const std::size_t at = v * kLanes;
    const V x = hn::Load(d, &ahead_x_[at]);
    const V y = hn::Load(d, &ahead_y_[at]);
    const VI taken = hn::Add(hn::Load(di, &lanes_.taken[at]), hn::Set(di, kWindow));
    const V saved_x = hn::Load(d, &lanes_.saved_x[at]);
    const V saved_y = hn::Load(d, &lanes_.saved_y[at]);
    const VI save_at = hn::Load(di, &lanes_.save_at[at]);

    const M calm = hn::Lt(hn::Add(hn::Mul(x, x), hn::Mul(y, y)), hn::Set(d, kNearEscape));
    const M cyclic = hn::And(hn::Eq(x, saved_x), hn::Eq(y, saved_y));
    const M at_end = hn::RebindMask(d, hn::Gt(taken, hn::Set(di, last_window_)));
    const M event = hn::Or(hn::Or(hn::Not(calm), cyclic), at_end);

    std::size_t rested = 0;
    if (HWY_UNLIKELY(!hn::AllFalse(d, event))) {
      alignas(64) double bits[kLanes];
      const V one = hn::Set(d, 1.0);
      hn::Store(hn::IfThenElseZero(event, hn::IfThenElse(hn::And(calm, hn::And(cyclic, hn::Not(at_end))), one,
                                                         hn::Add(one, one))),
                d, bits);
      // Ends the lane below; what is stored for the others first is kept.
      renew(at, x, y, taken, saved_x, saved_y, save_at, event);
      for (std::size_t i = 0; i < kLanes; ++i) {
        if (bits[i] == 0) continue;
        const std::size_t slot = at + i;
        if (bits[i] == 2 && !count_window(slot)) continue;
        if (bits[i] == 1) counts_[lanes_.index[slot]] = max_iter_;
        if (!take_next(slot)) ++rested;
      }
      return rested;
    }
    renew(at, x, y, taken, saved_x, saved_y, save_at, hn::MaskFromVec(hn::Zero(d)));
    return rested;
  }

  // Stores the window's end for all lanes but those of `except`, and remembers it where that is due.
  HWY_INLINE void renew(std::size_t at, V x, V y, VI taken, V saved_x, V saved_y, VI save_at, M except) {
    const D d;
    const DI di;
    const M due = hn::RebindMask(d, hn::Not(hn::Lt(taken, save_at)));
    hn::Store(hn::IfThenElse(due, x, saved_x), d, &lanes_.saved_x[at]);
    hn::Store(hn::IfThenElse(due, y, saved_y), d, &lanes_.saved_y[at]);
    const VI later = hn::Add(taken, hn::And(hn::ShiftRight<2>(taken), hn::Set(di, -kWindow)));
    hn::Store(hn::IfThenElse(hn::RebindMask(di, due), hn::Max(later, hn::Add(taken, hn::Set(di, kWindow))),
                             save_at),
              di, &lanes_.save_at[at]);
    hn::Store(hn::IfThenElse(except, hn::Load(d, &lanes_.x[at]), x), d, &lanes_.x[at]);
    hn::Store(hn::IfThenElse(except, hn::Load(d, &lanes_.y[at]), y), d, &lanes_.y[at]);
    hn::Store(hn::IfThenElse(hn::RebindMask(di, except), hn::Load(di, &lanes_.taken[at]), taken), di,
              &lanes_.taken[at]);
  }

  // The window once more for one lane, a step at a time. True where the point ended in it, and is written.
  bool count_window(std::size_t slot) {
    double x = lanes_.x[slot], y = lanes_.y[slot];
    const double cx = lanes_.cx[slot], cy = lanes_.cy[slot];
    std::int64_t taken = lanes_.taken[slot];
    const std::int64_t end = std::min(max_iter_, taken + kWindow);
    bool escaped = false;
    while (taken < end) {
      const double xx = x * x, yy = y * y;
      if (!(xx + yy <= kEscape)) {
        escaped = true;
        break;
      }
      ++taken;
      const double xy = x * y;
      x = (xx - yy) + cx;
      y = 2 * xy + cy;
    }
    if (escaped || taken == max_iter_) {
      counts_[lanes_.index[slot]] = taken;
      return true;
    }
    lanes_.x[slot] = x;
    lanes_.y[slot] = y;
    lanes_.taken[slot] = taken;
    return false;
  }

  const MandelbrotGrid& grid_;
  std::int64_t* counts_;
  const std::function<std::uint64_t()>& more_;
  std::uint64_t count_ = 0;   // points of the run, so far
  std::uint64_t sieved_ = 0;  // points of the run that have begun
  std::uint64_t row_, column_;
  double row_x_;
  std::int64_t max_iter_;
  std::int64_t last_window_;  // the greatest multiple of kWindow up to max_iter
  Lanes lanes_;
  alignas(64) std::array<double, kSlots> ahead_x_, ahead_y_;
  Queue queue_;
};

void count_run(const MandelbrotGrid& grid, std::uint64_t first, const std::function<std::uint64_t()>& more, std::int64_t* counts) {
  Run(grid, first, more, counts).compute();
}

}  // namespace HWY_NAMESPACE
}  // namespace parcompute
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace parcompute {
namespace {
HWY_EXPORT(count_run);
}  // namespace

void mandelbrot_counts(const MandelbrotGrid& grid, std::uint64_t first, const std::function<std::uint64_t()>& more, std::int64_t* counts) {
  HWY_DYNAMIC_DISPATCH(count_run)(grid, first, more, counts);
}

void mandelbrot_counts(const MandelbrotGrid& grid, std::uint64_t first, std::uint64_t count,
                       std::int64_t* counts) {
  if (count != 0) mandelbrot_counts(grid, first, [&count] { return std::exchange(count, 0); }, counts);
}

}  // namespace parcompute
#endif  // HWY_ONCE
