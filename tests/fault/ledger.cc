#include "tests/fault/ledger.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include <fmt/format.h>

namespace parcompute::testing {
namespace {

constexpr std::size_t kNames = 6;

Evaluate expression(std::string text, const Array& x) {
  return Evaluate{std::move(text), {{"x", x}}, {}};
}

std::vector<std::int64_t> copy(Array array) {
  const auto view = array.view<const std::int64_t>();
  return {view.begin(), view.end()};
}

}  // namespace

Ledger::Ledger(std::size_t owner) : prefix_(fmt::format("l{}-", owner)) {}

void Ledger::act(CampaignClient& client) {
  Dice& dice = client.dice();
  const std::string name = prefix_ + std::to_string(below(dice, kNames));
  if (one_in(dice, 10)) return pass_through(client);
  if (!entries_.contains(name)) {
    const std::string other = prefix_ + std::to_string(below(dice, kNames));
    return entries_.contains(other) ? compute(client, other, name) : make(client, name);
  }
  switch (below(dice, 8)) {
    case 0:
      return remove(client, name);
    case 1:
      return write(client, name);
    case 2:
      return read(client, name);
    default:
      return change(client, name);
  }
}

void Ledger::make(CampaignClient& client, const std::string& name) {
  constexpr std::int64_t kSizes[] = {1, 60, 5000, 100'000, 300'000};
  const std::int64_t size = kSizes[below(client.dice(), std::size(kSizes))];
  Content content(static_cast<std::size_t>(size));
  std::iota(content.begin(), content.end(), 0);
  entries_[name] = {{std::move(content)}, true, true};
  client.doing("make '" + name + "'");
  client.session().create_arange(name, DType::kInt64, {size});
  entries_[name].may_be_absent = entries_[name].may_be_cut = false;
}

// Through the mapping, as a program does: the server has no part in it.
void Ledger::write(CampaignClient& client, const std::string& name) {
  client.doing("write '" + name + "'");
  auto array = client.session().find(name);
  Content& content = entries_[name].may_be.front();
  for (int i = 0; i < 100; ++i) content[below(client.dice(), content.size())] = static_cast<std::int64_t>(client.dice()());
  std::ranges::copy(content, array.view<std::int64_t>().begin());
}

void Ledger::compute(CampaignClient& client, const std::string& from, const std::string& to) {
  client.doing("compute '" + to + "' from '" + from + "'");
  const Array x = client.session().find(from);
  Content content = entries_[from].may_be.front();
  for (std::int64_t& value : content) value = static_cast<std::int64_t>(static_cast<std::uint64_t>(value) * 2 + 1);
  entries_[to] = {{std::move(content)}, true, true};
  SubmitOptions options;
  options.output = to;
  options.detach = one_in(client.dice(), 2);
  Job job = client.session().submit(expression("x * 2 + 1", x), options);
  client.wait(job);
  entries_[to].may_be_absent = entries_[to].may_be_cut = false;
}

void Ledger::change(CampaignClient& client, const std::string& name) {
  client.doing("change '" + name + "'");
  const Array array = client.session().find(name);
  Entry& entry = entries_[name];
  entry.may_be_cut = true;
  SubmitOptions options;
  options.into = array;
  options.detach = one_in(client.dice(), 3);
  if (one_in(client.dice(), 2)) options.chunk_blocks = 1;
  std::vector<Job> jobs;
  for (std::uint64_t i = 1 + below(client.dice(), 4); i > 0; --i) {
    Content next = entry.may_be.back();
    const bool turns = one_in(client.dice(), 2);
    if (turns) std::ranges::reverse(next);
    for (std::int64_t& value : next) value = static_cast<std::int64_t>(static_cast<std::uint64_t>(value) + 1);
    entry.may_be.push_back(std::move(next));
    jobs.push_back(client.session().submit(expression("x + 1", turns ? array.viewed("[::-1]") : array), options));
  }
  if (one_in(client.dice(), 10)) return remove(client, name);  // the jobs go on
  for (Job& job : jobs) {
    client.wait(job);
    entry.may_be.pop_front();
  }
  entry.may_be_cut = false;
}

void Ledger::remove(CampaignClient& client, const std::string& name) {
  entries_[name].may_be_absent = true;
  client.doing("remove '" + name + "'");
  client.session().remove(name);
  entries_.erase(name);
}

// Nothing of this may be found.
void Ledger::pass_through(CampaignClient& client) {
  client.doing("make an anonymous array");
  auto array = client.session().create_arange("", DType::kInt64, {200'000});
  Job job = client.session().submit(expression("x - mean(x)", array));
  if (one_in(client.dice(), 2)) client.wait(job);
}

void Ledger::read(CampaignClient& client, const std::string& name) {
  client.doing("read '" + name + "'");
  const Array array = client.session().find(name);
  Job job = client.session().submit(expression("sum(x)", array));
  const Content& content = entries_[name].may_be.front();
  std::uint64_t sum = 0;
  for (const std::int64_t value : content) sum += static_cast<std::uint64_t>(value);
  if (client.wait(job).scalar->as<std::int64_t>() != static_cast<std::int64_t>(sum))
    client.wrong("the sum of '" + name + "' is not the ledger's");
  if (copy(array) != content) client.wrong("'" + name + "' is not the ledger's");
}

std::string Ledger::settle(Session& session, Dice& dice) {
  for (auto at = entries_.begin(); at != entries_.end();) {
    auto& [name, entry] = *at;
    Array array;
    try {
      array = session.find(name);
    } catch (const Failure& failure) {
      if (failure.code() != ErrorCode::kNotFound) throw;
      if (!entry.may_be_absent) return "'" + name + "' is gone";
      at = entries_.erase(at);
      continue;
    }
    if (array.info().incomplete) {
      if (!entry.may_be_cut) return "'" + name + "' is marked incomplete, and no job was writing it";
      SubmitOptions options;
      options.into = array;
      expect_failure([&] { session.submit(expression("x + 1", array), options).wait(); }, ErrorCode::kBadData,
                     {name, "incomplete"});
      if (one_in(dice, 2)) {
        session.remove(name);
        at = entries_.erase(at);
        continue;
      }
      // Made again at once: should a worker of the dead server still write, it shows.
      session.submit(Evaluate{"7", {}, {}}, options).wait();
      entry.may_be = {Content(array.size(), 7)};
    } else {
      const auto found = std::ranges::find(entry.may_be, copy(array));
      if (found == entry.may_be.end())
        return fmt::format("'{}' is whole, and holds none of the {} contents that it may have", name, entry.may_be.size());
      entry.may_be = {Content(std::move(*found))};
    }
    entry.may_be_absent = entry.may_be_cut = false;
    ++at;
  }
  return "";
}

void Ledger::remove_all(Session& session) {
  for (const auto& [name, entry] : entries_) session.remove(name);
  entries_.clear();
}

}  // namespace parcompute::testing
