// The machine that pickles are programs for, making nodes where Python would make objects.
#include <fmt/format.h>

#include <charconv>
#include <cstdlib>
#include <unordered_map>

#include "lib/formats/pickle.h"
#include "lib/formats/pickle_opcodes.h"

namespace cairn {

/// A node takes about 150 bytes, and an opcode of one byte may make one.
static constexpr size_t kNodesMax = size_t{1} << 24;

namespace {

using Kind = PickleNode::Kind;
namespace op = pickle_op;

class Machine {
 public:
  Machine(ByteSpan bytes, PickleGraph& graph) : bytes_(bytes), graph_(graph) {}

  Result<PickleRead> run() {
    while (problem_.empty() && !stopped_) {
      if (graph_.size() > kNodesMax) problem_ = "it makes too many objects";
      step(take<uint8_t>());
    }
    if (problem_.empty() && stack_.size() != 1) problem_ = "it does not leave one object";
    if (!problem_.empty()) {
      return fail(Code::kUsage,
                  fmt::format("the pickle is malformed at byte {}: {}", at_, problem_));
    }
    return PickleRead{stack_.back(), at_};
  }

 private:
  // --- Input

  void refuse(std::string problem) {
    if (problem_.empty()) problem_ = std::move(problem);
  }

  template <class T>
  T take() {
    if (bytes_.size() - at_ < sizeof(T)) {
      refuse("it is cut off");
      return T{};
    }
    at_ += sizeof(T);
    return load_le<T>(bytes_, at_ - sizeof(T));
  }

  std::string take_text(uint64_t bytes) {
    if (bytes_.size() - at_ < bytes) {
      refuse("it is cut off");
      return {};
    }
    at_ += bytes;
    return std::string(as_text(bytes_.subspan(at_ - bytes, bytes)));
  }

  std::string take_line() {
    const std::string_view rest = as_text(bytes_.subspan(at_));
    const size_t length = rest.find('\n');
    if (length == std::string_view::npos) {
      refuse("it is cut off");
      return {};
    }
    at_ += length + 1;
    return std::string(rest.substr(0, length));
  }

  // --- Stack

  void push(PickleNode node) { stack_.push_back(graph_.add(std::move(node))); }

  size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }

  PickleId pop() {
    if (stack_.size() <= floor()) {
      refuse("its stack is empty");
      return graph_.none();
    }
    const PickleId top = stack_.back();
    stack_.pop_back();
    return top;
  }

  PickleId top() {
    if (stack_.size() > floor()) return stack_.back();
    refuse("its stack is empty");
    return graph_.none();
  }

  std::vector<PickleId> pop_mark() {
    if (marks_.empty()) {
      refuse("a mark is missing");
      return {};
    }
    const auto begin = stack_.begin() + static_cast<ptrdiff_t>(marks_.back());
    std::vector<PickleId> items(begin, stack_.end());
    stack_.erase(begin, stack_.end());
    marks_.pop_back();
    return items;
  }

  void push_tuple(size_t count) {
    std::vector<PickleId> items(count);
    for (size_t i = count; i > 0; --i) items[i - 1] = pop();
    push({.kind = Kind::kTuple, .items = std::move(items)});
  }

  // --- Objects

  static std::string global_name(std::string module, const std::string& name) {
    if (module == "__builtin__") module = "builtins";
    if (module == "copy_reg") module = "copyreg";
    return module + "." + name;
  }

  void push_global() {
    std::string module = take_line();
    const std::string name = take_line();
    stack_.push_back(graph_.global(global_name(std::move(module), name)));
  }

  void push_stack_global() {
    const PickleId name = pop(), module = pop();
    if (graph_.at(name).kind != Kind::kText || graph_.at(module).kind != Kind::kText) {
      return refuse("a name is no text");
    }
    const std::string full = global_name(graph_.at(module).text, graph_.at(name).text);
    stack_.push_back(graph_.global(full));
  }

  void push_call(bool is_new) {
    const PickleId args = pop(), callable = pop();
    push({.kind = Kind::kCall, .is_new = is_new, .callable = callable, .args = args});
  }

  void push_call_with_names() {
    const PickleId names = pop();
    push_call(true);
    if (!graph_.at(names).pairs.empty()) refuse("a class is made with named arguments");
  }

  /// INST and OBJ of protocols 0 and 1: a class, and arguments down to the mark.
  void push_instance(PickleId callable, std::vector<PickleId> arguments) {
    const PickleId args = graph_.tuple(std::move(arguments));
    push({.kind = Kind::kCall, .callable = callable, .args = args});
  }

