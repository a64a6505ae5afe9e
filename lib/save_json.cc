#include "lib/save_json.h"

namespace cairn {

nlohmann::ordered_json save_json(const SaveResult& saved) {
  const TagFacts& facts = saved.facts;
  nlohmann::ordered_json told{
      {"tag", saved.tag},
      {"manifest", saved.manifest.hex()},
      {"tensors", facts.tensors},
      {"logical_bytes", facts.logical_bytes},
      {"new_bytes", facts.new_bytes},
      {"reused_bytes", saved.reused_bytes},
      {"stored_bytes", facts.stored_bytes},
      {"attachment_bytes", facts.attachment_bytes},
      {"chunks", facts.chunks},
      {"new_chunks", facts.new_chunks},
      {"base", saved.base.empty() ? nlohmann::json() : nlohmann::json(saved.base)},
      {"damaged_base",
       saved.damaged_base.empty() ? nlohmann::json() : nlohmann::json(saved.damaged_base)},
      {"unread_chunks", saved.unread_chunks},
      {"warnings", saved.warnings},
      {"elapsed_s", saved.elapsed_s}};
  if (saved.brought_bytes > 0) told["brought_bytes"] = saved.brought_bytes;
  if (!saved.notes.empty()) told["notes"] = saved.notes;
  return told;
}

}  // namespace cairn
