#include "cli/tag_json.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "store/meta_pack.h"

namespace cairn {

Metadata merged_metadata(const Manifest& manifest) {
  Metadata merged = manifest.metadata;
  merged.insert(manifest.file_metadata.begin(), manifest.file_metadata.end());
  return merged;
}

nlohmann::ordered_json tag_json(const TagEntry& tag, const Manifest& manifest) {
  nlohmann::ordered_json metadata = nlohmann::ordered_json::object();
  for (const auto& [key, value] : merged_metadata(manifest)) metadata[key] = value;
  return {{"tag", tag.name},
          {"manifest", tag.manifest.digest.hex()},
          {"created", format_rfc3339(tag.created_ns)},
          {"step", tag.step ? nlohmann::ordered_json(*tag.step) : nlohmann::ordered_json()},
          {"logical_bytes", tag.facts.logical_bytes},
          {"new_bytes", tag.facts.new_bytes},
          {"stored_bytes", tag.facts.stored_bytes},
          {"attachment_bytes", tag.facts.attachment_bytes},
          {"tensor_count", tag.facts.tensors},
          {"pinned", tag.pinned},
          {"metadata", metadata}};
}

Result<Manifest> read_manifest(const Store& store, const TagEntry& tag) {
  const auto bytes = read_object(store.meta_files(), tag.manifest);
  if (bytes) return decode_manifest(*bytes);
  Error error = with_context(bytes.error(), fmt::format("reading tag '{}'", tag.name));
  // The root names the file, so a file that is gone is damage.
  if (error.code == Code::kNotFound) error.code = Code::kCorrupt;
  return tl::unexpected(std::move(error));
}

}  // namespace cairn