  /// A class, and arguments.
  void push_object(std::vector<PickleId> parts) {
    if (parts.empty()) return refuse("a class is missing");
    const PickleId callable = parts.front();
    parts.erase(parts.begin());
    push_instance(callable, std::move(parts));
  }

  void build() {
    const PickleId state = pop();
    PickleNode& target = graph_.at(top());
    if (target.kind != Kind::kCall) return refuse("a state is set on what is no object");
    target.state = state;
  }

  void append(const std::vector<PickleId>& items, bool to_set) {
    PickleNode& target = graph_.at(top());
    const bool fits =
        target.kind == Kind::kCall || target.kind == (to_set ? Kind::kSet : Kind::kList);
    if (!fits) return refuse("items are added to what has none");
    target.items.insert(target.items.end(), items.begin(), items.end());
  }

  void set(const std::vector<PickleId>& pairs) {
    PickleNode& target = graph_.at(top());
    if (target.kind != Kind::kDict && target.kind != Kind::kCall) {
      return refuse("keys are set in what has none");
    }
    if (pairs.size() % 2 != 0) return refuse("a key has no value");
    target.pairs.insert(target.pairs.end(), pairs.begin(), pairs.end());
  }

  void push_dict(std::vector<PickleId> pairs) {
    if (pairs.size() % 2 != 0) return refuse("a key has no value");
    stack_.push_back(graph_.dict(std::move(pairs)));
  }

  // --- Plain values

  void push_text(std::string text) { stack_.push_back(graph_.text(text)); }
  void push_bytes(std::string bytes) { push({.kind = Kind::kBytes, .text = std::move(bytes)}); }
  void push_integer(int64_t value) { stack_.push_back(graph_.integer(value)); }

  /// Little-endian two's complement of any length.
  void push_long(const std::string& digits) {
    if (digits.size() > 8) return push({.kind = Kind::kLong, .text = digits});
    uint64_t value = !digits.empty() && (digits.back() & 0x80) != 0 ? ~uint64_t{0} : 0;
    for (size_t i = digits.size(); i > 0; --i) {
      value = value << 8 | static_cast<uint8_t>(digits[i - 1]);
    }
    push_integer(static_cast<int64_t>(value));
  }

