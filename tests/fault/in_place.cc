#include "tests/fault/in_place.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <numeric>
#include <type_traits>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace parcompute::testing {
namespace {

// As the engine computes: whole numbers wrap.
template <class T>
T plus(T a, T b) {
  if constexpr (std::is_integral_v<T>) {
    using U = std::make_unsigned_t<T>;
    return static_cast<T>(static_cast<U>(static_cast<U>(a) + static_cast<U>(b)));
  } else {
    return a + b;
  }
}
template <class T>
T minus(T a, T b) {
  if constexpr (std::is_integral_v<T>) {
    using U = std::make_unsigned_t<T>;
    return static_cast<T>(static_cast<U>(static_cast<U>(a) - static_cast<U>(b)));
  } else {
    return a - b;
  }
}

Evaluate expression(std::string text, std::vector<Evaluate::Operand> operands) {
  return Evaluate{std::move(text), std::move(operands), {}};
}

template <class T>
class Changed : public InPlaceArray {
 public:
  using Model = std::vector<T>;

  // `side` 0: one dimension of `size` elements; else a square of that side.
  Changed(CampaignClient& client, std::size_t size, std::size_t side)
      : name_(client.new_name()), side_(side), model_(side == 0 ? size : side * side) {
    for (T& value : model_) value = static_cast<T>(below(client.dice(), 100));
  }

  void make(CampaignClient& client) override {
    client.attempt("make '" + name_ + "'", [&] {
      const auto size = static_cast<std::int64_t>(model_.size());
      const auto side = static_cast<std::int64_t>(side_);
      array_ = client.session().create(name_, dtype_of<T>(), side_ == 0 ? std::vector{size} : std::vector{side, side});
      std::ranges::copy(model_, array_.template view<T>().begin());
    });
  }

  void change(CampaignClient& client) override {
    if (!array_) return make(client);  // it was not to be made the last time
    std::vector<std::pair<Step, Job>> submitted;
    bool has_failed = false;
    // One that follows a failed one may be refused, cancelled, or, where that one had written nothing, go well.
    const auto attempt = [&](const std::string& what, const std::function<void()>& call) {
      if (!client.attempt(what, call)) has_failed = true;
    };
    const std::uint64_t count = 1 + below(client.dice(), 5);
    for (std::uint64_t i = 0; i < count; ++i) {
      Step step = choose(client.dice());
      SubmitOptions options;
      options.into = step.into;
      if (!one_in(client.dice(), 3)) options.chunk_blocks = 1 + below(client.dice(), 3);
      attempt(step.what + " submitted", [&] {
        Job job = client.session().submit(step.operation, options);
        submitted.emplace_back(std::move(step), std::move(job));
      });
    }
    for (auto& [step, job] : submitted)
      attempt(fmt::format("{} ({} of {} elements)", step.what, name(dtype_of<T>()), model_.size()),
              [&, &step = step, &job = job] {
                client.wait(job);
                step.apply(model_);
              });
    if (!has_failed) return compare(client, "after jobs that went well");
    bool is_incomplete = false;
    client.attempt("look at '" + name_ + "'", [&] { is_incomplete = client.session().find(name_).info().incomplete; });
    if (!is_incomplete) return compare(client, "after a job that failed and left it whole");
    remove(client);
    make(client);
  }

  void remove(CampaignClient& client) override {
    client.doing("remove '" + name_ + "'");
    if (std::exchange(array_, Array())) client.session().remove(name_);
  }

 private:
  struct Step {
    std::string what;
    Operation operation;
    Array into;
    std::function<void(Model&)> apply;
  };

  void compare(CampaignClient& client, const char* when) {
    const auto view = array_.template view<const T>();
    const auto [found, wanted] = std::mismatch(view.begin(), view.end(), model_.begin(), model_.end(),
                                               [](const T& a, const T& b) { return std::memcmp(&a, &b, sizeof a) == 0; });
    if (found == view.end()) return;
    client.wrong(fmt::format("element {} of '{}' ({}, {} elements) is {} and not {} {}", found - view.begin(), name_,
                             name(dtype_of<T>()), view.size(), *found, *wanted, when));
  }

