#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <unordered_map>

#include "lib/formats/pickle.h"
#include "lib/formats/pickle_opcodes.h"

namespace cairn {

/// Tuples of tuples can grow exponentially.
static constexpr size_t kBytesMax = size_t{1} << 30;

namespace {

using Kind = PickleNode::Kind;
namespace op = pickle_op;

class Writer {
 public:
  explicit Writer(const PickleGraph& graph) : graph_(graph) {}

  Result<Bytes> run(PickleId root) {
    CAIRN_CHECK(count(root, 0));
    emit(op::kProto);
    emit(2);
    write(root);
    emit(op::kStop);
    if (out_.size() > kBytesMax) return fail(Code::kUsage, "its pickle would be too large");
    return std::move(out_);
  }

 private:
  /// What a node needs, in the order in which it is written.
  template <class Visit>
  void each_child(const PickleNode& node, const Visit& visit) const {
    if (node.kind == Kind::kCall) {
      visit(node.callable);
      visit(node.args);
    }
    for (const PickleId item : node.items) visit(item);
    for (const PickleId item : node.pairs) visit(item);
    if (node.state != kNoPickle) visit(node.state);
  }

  /// How often each node is wanted; and that the graph has an end.
  Status count(PickleId id, unsigned depth) {
    Uses& uses = uses_[id];
    // Known below by the second time: tuples are written again, at whatever depth they are wanted.
    if (depth + uses.height > kNestingMax) {
      return fail(Code::kUsage, fmt::format("it is nested deeper than {} times", kNestingMax));
    }
    ++uses.count;
    if (uses.is_open) return fail(Code::kUsage, "it holds itself");
    if (uses.count > 1) return {};
    uses.is_open = true;
    Status status;
    unsigned height = 0;
    each_child(graph_.at(id), [&](PickleId child) {
      if (!status) return;
      status = count(child, depth + 1);
      height = std::max(height, uses_[child].height + 1);
    });
    uses.is_open = false;
    uses.height = height;
    return status;
  }

  void write(PickleId id) {
    Uses& uses = uses_[id];
    if (uses.slot != kNoPickle) return put_slot(op::kBinGet, op::kLongBinGet, uses.slot);
    if (out_.size() > kBytesMax) return;
    write_new(graph_.at(id));
    if (uses.count < 2 || !is_remembered(graph_.at(id).kind)) return;
    uses.slot = slots_++;
    put_slot(op::kBinPut, op::kLongBinPut, uses.slot);
  }

  /// What can change is one object wherever it is wanted. Of what cannot only names are: whether
  /// two tuples are one object then makes no difference to the pickle.
  static bool is_remembered(Kind kind) {
    switch (kind) {
      case Kind::kNone:
      case Kind::kBool:
      case Kind::kInt:
      case Kind::kLong:
      case Kind::kFloat:
      case Kind::kBytes:
      case Kind::kTuple:
      case Kind::kFrozenSet:
        return false;
      case Kind::kText:
      case Kind::kByteArray:
      case Kind::kList:
      case Kind::kDict:
      case Kind::kSet:
      case Kind::kGlobal:
      case Kind::kCall:
      case Kind::kPersistent:
        return true;
    }
    return true;
  }

  void write_new(const PickleNode& node) {
    switch (node.kind) {
      case Kind::kNone:
        return emit(op::kNone);
      case Kind::kBool:
        return emit(node.integer != 0 ? op::kNewTrue : op::kNewFalse);
      case Kind::kInt:
        return put_integer(node.integer);
      case Kind::kLong:
        return put_long(node.text);
      case Kind::kFloat:
        emit(op::kBinFloat);
        return append_le(out_, __builtin_bswap64(std::bit_cast<uint64_t>(node.real)));
      case Kind::kText:
        return put_text(node.text);
      case Kind::kBytes:
        return put_bytes(node.text);
      case Kind::kByteArray:
        return put_made("__builtin__\nbytearray", [&] { put_bytes(node.text); });
      case Kind::kTuple:
        return put_tuple(node.items);
      case Kind::kList:
        emit(op::kEmptyList);
        return put_items(node.items, op::kAppend, op::kAppends);
      case Kind::kDict:
        emit(op::kEmptyDict);
        return put_pairs(node.pairs);
      case Kind::kSet:
        return put_set("__builtin__\nset", node.items);
      case Kind::kFrozenSet:
        return put_set("__builtin__\nfrozenset", node.items);
      case Kind::kGlobal:
        return put_global(node.text);
      case Kind::kCall:
        return put_call(node);
      case Kind::kPersistent:
        write(node.items.front());
        return emit(op::kBinPersid);
    }
  }

  void emit(int byte) { out_.push_back(static_cast<uint8_t>(byte)); }

