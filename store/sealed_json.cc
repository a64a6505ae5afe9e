#include "store/sealed_json.h"

#include <nlohmann/json.hpp>

#include "base/digest.h"

namespace cairn {

static constexpr std::string_view kSealBegin = ",\"blake3\":\"";
static constexpr std::string_view kSealEnd = "\"}\n";
static constexpr size_t kSealBytes = kSealBegin.size() + 64 + kSealEnd.size();

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
  auto object = nlohmann::json::parse(json, nullptr, false);
  if (!object.is_object()) return damaged("it is no JSON object");
  return object;
}

}  // namespace cairn
