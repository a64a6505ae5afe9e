#include "store/sealed_json.h"

#include <nlohmann/json.hpp>

#include "base/digest.h"

namespace cairn {

static constexpr std::string_view kSealBegin = ",\"blake3\":\"";
static constexpr std::string_view kSealEnd = "\"}\n";
static constexpr size_t kSealBytes = kSealBegin.size() + 64 + kSealEnd.size();

/// Of all that is written in this form.
static constexpr int kDepthMax = 16;

static bool is_nested_deeply(std::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"') in_string = !in_string;
    if (in_string && c == '\\') ++i;
    if (in_string) continue;
    if (c == '{' || c == '[') ++depth;
    if (c == '}' || c == ']') --depth;
    if (depth > kDepthMax) return true;
  }
  return false;
}

nlohmann::json parse_json(std::string_view text) {
  if (is_nested_deeply(text)) return nlohmann::json(nlohmann::json::value_t::discarded);
  return nlohmann::json::parse(text, nullptr, false);
}

std::string seal_json(const nlohmann::json& object) {
  std::string text = object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  text.pop_back();
  const std::string digest = blake3(as_bytes(text)).hex();
  return text.append(kSealBegin).append(digest).append(kSealEnd);
}

Result<nlohmann::json> unseal_json(ByteSpan text, std::string_view what) {
  const auto damaged = [&](std::string_view why) {
    return fail(Code::kCorrupt, std::string(what) + " is damaged: " + std::string(why));
  };
  if (text.size() < kSealBytes) return damaged("it ends too early");
  const ByteSpan body = text.first(text.size() - kSealBytes);
  std::string seal(kSealBegin);
  seal.append(blake3(body).hex()).append(kSealEnd);
  if (as_text(text.last(kSealBytes)) != seal) return damaged("its bytes do not match its digest");
  std::string json(as_text(body));
  json += '}';
  auto object = parse_json(json);
  if (!object.is_object()) return damaged("it is no JSON object");
  return object;
}

}  // namespace cairn
