// Plain values between pickles and JSON.
#include <cmath>
#include <limits>

#include "base/base64.h"
#include "base/utf8.h"
#include "lib/formats/state.h"

namespace cairn {

using nlohmann::json;
using Kind = PickleNode::Kind;

static json json_of_real(double real) {
  if (std::isfinite(real)) return real;
  return {{"float", std::isnan(real) ? "nan" : real > 0 ? "inf" : "-inf"}};
}

/// An unsigned number of 64 bits is a long of 9 bytes to a pickle.
static std::optional<json> json_of_long(std::string_view digits) {
  if (digits.size() != 9 || digits.back() != 0) return std::nullopt;
  return load_le<uint64_t>(as_bytes(digits));
}

/// The bytes that _codecs.encode(text, "latin1") makes; nullopt for a text of other characters.
static std::optional<std::string> from_latin1(std::string_view text) {
  std::string bytes;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<uint8_t>(text[i]);
    if (byte < 0x80) {
      bytes += text[i];
    } else if ((byte == 0xc2 || byte == 0xc3) && i + 1 < text.size()) {
      bytes += static_cast<char>((byte & 3) << 6 | (static_cast<uint8_t>(text[++i]) & 0x3f));
    } else {
      return std::nullopt;
    }
  }
  return bytes;
}

static json json_of_bytes(std::string_view bytes) {
  return {{"bytes", to_base64(as_bytes(bytes))}};
}

static std::optional<json> json_of_call(const PickleGraph& graph, PickleId id) {
  const auto& args = graph.args_of(id);
  const bool is_bytes = graph.is_call_of(id, "_codecs.encode") && args.size() == 2 &&
                        graph.at(args[0]).kind == Kind::kText && graph.at(args[1]).text == "latin1";
  if (!is_bytes) return std::nullopt;
  const auto bytes = from_latin1(graph.at(args[0]).text);
  return bytes ? std::optional(json_of_bytes(*bytes)) : std::nullopt;
}

std::optional<json> value_of_pickle(const PickleGraph& graph, PickleId id) {
  const PickleNode& node = graph.at(id);
  switch (node.kind) {
    case Kind::kNone:
      return json();
    case Kind::kBool:
      return node.integer != 0;
    case Kind::kInt:
      return node.integer;
    case Kind::kLong:
      return json_of_long(node.text);
    case Kind::kFloat:
      return json_of_real(node.real);
    case Kind::kText:
      return is_utf8(node.text) ? std::optional<json>(node.text) : std::nullopt;
    case Kind::kBytes:
      return json_of_bytes(node.text);
    case Kind::kCall:
      return json_of_call(graph, id);
    case Kind::kByteArray:
    case Kind::kTuple:
    case Kind::kList:
    case Kind::kDict:
    case Kind::kSet:
    case Kind::kFrozenSet:
    case Kind::kGlobal:
    case Kind::kPersistent:
      return std::nullopt;
  }
  return std::nullopt;
}

static PickleId pickle_of_integer(PickleGraph& graph, const json& value) {
  if (!value.is_number_unsigned() || value.get<uint64_t>() <= INT64_MAX) {
    return graph.integer(value.get<int64_t>());
  }
  std::string digits(9, 0);
  const auto number = value.get<uint64_t>();
  for (size_t i = 0; i < 8; ++i) digits[i] = static_cast<char>(number >> (8 * i));
  return graph.add({.kind = Kind::kLong, .text = digits});
}

/// {"float": "nan"} or {"bytes": base64}
static std::optional<PickleId> pickle_of_object(PickleGraph& graph, const json& value) {
  if (value.size() != 1 || !value.begin()->is_string()) return std::nullopt;
  const auto text = value.begin()->get<std::string>();
  if (value.begin().key() == "bytes") {
    const auto bytes = from_base64(text);
    if (!bytes) return std::nullopt;
    return graph.add({.kind = Kind::kBytes, .text = std::string(as_text(*bytes))});
  }
  if (value.begin().key() != "float") return std::nullopt;
  const double infinity = std::numeric_limits<double>::infinity();
  if (text == "nan") return graph.real(std::numeric_limits<double>::quiet_NaN());
  if (text == "inf") return graph.real(infinity);
  if (text == "-inf") return graph.real(-infinity);
  return std::nullopt;
}

Result<PickleId> pickle_of_value(PickleGraph& graph, const json& value) {
  if (value.is_null()) return graph.none();
  if (value.is_boolean()) return graph.boolean(value.get<bool>());
  if (value.is_number_integer()) return pickle_of_integer(graph, value);
  if (value.is_number()) return graph.real(value.get<double>());
  if (value.is_string()) return graph.text(value.get<std::string>());
  const auto made = value.is_object() ? pickle_of_object(graph, value) : std::nullopt;
  if (!made) return fail(Code::kCorrupt, "a value of the state is not understood");
  return *made;
}

}  // namespace cairn
