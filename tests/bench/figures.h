// What the benches of figures share: a service of their own, medians, and a table of figures as a program.
//
// Such a bench prints a line a figure: the median, what it is compared with (both sides in one run, alternating), and the figure to
// reach. It exits with 0 whatever it measures: figures are for people, on quiet machines.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "client/cpp/parcompute.h"

namespace parcompute::bench {

using Clock = std::chrono::steady_clock;

struct Settings {
  int rounds = 9;
  unsigned workers = 2;
};

struct Figure {
  const char* name;
  void (*measure)(const Settings&);
};

inline double quantile(std::vector<double> values, double q) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[std::min(values.size() - 1, static_cast<std::size_t>(q * static_cast<double>(values.size())))];
}
inline double median(const std::vector<double>& values) { return quantile(values, 0.5); }

inline Scalar one_half() {
  Scalar half;
  half.dtype = DType::kFloat64;
  const double value = 0.5;
  std::memcpy(half.bytes.data(), &value, sizeof value);
  return half;
}

struct Service {
  PrivateServer server;
  Session session;
  explicit Service(unsigned workers) : server(with(workers)), session(another_session()) {}
  Session another_session() const {
    ConnectOptions options;
    options.socket = server.socket();
    return Session::connect(options);
  }

 private:
  static ServerOptions with(unsigned workers) {
    ServerOptions options;
    options.workers = workers;
    return options;
  }
};

//   PROGRAM [--rounds N] [--workers N] [FIGURE...]     all of them without names; --help lists them
inline int run_figures(const char* program, std::span<const Figure> figures, int argc, char** argv) {
  Settings settings;
  std::vector<std::string> wanted;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--rounds" && i + 1 < argc) settings.rounds = std::max(2, std::atoi(argv[++i]));
    else if (word == "--workers" && i + 1 < argc) settings.workers = static_cast<unsigned>(std::max(1, std::atoi(argv[++i])));
    else wanted.push_back(word);
  }
  for (const std::string& name : wanted) {
    if (std::any_of(figures.begin(), figures.end(), [&](const Figure& figure) { return name == figure.name; })) continue;
    fmt::print(stderr, "usage: {} [--rounds N] [--workers N] [FIGURE...]; figures:", program);
    for (const Figure& figure : figures) fmt::print(stderr, " {}", figure.name);
    fmt::print(stderr, "\n");
    return name == "--help" ? 0 : 64;
  }
  try {
    for (const Figure& figure : figures) {
      if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), figure.name) == wanted.end()) continue;
      figure.measure(settings);
      std::fflush(stdout);
    }
  } catch (const Failure& failure) {
    fmt::print(stderr, "{}: {}\n", program, failure.what());
    return 1;
  }
  return 0;
}

}  // namespace parcompute::bench