  void push_decimal(std::string_view line) {
    if (line == "00" || line == "01") {
      stack_.push_back(graph_.boolean(line == "01"));
      return;
    }
    if (line.ends_with('L')) line.remove_suffix(1);
    int64_t value = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), value);
    if (error != std::errc() || end != line.data() + line.size()) {
      return refuse("an integer is malformed or too large");
    }
    push_integer(value);
  }

  void push_real_line(const std::string& line) {
    double value = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), value);
    if (error != std::errc() || end != line.data() + line.size()) {
      return refuse("a number is malformed");
    }
    stack_.push_back(graph_.real(value));
  }

  void push_real() {
    const auto swapped = take<uint64_t>();
    stack_.push_back(graph_.real(std::bit_cast<double>(__builtin_bswap64(swapped))));
  }

  void get(uint64_t slot) {
    const auto found = memo_.find(slot);
    if (found == memo_.end()) return refuse("it wants what it has not kept");
    stack_.push_back(found->second);
  }

  // --- Opcodes

  void step(uint8_t opcode) {
    if (!problem_.empty()) return;
    const bool is_known =
        step_value(opcode) || step_container(opcode) || step_change(opcode) || step_object(opcode);
    if (!is_known) {
      refuse(fmt::format("the opcode {:#04x} is not known", opcode));
    }
  }

  bool step_value(uint8_t opcode) {
    switch (opcode) {
      case op::kNone:
        stack_.push_back(graph_.none());
        return true;
      case op::kNewTrue:
        stack_.push_back(graph_.boolean(true));
        return true;
      case op::kNewFalse:
        stack_.push_back(graph_.boolean(false));
        return true;
      case op::kInt:
      case op::kLong:
        push_decimal(take_line());
        return true;
      case op::kBinInt:
        push_integer(take<int32_t>());
        return true;
      case op::kBinInt1:
        push_integer(take<uint8_t>());
        return true;
      case op::kBinInt2:
        push_integer(take<uint16_t>());
        return true;
      case op::kLong1:
        push_long(take_text(take<uint8_t>()));
        return true;
      case op::kLong4:
        push_long(take_text(take<uint32_t>()));
        return true;
      case op::kFloat:
        push_real_line(take_line());
        return true;
      case op::kBinFloat:
        push_real();
        return true;
      case op::kBinUnicode:
        push_text(take_text(take<uint32_t>()));
        return true;
      case op::kShortBinUnicode:
        push_text(take_text(take<uint8_t>()));
        return true;
      case op::kBinUnicode8:
        push_text(take_text(take<uint64_t>()));
        return true;
      case op::kBinString:
        push_text(take_text(take<uint32_t>()));
        return true;  // of Python 2
      case op::kShortBinString:
        push_text(take_text(take<uint8_t>()));
        return true;
      case op::kBinBytes:
        push_bytes(take_text(take<uint32_t>()));
        return true;
      case op::kShortBinBytes:
        push_bytes(take_text(take<uint8_t>()));
        return true;
      case op::kBinBytes8:
        push_bytes(take_text(take<uint64_t>()));
        return true;
      case op::kByteArray8:
        push({.kind = Kind::kByteArray, .text = take_text(take<uint64_t>())});
        return true;
      default:
        return false;
    }
  }

  bool step_container(uint8_t opcode) {
    switch (opcode) {
      case op::kMark:
        marks_.push_back(stack_.size());
        return true;
      case op::kEmptyTuple:
        push_tuple(0);
        return true;
      case op::kTuple1:
        push_tuple(1);
        return true;
      case op::kTuple2:
        push_tuple(2);
        return true;
      case op::kTuple3:
        push_tuple(3);
        return true;
      case op::kTuple:
        push({.kind = Kind::kTuple, .items = pop_mark()});
        return true;
      case op::kEmptyList:
        push({.kind = Kind::kList});
        return true;
      case op::kList:
        push({.kind = Kind::kList, .items = pop_mark()});
        return true;
      case op::kEmptyDict:
        push({.kind = Kind::kDict});
        return true;
      case op::kDict:
        push_dict(pop_mark());
        return true;
      case op::kEmptySet:
        push({.kind = Kind::kSet});
        return true;
      case op::kFrozenSet:
        push({.kind = Kind::kFrozenSet, .items = pop_mark()});
        return true;
      default:
        return false;
    }
  }

  bool step_change(uint8_t opcode) {
    switch (opcode) {
      case op::kAppend:
        append({pop()}, false);
        return true;
      case op::kAppends:
        append(pop_mark(), false);
        return true;
      case op::kAddItems:
        append(pop_mark(), true);
        return true;
      case op::kSetItem: {
        const PickleId value = pop(), key = pop();
        set({key, value});
        return true;
      }
      case op::kSetItems:
        set(pop_mark());
        return true;
      case op::kPop:
        pop_or_mark();
        return true;
      case op::kPopMark:
        pop_mark();
        return true;
      case op::kDup:
        stack_.push_back(top());
        return true;
      default:
        return false;
    }
  }

  bool step_object(uint8_t opcode) {
    switch (opcode) {
      case op::kGlobal:
        push_global();
        return true;
      case op::kStackGlobal:
        push_stack_global();
        return true;
      case op::kReduce:
        push_call(false);
        return true;
      case op::kNewObj:
        push_call(true);
        return true;
      case op::kNewObjEx:
        push_call_with_names();
        return true;
      case op::kInst: {
        push_global();
        const PickleId callable = pop();
        push_instance(callable, pop_mark());
        return true;
      }
      case op::kObj:
        push_object(pop_mark());
        return true;
      case op::kBuild:
        build();
        return true;
      case op::kBinPersid:
        push({.kind = Kind::kPersistent, .items = {pop()}});
        return true;
      case op::kBinPut:
        memo_[take<uint8_t>()] = top();
        return true;
      case op::kLongBinPut:
        memo_[take<uint32_t>()] = top();
        return true;
      case op::kPut:
        memo_[line_number()] = top();
        return true;
      case op::kMemoize:
        memo_.emplace(memo_.size(), top());
        return true;
      case op::kBinGet:
        get(take<uint8_t>());
        return true;
      case op::kLongBinGet:
        get(take<uint32_t>());
        return true;
      case op::kGet:
        get(line_number());
        return true;
      case op::kProto:
        take<uint8_t>();
        return true;
      case op::kFrame:
        take<uint64_t>();
        return true;
      case op::kStop:
        stopped_ = true;
        return true;
      default:
        return false;
    }
  }

  void pop_or_mark() {
    if (!marks_.empty() && stack_.size() == marks_.back()) {
      marks_.pop_back();
    } else {
      pop();
    }
  }

  uint64_t line_number() { return std::strtoull(take_line().c_str(), nullptr, 10); }

  const ByteSpan bytes_;
  PickleGraph& graph_;
  size_t at_ = 0;
  std::vector<PickleId> stack_;
  std::vector<size_t> marks_;
  std::unordered_map<uint64_t, PickleId> memo_;
  std::string problem_;
  bool stopped_ = false;
};

}  // namespace

Result<PickleRead> read_pickle(ByteSpan bytes, PickleGraph& graph) {
  return Machine(bytes, graph).run();
}

}  // namespace cairn