  Step choose(Dice& dice) {
    const std::size_t size = model_.size();
    switch (below(dice, 11)) {
      case 0:
        return mirrored();
      case 1:
        return size > 1 && side_ == 0 ? strided(dice) : whole("a + 1", [](T x) { return plus(x, T{1}); });
      case 2:
        return size > 1 && side_ == 0 ? shifted() : mirrored();
      case 3:
        return from_largest();
      case 4:
        if (size <= 40'000 && side_ == 0) return sorted(one_in(dice, 2));
        return from_largest();
      case 5:
        if constexpr (std::is_same_v<T, std::int64_t>) return side_ == 0 ? summed_up() : turned();
        [[fallthrough]];
      case 6:
        if constexpr (std::is_floating_point_v<T>)
          return whole("a * 0.75 + 3.0", [](T x) { return static_cast<T>(static_cast<T>(x * T{0.75}) + T{3}); });
        if (side_ != 0) return turned();
        [[fallthrough]];
      case 7:
        return less_one_of_its_own(one_in(dice, 2));
      case 8:
        if constexpr (std::is_same_v<T, std::int64_t>)
          if (side_ != 0 && side_ <= 100) return squared();
        [[fallthrough]];
      default:
        return whole("a + 1", [](T x) { return plus(x, T{1}); });
    }
  }

  template <class F>
  Step whole(const char* text, F each) {
    return {text, expression(text, {{"a", array_}}), array_,
            [each](Model& model) { std::ranges::transform(model, model.begin(), each); }};
  }
  Step mirrored() {
    const char* view = side_ == 0 ? "[::-1]" : "[::-1, ::-1]";
    return {fmt::format("a = a{}", view), expression("x", {{"x", array_.viewed(view)}}), array_,
            [](Model& model) { std::ranges::reverse(model); }};
  }
  Step turned() {
    return {"a = a.T", expression("x", {{"x", array_.viewed(".T")}}), array_, [side = side_](Model& model) {
              for (std::size_t i = 0; i < side; ++i)
                for (std::size_t j = 0; j < i; ++j) std::swap(model[i * side + j], model[j * side + i]);
            }};
  }
  // A max. - a: both ends of the array matter to each block, and it stays as small as it was.
  Step from_largest() {
    return {"a = max(a) - a", expression("max(a) - a", {{"a", array_}}), array_, [](Model& model) {
              const T largest = *std::ranges::max_element(model);
              for (T& value : model) value = minus(largest, value);
            }};
  }
  // Every block reads an element that one of them overwrites.
  Step less_one_of_its_own(bool is_last) {
    const char* view = side_ == 0 ? (is_last ? "[-1:]" : "[:1]") : (is_last ? "[-1:, -1:]" : "[:1, :1]");
    return {fmt::format("a -= a{}", view), expression("x - y", {{"x", array_}, {"y", array_.viewed(view)}}), array_,
            [is_last](Model& model) {
              const T subtrahend = is_last ? model.back() : model.front();
              for (T& value : model) value = minus(value, subtrahend);
            }};
  }
  Step squared() {
    return {"a = a @ a", Matmul{array_, array_}, array_, [side = side_](Model& model) {
              std::vector<std::uint64_t> product(model.size());
              for (std::size_t i = 0; i < side; ++i)
                for (std::size_t j = 0; j < side; ++j)
                  for (std::size_t k = 0; k < side; ++k)
                    product[i * side + k] += static_cast<std::uint64_t>(model[i * side + j]) * static_cast<std::uint64_t>(model[j * side + k]);
              std::ranges::transform(product, model.begin(), [](std::uint64_t value) { return static_cast<T>(value); });
            }};
  }
  Step strided(Dice& dice) {
    const std::size_t step = 2 + below(dice, 5), first = below(dice, std::min(step, model_.size()));
    const Array view = array_.viewed(fmt::format("[{}::{}]", first, step));
    return {fmt::format("a[{}::{}] += 1", first, step), expression("x + 1", {{"x", view}}), view, [step, first](Model& model) {
              for (std::size_t i = first; i < model.size(); i += step) model[i] = plus(model[i], T{1});
            }};
  }
  Step shifted() {
    return {"a[1:] = a[:-1] + 1", expression("x + 1", {{"x", array_.viewed("[:-1]")}}), array_.viewed("[1:]"), [](Model& model) {
              for (std::size_t i = model.size() - 1; i > 0; --i) model[i] = plus(model[i - 1], T{1});
            }};
  }
  Step sorted(bool descending) {
    return {"sort", Sort{array_, {}, descending}, array_, [descending](Model& model) {
              std::ranges::sort(model);
              if (descending) std::ranges::reverse(model);
            }};
  }
  Step summed_up() {
    return {"cumsum", Cumsum{array_, {}}, array_,
            [](Model& model) { std::partial_sum(model.begin(), model.end(), model.begin(), plus<T>); }};
  }

  std::string name_;
  std::size_t side_;
  Model model_;
  Array array_;  // none: it could not be made
};

}  // namespace

std::unique_ptr<InPlaceArray> choose_in_place_array(CampaignClient& client) {
  constexpr std::size_t kSizes[] = {1, 2, 1000, 30'000, 262'144, 700'001};
  Dice& dice = client.dice();
  const std::size_t size = kSizes[below(dice, std::size(kSizes))];
  const std::size_t side = one_in(dice, 4) ? 1 + below(dice, one_in(dice, 2) ? 700 : 90) : 0;
  switch (below(dice, 5)) {
    case 0:
      return std::make_unique<Changed<std::uint8_t>>(client, size, side);
    case 1:
      return std::make_unique<Changed<std::int32_t>>(client, size, side);
    case 2:
      return std::make_unique<Changed<float>>(client, size, side);
    case 3:
      return std::make_unique<Changed<double>>(client, size, side);
    default:
      return std::make_unique<Changed<std::int64_t>>(client, size, side);
  }
}

// ---- one for all

void SharedCounter::make(Session& session) {
  session.create(kName, DType::kInt64, {300'000});
  count_ = 0;
}

void SharedCounter::add(CampaignClient& client) {
  bool has_failed = false;
  {
    const std::shared_lock lock(mutex_);
    const Array array = client.session().find(kName);
    SubmitOptions options;
    options.into = array;
    options.chunk_blocks = 1;
    std::vector<Job> jobs;
    const auto attempt = [&](const std::function<void()>& call) {
      if (!client.attempt("the shared counter", call)) has_failed = true;
    };
    for (int i = 0; i < 2; ++i)
      attempt([&] { jobs.push_back(client.session().submit(expression("x + 1", {{"x", array}}), options)); });
    attempt([&] {
      Job reader = client.session().submit(expression("max(x) - min(x)", {{"x", array}}));
      if (client.wait(reader).scalar->as<std::int64_t>() != 0)
        client.wrong("a reader saw the shared counter while it was being written");
    });
    for (Job& job : jobs)
      attempt([&] {
        client.wait(job);
        ++count_;
      });
  }
  if (has_failed) mend(client);
}

void SharedCounter::mend(CampaignClient& client) {
  client.doing("mend the shared counter");
  const std::unique_lock lock(mutex_);
  const Array array = client.session().find(kName);
  if (!array.info().incomplete) return;
  SubmitOptions options;
  options.into = array;
  // Whoever comes next would find it incomplete as well.
  while (!client.attempt("the shared counter, anew", [&] { client.session().submit(expression("0", {}), options).wait(); })) {
  }
  count_ = 0;
}

std::string SharedCounter::complaint(Session& session) const {
  auto array = session.find(kName);
  for (const std::int64_t value : array.view<const std::int64_t>()) {
    if (value != count_) return fmt::format("an element of the shared counter is {} after {} jobs", value, count_.load());
  }
  return "";
}

}  // namespace parcompute::testing