  void put_slot(uint8_t narrow, uint8_t wide, uint32_t slot) {
    emit(slot < 256 ? narrow : wide);
    slot < 256 ? emit(static_cast<int>(slot)) : append_le(out_, slot);
  }

  void put_integer(int64_t value) {
    if (value >= 0 && value < 256) {
      emit(op::kBinInt1);
      emit(static_cast<int>(value));
    } else if (value >= 0 && value < 65536) {
      emit(op::kBinInt2);
      append_le(out_, static_cast<uint16_t>(value));
    } else if (value >= INT32_MIN && value <= INT32_MAX) {
      emit(op::kBinInt);
      append_le(out_, static_cast<int32_t>(value));
    } else {
      std::string digits(8, 0);
      for (size_t i = 0; i < 8; ++i) digits[i] = static_cast<char>(value >> (8 * i));
      put_long(digits);
    }
  }

  void put_long(const std::string& digits) {
    emit(digits.size() < 256 ? op::kLong1 : op::kLong4);
    digits.size() < 256 ? emit(static_cast<int>(digits.size()))
                        : append_le(out_, static_cast<uint32_t>(digits.size()));
    append_bytes(out_, as_bytes(digits));
  }

  void put_text(std::string_view text) {
    emit(op::kBinUnicode);
    append_le(out_, static_cast<uint32_t>(text.size()));
    append_bytes(out_, as_bytes(text));
  }

  /// Protocol 2 has no bytes: they are a text of characters below 256, encoded.
  void put_bytes(std::string_view bytes) {
    emit(op::kGlobal);
    put_line("_codecs\nencode");
    std::string text;
    for (const char byte : bytes) {
      const auto code = static_cast<uint8_t>(byte);
      if (code < 0x80) {
        text += byte;
      } else {
        text += static_cast<char>(0xc0 | code >> 6);
        text += static_cast<char>(0x80 | (code & 0x3f));
      }
    }
    put_text(text);
    put_text("latin1");
    emit(op::kTuple2);
    emit(op::kReduce);
  }

  void put_line(std::string_view lines) {
    append_bytes(out_, as_bytes(lines));
    emit('\n');
  }

  template <class Argument>
  void put_made(std::string_view callable, const Argument& argument) {
    emit(op::kGlobal);
    put_line(callable);
    argument();
    emit(op::kTuple1);
    emit(op::kReduce);
  }

  void put_set(std::string_view callable, const std::vector<PickleId>& items) {
    put_made(callable, [&] {
      emit(op::kEmptyList);
      put_items(items, op::kAppend, op::kAppends);
    });
  }

  void put_global(const std::string& name) {
    const size_t dot = name.rfind('.');
    const std::string module = name.substr(0, dot);
    emit(op::kGlobal);
    put_line(module == "builtins" ? "__builtin__" : module);
    put_line(name.substr(dot + 1));
  }

  void put_tuple(const std::vector<PickleId>& items) {
    if (items.size() > 3) emit(op::kMark);
    for (const PickleId item : items) write(item);
    static constexpr uint8_t kEnds[] = {op::kEmptyTuple, op::kTuple1, op::kTuple2, op::kTuple3};
    emit(items.size() > 3 ? op::kTuple : kEnds[items.size()]);
  }

  void put_items(const std::vector<PickleId>& items, uint8_t one, uint8_t many) {
    if (items.empty()) return;
    if (items.size() > 1) emit(op::kMark);
    for (const PickleId item : items) write(item);
    emit(items.size() > 1 ? many : one);
  }

  void put_pairs(const std::vector<PickleId>& pairs) {
    if (pairs.empty()) return;
    if (pairs.size() > 2) emit(op::kMark);
    for (const PickleId item : pairs) write(item);
    emit(pairs.size() > 2 ? op::kSetItems : op::kSetItem);
  }

  void put_call(const PickleNode& node) {
    write(node.callable);
    write(node.args);
    emit(node.is_new ? op::kNewObj : op::kReduce);
    put_items(node.items, op::kAppend, op::kAppends);
    put_pairs(node.pairs);
    if (node.state == kNoPickle) return;
    write(node.state);
    emit(op::kBuild);
  }

  struct Uses {
    uint32_t count = 0;
    uint32_t height = 0;  // of what it holds
    bool is_open = false;
    PickleId slot = kNoPickle;  // of the memo
  };

  const PickleGraph& graph_;
  std::unordered_map<PickleId, Uses> uses_;
  uint32_t slots_ = 0;
  Bytes out_;
};

}  // namespace

Result<Bytes> write_pickle(const PickleGraph& graph, PickleId root) {
  return Writer(graph).run(root);
}

}  // namespace cairn
