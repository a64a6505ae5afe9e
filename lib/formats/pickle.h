// Python's pickles as data: a graph of nodes. Nothing that a pickle names is ever called, so any
// may be read; what of it is taken is decided by who looks at the graph.
//
// Opcodes: Lib/pickletools.py of CPython, protocols 1 to 5, without extensions and buffers outside.
// Written is protocol 2, as torch.save does.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"

namespace cairn {

/// The number of a node in its graph.
using PickleId = uint32_t;
inline constexpr PickleId kNoPickle = UINT32_MAX;

/// Containers in containers, in pickles that are written and in states.
inline constexpr unsigned kNestingMax = 512;

struct PickleNode {
  enum class Kind : uint8_t {
    kNone,
    kBool,
    kInt,
    kLong,  ///< an integer that int64_t does not hold
    kFloat,
    kText,
    kBytes,
    kByteArray,
    kTuple,
    kList,
    kDict,
    kSet,
    kFrozenSet,
    kGlobal,      ///< something by the name of its module and its own
    kCall,        ///< what a callable makes of arguments, and what is done to it then
    kPersistent,  ///< stands for what lies outside the pickle
  };
  Kind kind = Kind::kNone;
  bool is_new = false;  ///< kCall: `callable` is a class and only its __new__ is called
  int64_t integer = 0;  ///< kBool, kInt
  double real = 0;
  /// kText: UTF-8 (surrogates may be lone); kLong: little-endian two's complement; kGlobal:
  /// "module.name"; bytes.
  std::string text = {};
  std::vector<PickleId> items = {};  ///< of containers; kCall: appended; kPersistent: one
  std::vector<PickleId> pairs = {};  ///< key, value, key, ... of kDict; kCall: set
  PickleId callable = kNoPickle, args = kNoPickle, state = kNoPickle;  ///< of kCall
};

/// Nodes may be shared, and may hold themselves. Threads: one that adds, or any that read.
class PickleGraph {
 public:
  using Kind = PickleNode::Kind;

  const PickleNode& at(PickleId id) const { return nodes_[id]; }
  PickleNode& at(PickleId id) { return nodes_[id]; }
  size_t size() const { return nodes_.size(); }
  PickleId add(PickleNode node);

  PickleId none() { return add({}); }
  PickleId boolean(bool value);
  PickleId integer(int64_t value);
  PickleId real(double value);
  PickleId tuple(std::vector<PickleId> items);
  PickleId list(std::vector<PickleId> items);
  PickleId dict(std::vector<PickleId> pairs);
  PickleId call(PickleId callable, std::vector<PickleId> args);
  PickleId persistent(PickleId what);
  /// Equal ones are one node.
  PickleId text(std::string_view value);
  PickleId global(std::string_view name);

  bool is_global(PickleId id, std::string_view name) const;
  /// Whether the node is what a callable of this name makes.
  bool is_call_of(PickleId id, std::string_view name) const;
  /// Arguments of a call; none when they are no tuple.
  const std::vector<PickleId>& args_of(PickleId call) const;
  /// The value under a text in a dict, or in what is made like one; kNoPickle without.
  PickleId value_of(PickleId dict, std::string_view key) const;

 private:
  std::vector<PickleNode> nodes_;
  std::unordered_map<std::string, PickleId> texts_, globals_;
};

struct PickleRead {
  PickleId root = kNoPickle;
  size_t bytes = 0;  ///< that it took
};

/// Adds the pickle at the beginning of `bytes` to the graph. Errors: kUsage for what is no pickle,
/// is cut off, or has more than 2^24 nodes.
Result<PickleRead> read_pickle(ByteSpan bytes, PickleGraph& graph);

/// Errors: kUsage for a graph that holds itself, is nested deeper than kNestingMax, or takes more
/// than 1 GiB.
Result<Bytes> write_pickle(const PickleGraph& graph, PickleId root);

}  // namespace cairn
