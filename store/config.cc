#include "store/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/chunk_rule.h"
#include "store/sealed_json.h"

namespace cairn {

using nlohmann::json;

bool has_content_cuts(const Config& config) {
  const std::vector<std::string>& names = config.features.read;
  return std::find(names.begin(), names.end(), kContentCuts) != names.end();
}

uint64_t attachment_chunk_bytes_max(const Config& config) {
  const uint64_t bytes = config.opaque_chunk_bytes;
  return has_content_cuts(config) ? ChunkRule::of_average(bytes).max_bytes : bytes;
}

Status check_config(const Config& config) {
  const uint64_t elements = config.chunk_elements;
  if (elements < kChunkElementsMin || elements > kChunkElementsMax ||
      (elements & (elements - 1)) != 0) {
    return fail(Code::kUsage, fmt::format("{} chunk elements: not a power of two from {} to {}",
                                          elements, kChunkElementsMin, kChunkElementsMax));
  }
  if (config.pack_bytes < kPackBytesMin || config.pack_bytes > kPackBytesMax) {
    return fail(Code::kUsage,
                fmt::format("packs of {} bytes: not from 1 MiB to 64 GiB", config.pack_bytes));
  }
  if (config.opaque_chunk_bytes == 0 || config.opaque_chunk_bytes > kGiB) {
    return fail(Code::kUsage, fmt::format("opaque chunks of {} bytes: not from 1 byte to 1 GiB",
                                          config.opaque_chunk_bytes));
  }
  if (has_content_cuts(config) && !ChunkRule::is_average(config.opaque_chunk_bytes)) {
    return fail(Code::kUsage,
                fmt::format("content cuts every {} bytes: not a multiple of 16 from {} to {}",
                            config.opaque_chunk_bytes, kAverageBytesMin, kAverageBytesMax));
  }
  return {};
}

std::string encode_config(const Config& config) {
  return seal_json(json{{"format", kFormatNumber},
                        {"store_id", config.store_id.hex()},
                        {"created", config.created},
                        {"chunk_elements", config.chunk_elements},
                        {"opaque_chunk_bytes", config.opaque_chunk_bytes},
                        {"pack_bytes", config.pack_bytes},
                        {"features",
                         {{"read", config.features.read},
                          {"write", config.features.write},
                          {"collect", config.features.collect}}}});
}

static uint64_t number_of(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number_unsigned() ? found->get<uint64_t>() : 0;
}

static std::string text_of(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

static std::vector<std::string> names_of(const json& object, const char* key) {
  std::vector<std::string> names;
  const auto features = object.find("features");
  if (features == object.end() || !features->is_object()) return names;
  const auto found = features->find(key);
  if (found == features->end() || !found->is_array()) return names;
  for (const json& name : *found) {
    names.push_back(name.is_string() ? name.get<std::string>() : name.dump());
  }
  return names;
}

static Status refuse_unknown(const std::vector<std::string>& names, std::string_view doing) {
  const auto unknown = std::find_if(names.begin(), names.end(),
                                    [](const std::string& name) { return name != kContentCuts; });
  if (unknown == names.end()) return {};
  return fail(Code::kNewerFormat,
              fmt::format("the store needs the feature '{}' for {}, which this version lacks",
                          *unknown, doing),
              "use a newer cairn");
}

Result<Config> decode_config(ByteSpan text, std::string_view path) {
  // A newer format may seal its config differently: look at its number before anything else.
  const json plain = parse_json(as_text(text));
  if (plain.is_object() && number_of(plain, "format") > kFormatNumber) {
    return fail(Code::kNewerFormat,
                fmt::format("'{}' is of format {}, this version reads format {}", path,
                            number_of(plain, "format"), kFormatNumber),
                "use a newer cairn");
  }
  CAIRN_TRY(const json object, unseal_json(text, fmt::format("'{}'", path)));
  Config config;
  const auto store_id = SessionId::parse(text_of(object, "store_id"));
  config.created = text_of(object, "created");
  config.chunk_elements = number_of(object, "chunk_elements");
  config.opaque_chunk_bytes = number_of(object, "opaque_chunk_bytes");
  config.pack_bytes = number_of(object, "pack_bytes");
  config.features = {names_of(object, "read"), names_of(object, "write"),
                     names_of(object, "collect")};
  if (!store_id || number_of(object, "format") != kFormatNumber || !check_config(config)) {
    return fail(Code::kCorrupt, fmt::format("'{}' is damaged: a field is missing or wrong", path));
  }
  config.store_id = *store_id;
  CAIRN_CHECK(refuse_unknown(config.features.read, "reading"));
  return config;
}

Status check_may_write(const Config& config) {
  return refuse_unknown(config.features.write, "writing");
}

Status check_may_collect(const Config& config) {
  CAIRN_CHECK(check_may_write(config));
  return refuse_unknown(config.features.collect, "collecting garbage");
}

}  // namespace cairn
