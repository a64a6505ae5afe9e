#include "lib/formats/pickle.h"

#include <utility>

namespace cairn {

PickleId PickleGraph::add(PickleNode node) {
  nodes_.push_back(std::move(node));
  return static_cast<PickleId>(nodes_.size() - 1);
}

PickleId PickleGraph::boolean(bool value) {
  return add({.kind = Kind::kBool, .integer = value ? 1 : 0});
}

PickleId PickleGraph::integer(int64_t value) { return add({.kind = Kind::kInt, .integer = value}); }

PickleId PickleGraph::real(double value) { return add({.kind = Kind::kFloat, .real = value}); }

PickleId PickleGraph::tuple(std::vector<PickleId> items) {
  return add({.kind = Kind::kTuple, .items = std::move(items)});
}

PickleId PickleGraph::list(std::vector<PickleId> items) {
  return add({.kind = Kind::kList, .items = std::move(items)});
}

PickleId PickleGraph::dict(std::vector<PickleId> pairs) {
  return add({.kind = Kind::kDict, .pairs = std::move(pairs)});
}

PickleId PickleGraph::call(PickleId callable, std::vector<PickleId> args) {
  const PickleId tuple_of_args = tuple(std::move(args));
  return add({.kind = Kind::kCall, .callable = callable, .args = tuple_of_args});
}

PickleId PickleGraph::persistent(PickleId what) {
  return add({.kind = Kind::kPersistent, .items = {what}});
}

PickleId PickleGraph::text(std::string_view value) {
  const auto [at, fresh] = texts_.try_emplace(std::string(value), 0);
  if (fresh) at->second = add({.kind = Kind::kText, .text = std::string(value)});
  return at->second;
}

PickleId PickleGraph::global(std::string_view name) {
  const auto [at, fresh] = globals_.try_emplace(std::string(name), 0);
  if (fresh) at->second = add({.kind = Kind::kGlobal, .text = std::string(name)});
  return at->second;
}

bool PickleGraph::is_global(PickleId id, std::string_view name) const {
  return id != kNoPickle && at(id).kind == Kind::kGlobal && at(id).text == name;
}

bool PickleGraph::is_call_of(PickleId id, std::string_view name) const {
  return id != kNoPickle && at(id).kind == Kind::kCall && is_global(at(id).callable, name);
}

const std::vector<PickleId>& PickleGraph::args_of(PickleId call) const {
  static const std::vector<PickleId> nothing;
  const PickleId args = at(call).args;
  return args != kNoPickle && at(args).kind == Kind::kTuple ? at(args).items : nothing;
}

PickleId PickleGraph::value_of(PickleId dict, std::string_view key) const {
  if (dict == kNoPickle) return kNoPickle;
  const std::vector<PickleId>& pairs = at(dict).pairs;
  for (size_t i = 0; i + 1 < pairs.size(); i += 2) {
    const PickleNode& name = at(pairs[i]);
    if (name.kind == Kind::kText && name.text == key) return pairs[i + 1];
  }
  return kNoPickle;
}

}  // namespace cairn
