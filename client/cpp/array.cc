#include "client/cpp/array.h"

#include <fmt/format.h>

#include "client/cpp/array_state.h"
#include "client/cpp/wire.h"
#include "common/array/view.h"
#include "common/operation/operation.h"
#include "common/os/file_facts.h"

namespace parcompute {

std::uint64_t ArrayInfo::size() const {
  std::uint64_t count = 1;
  for (const std::int64_t dim : shape) count *= static_cast<std::uint64_t>(dim);
  return count;
}

std::uint64_t ArrayInfo::nbytes() const {
  return size() * itemsize(dtype);
}

Array::State::~State() {
  const auto connection = owner.lock();
  if (!connection || !info.name.empty()) return;
  // Out of this process's hands before the server hears of it: it may give the memory to the next array.
  mapping = {};
  fd.reset();
  try {
    wire::Request request;
    request.mutable_remove_array()->mutable_array()->set_id(info.id);
    connection->send_and_forget(request);
  } catch (const std::bad_alloc&) {
    // The array goes with the session.
  }
}

std::shared_ptr<Array::State> array_state(const wire::ArrayInfo& message, UniqueFd fd, const std::shared_ptr<Connection>& server, Ownership ownership) {
  auto state = std::make_shared<Array::State>();
  state->info = array_info(message);
  state->spec = value_or_throw(from_wire(message.spec()));
  value_or_throw(check_spec(state->spec, message.data_bytes()));
  state->fd = std::move(fd);
  state->data_offset = message.data_offset();
  state->data_bytes = message.data_bytes();
  state->server_id = server->server_id();
  if (ownership == Ownership::kOwned) state->owner = server;
  return state;
}

Array make_array(const wire::ArrayInfo& message, UniqueFd fd, const std::shared_ptr<Connection>& server) {
  return Array(array_state(message, std::move(fd), server, Ownership::kOwned));
}

void refer(const Array& array, const Connection& server, wire::ArrayRef& reference) {
  if (!array) throw Failure(ErrorCode::kInvalidArgument, "an operand of the job is an empty array handle; create or find it first");
  const ArrayInfo& info = array.info();
  if (array.server_id() != server.server_id())
    throw Failure(ErrorCode::kNotFound,
                  info.name.empty() ? fmt::format("an operand is an anonymous array ({}) of a server that has gone, or of another than this session's: only what it has mapped is left of it",
                                                  format_spec(array.spec()))
                                    : fmt::format("array '{}' is known from a server that has gone, or from another than this session's: find it again by its name", info.name));
  reference.set_id(info.id);
  if (array.is_view()) to_wire(array.spec(), *reference.mutable_view());
}

Array Array::viewed(std::string_view steps) const {
  const ArrayInfo& array = info();
  const auto spec = apply_view(state_->spec, steps);
  if (!spec)
    throw Failure(spec.error().code, fmt::format("'{}' ({}){}: {}", array.name.empty() ? "anonymous array" : array.name, format_spec(state_->spec), steps, spec.error().message));
  auto view = std::make_shared<State>();
  view->info = array;
  view->info.shape = spec->shape;
  view->info.strides = spec->strides;
  view->spec = *spec;
  view->server_id = state_->server_id;
  view->base = state_->base ? state_->base : state_;
  return Array(std::move(view));
}

const ArraySpec& Array::spec() const {
  info();  // throws for an empty handle
  return state_->spec;
}

std::uint64_t Array::server_id() const {
  info();  // throws for an empty handle
  return state_->server_id;
}

bool Array::is_view() const {
  return state_ && state_->base;
}

const ArrayInfo& Array::info() const {
  if (!state_) throw Failure(ErrorCode::kInvalidArgument, "the array handle is empty; create or find an array first");
  return state_->info;
}

std::byte* Array::data() {
  const ArrayInfo& array = info();
  if (array.size() == 0) return nullptr;
  State& memory = state_->base ? *state_->base : *state_;
  if (memory.mapping.data() == nullptr) {
    // What lies behind the end of a file that was cut short would read as zeros.
    if (array.segment_name.empty()) {
      const FileFacts file = value_or_throw(file_facts(memory.fd.get(), array.path));
      if (const std::uint64_t had = memory.data_offset + memory.data_bytes; file.size < had) throw_failure(shortened_file(fmt::format("'{}'", array.path), had, file.size));
    }
    const Access access = array.writable ? Access::kReadWrite : Access::kRead;
    memory.mapping = value_or_throw(
        Mapping::map(memory.fd.get(), memory.data_offset, memory.data_bytes, access, array.name.empty() ? array.path : array.name));
  }
  return memory.mapping.data() + state_->spec.offset;
}

const std::byte* Array::data() const {
  return const_cast<Array*>(this)->data();  // the mapping is a cache
}

std::byte* Array::checked_data(DType dtype, bool write) {
  const ArrayInfo& array = info();
  const auto refuse = [&](const std::string& why) {
    throw Failure(ErrorCode::kInvalidArgument,
                  fmt::format("array '{}' ({}) cannot be viewed so: {}", array.name, format_spec(state_->spec), why));
  };
  if (dtype != array.dtype) refuse(fmt::format("the view's elements are {}", parcompute::name(dtype)));
  if (write && !array.writable) refuse("it is read-only; view const elements");
  if (!is_c_contiguous(state_->spec)) refuse("its elements are not contiguous in C order; use data() and info().strides");
  return data();
}

}  // namespace parcompute
