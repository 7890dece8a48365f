#include "server/core/array_table.h"

#include <algorithm>

#include <fmt/format.h>

#include "common/array/view.h"
#include "common/base/invariant.h"
#include "common/base/utf8.h"
#include "common/operation/operation.h"
#include "proto/limits.h"

namespace parcompute::server {

std::string Array::label() const {
  return name.empty() ? (path.empty() ? "anonymous array" : path) : name;
}

std::string Array::operand_of(const ArraySpec& view) const {
  wire::Operand message;
  message.set_segment(segment.value);
  to_wire(view, *message.mutable_spec());
  message.set_data_offset(data_offset);
  message.set_data_bytes(data_bytes);
  message.set_label(std::string(clip_utf8(label(), kMaxLabelBytes)));
  message.set_is_file(is_file());
  return message.SerializeAsString();
}

Result<void> check_array_name(std::string_view name) {
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  const auto refuse = [&](std::string_view why) {
    // What is shown goes to a terminal, whatever it is.
    std::string shown(clip_utf8(name, kMaxNameBytes));
    std::replace_if(shown.begin(), shown.end(), is_control, '?');
    return fail(ErrorCode::kInvalidArgument, fmt::format("'{}' cannot name an array: {}", shown, why));
  };
  if (name.empty()) return refuse("it is empty");
  if (!is_utf8(name)) return refuse("it is not UTF-8");
  if (name.size() > kMaxNameBytes) return refuse(fmt::format("it has {} bytes, at most {} are allowed", name.size(), kMaxNameBytes));
  if (name.find('/') != name.npos || name.ends_with(".npy")) return refuse("a '/' or a final '.npy' mean a file");
  if (std::any_of(name.begin(), name.end(), is_control)) return refuse("it holds control characters");
  return {};
}

Result<void> check_new_array_name(std::string_view name) {
  if (auto ok = check_array_name(name); !ok) return ok;
  if (const NameAndView parts = split_view(name); !parts.view.empty())
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("'{}' cannot name an array: it reads as a view of '{}'; 'parcompute-client run ... --into' writes to views", name, parts.name));
  return {};
}

Result<void> ArrayTable::check_free(std::string_view name) const {
  if (!names_.contains(std::string(name))) return {};
  return fail(ErrorCode::kAlreadyExists,
              fmt::format("array '{}' exists already: choose another name, or remove it with 'parcompute-client array rm {}'", name, name));
}

std::string ArrayTable::free_name_like(std::string_view name) const {
  std::string free(name);
  for (std::size_t number = 2; names_.contains(free); ++number) {
    const std::string suffix = fmt::format("_{}", number);
    free = fmt::format("{}{}", clip_utf8(name, kMaxNameBytes - suffix.size()), suffix);
  }
  return free;
}

Array& ArrayTable::add(Array array) {
  array.id = ArrayId{++last_id_};
  if (!array.name.empty()) {
    const bool fresh = names_.emplace(array.name, array.id).second;
    PARCOMPUTE_INVARIANT(fresh);
  }
  array.operand = array.operand_of(array.spec);
  owned_.add(array.owner_uid);
  if (array.is_file()) {
    files_of_.add(array.owner_uid);
    ++files_;
  }
  const ArrayId id = array.id;
  return arrays_.emplace(id, std::move(array)).first->second;
}

Array* ArrayTable::find(ArrayId id) {
  const auto found = arrays_.find(id);
  return found == arrays_.end() || found->second.removed ? nullptr : &found->second;
}

Array* ArrayTable::find(std::string_view name) {
  const auto found = names_.find(std::string(name));
  return found == names_.end() ? nullptr : &arrays_.at(found->second);
}

Array& ArrayTable::get(ArrayId id) {
  const auto found = arrays_.find(id);
  PARCOMPUTE_INVARIANT(found != arrays_.end());
  return found->second;
}

void ArrayTable::forget_name(Array& array) {
  if (!array.name.empty()) names_.erase(array.name);
  array.removed = true;
}

void ArrayTable::erase(ArrayId id) {
  Array& array = get(id);
  if (!array.removed) forget_name(array);
  owned_.remove(array.owner_uid);
  if (array.is_file()) {
    files_of_.remove(array.owner_uid);
    --files_;
  }
  arrays_.erase(id);
}

}  // namespace parcompute::server
