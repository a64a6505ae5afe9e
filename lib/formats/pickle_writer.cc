#include <fmt/format.h>

#include <bit>
#include <unordered_map>

#include "lib/formats/pickle.h"

namespace cairn {

static constexpr unsigned kDepthMax = 512;
/// Tuples of tuples can grow exponentially.
static constexpr size_t kBytesMax = size_t{1} << 30;

namespace {

using Kind = PickleNode::Kind;

class Writer {
 public:
  explicit Writer(const PickleGraph& graph) : graph_(graph) {}

  Result<Bytes> run(PickleId root) {
    CAIRN_CHECK(count(root, 0));
    put_byte(0x80);
    put_byte(2);
    write(root);
    put_byte('.');
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
    if (depth > kDepthMax) {
      return fail(Code::kUsage, fmt::format("it is nested deeper than {} times", kDepthMax));
    }
    Uses& uses = uses_[id];
    ++uses.count;
    if (uses.is_open) return fail(Code::kUsage, "it holds itself");
    if (uses.count > 1) return {};
    uses.is_open = true;
    Status status;
    each_child(graph_.at(id), [&](PickleId child) {
      if (status) status = count(child, depth + 1);
    });
    uses_[id].is_open = false;
    return status;
  }

  void write(PickleId id) {
    Uses& uses = uses_[id];
    if (uses.slot != kNoPickle) return put_slot('h', 'j', uses.slot);
    if (out_.size() > kBytesMax) return;
    write_new(graph_.at(id));
    if (uses.count < 2 || !is_remembered(graph_.at(id).kind)) return;
    uses.slot = slots_++;
    put_slot('q', 'r', uses.slot);
  }

  /// What can change is one object wherever it is wanted. Of what cannot only names are: whether two
  /// tuples are one object then makes no difference to the pickle.
  static bool is_remembered(Kind kind) {
    switch (kind) {
      case Kind::kNone:
      case Kind::kBool:
      case Kind::kInt:
      case Kind::kLong:
      case Kind::kFloat:
      case Kind::kBytes:
      case Kind::kTuple:
      case Kind::kFrozenSet: return false;
      case Kind::kText:
      case Kind::kByteArray:
      case Kind::kList:
      case Kind::kDict:
      case Kind::kSet:
      case Kind::kGlobal:
      case Kind::kCall:
      case Kind::kPersistent: return true;
    }
    return true;
  }

  void write_new(const PickleNode& node) {
    switch (node.kind) {
      case Kind::kNone: return put_byte('N');
      case Kind::kBool: return put_byte(node.integer != 0 ? 0x88 : 0x89);
      case Kind::kInt: return put_integer(node.integer);
      case Kind::kLong: return put_long(node.text);
      case Kind::kFloat:
        put_byte('G');
        return append_le(out_, __builtin_bswap64(std::bit_cast<uint64_t>(node.real)));
      case Kind::kText: return put_text(node.text);
      case Kind::kBytes: return put_bytes(node.text);
      case Kind::kByteArray: return put_made("__builtin__\nbytearray", [&] { put_bytes(node.text); });
      case Kind::kTuple: return put_tuple(node.items);
      case Kind::kList:
        put_byte(']');
        return put_items(node.items, 'a', 'e');
      case Kind::kDict:
        put_byte('}');
        return put_pairs(node.pairs);
      case Kind::kSet: return put_set("__builtin__\nset", node.items);
      case Kind::kFrozenSet: return put_set("__builtin__\nfrozenset", node.items);
      case Kind::kGlobal: return put_global(node.text);
      case Kind::kCall: return put_call(node);
      case Kind::kPersistent:
        write(node.items.front());
        return put_byte('Q');
    }
  }

  void put_byte(int byte) { out_.push_back(static_cast<uint8_t>(byte)); }

  void put_slot(char narrow, char wide, uint32_t slot) {
    put_byte(slot < 256 ? narrow : wide);
    slot < 256 ? put_byte(static_cast<int>(slot)) : append_le(out_, slot);
  }

  void put_integer(int64_t value) {
    if (value >= 0 && value < 256) {
      put_byte('K');
      put_byte(static_cast<int>(value));
    } else if (value >= 0 && value < 65536) {
      put_byte('M');
      append_le(out_, static_cast<uint16_t>(value));
    } else if (value >= INT32_MIN && value <= INT32_MAX) {
      put_byte('J');
      append_le(out_, static_cast<int32_t>(value));
    } else {
      std::string digits(8, 0);
      for (size_t i = 0; i < 8; ++i) digits[i] = static_cast<char>(value >> (8 * i));
      put_long(digits);
    }
  }

  void put_long(const std::string& digits) {
    put_byte(digits.size() < 256 ? 0x8a : 0x8b);
    digits.size() < 256 ? put_byte(static_cast<int>(digits.size()))
                        : append_le(out_, static_cast<uint32_t>(digits.size()));
    append_bytes(out_, as_bytes(digits));
  }

  void put_text(std::string_view text) {
    put_byte('X');
    append_le(out_, static_cast<uint32_t>(text.size()));
    append_bytes(out_, as_bytes(text));
  }

  /// Protocol 2 has no bytes: they are a text of characters below 256, encoded.
  void put_bytes(std::string_view bytes) {
    put_line("c_codecs\nencode");
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
    put_byte(0x86);
    put_byte('R');
  }

  void put_line(std::string_view lines) {
    append_bytes(out_, as_bytes(lines));
    put_byte('\n');
  }

  template <class Argument>
  void put_made(std::string_view callable, const Argument& argument) {
    put_byte('c');
    put_line(callable);
    argument();
    put_byte(0x85);
    put_byte('R');
  }

  void put_set(std::string_view callable, const std::vector<PickleId>& items) {
    put_made(callable, [&] {
      put_byte(']');
      put_items(items, 'a', 'e');
    });
  }

  void put_global(const std::string& name) {
    const size_t dot = name.rfind('.');
    const std::string module = name.substr(0, dot);
    put_byte('c');
    put_line(module == "builtins" ? "__builtin__" : module);
    put_line(name.substr(dot + 1));
  }

  void put_tuple(const std::vector<PickleId>& items) {
    if (items.size() > 3) put_byte('(');
    for (const PickleId item : items) write(item);
    static constexpr int kEnds[] = {')', 0x85, 0x86, 0x87};
    put_byte(items.size() > 3 ? 't' : kEnds[items.size()]);
  }

  void put_items(const std::vector<PickleId>& items, char one, char many) {
    if (items.empty()) return;
    if (items.size() > 1) put_byte('(');
    for (const PickleId item : items) write(item);
    put_byte(items.size() > 1 ? many : one);
  }

  void put_pairs(const std::vector<PickleId>& pairs) {
    if (pairs.empty()) return;
    if (pairs.size() > 2) put_byte('(');
    for (const PickleId item : pairs) write(item);
    put_byte(pairs.size() > 2 ? 'u' : 's');
  }

  void put_call(const PickleNode& node) {
    write(node.callable);
    write(node.args);
    put_byte(node.is_new ? 0x81 : 'R');
    put_items(node.items, 'a', 'e');
    put_pairs(node.pairs);
    if (node.state == kNoPickle) return;
    write(node.state);
    put_byte('b');
  }

  struct Uses {
    uint32_t count = 0;
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
