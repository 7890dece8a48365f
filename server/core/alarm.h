// Alarm: the one time that Reactor::on_wake is asked for, which is the earliest that anybody wants.
#pragma once

#include <optional>

#include "server/core/effects.h"

namespace parcompute::server {

class Alarm {
 public:
  void ring_by(Instant when, Effects& effects) {
    if (at_ && *at_ <= when) return;
    at_ = when;
    effects.wake_at(when);
  }
  // It has rung: whoever waits for a later time asks again.
  void reset() { at_.reset(); }

 private:
  std::optional<Instant> at_;
};

}  // namespace parcompute::server
