// A part: what one process has stored of a tag that several save together, in the words of the tag
// (docs/FORMAT.md, section 11). Bytes here; lib/save_part.cc writes them to a metadata pack of the
// process' session, lib/merge_parts.cc puts those of all processes together.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "lib/cairn.hpp"
#include "store/file_id.h"
#include "store/layout.h"
#include "store/locator.h"
#include "store/manifest.h"
#include "store/page.h"
#include "store/schema.h"

namespace cairn {

/// The checkpoint that was compared with: all parts of a tag have the same, or none.
struct PartBase {
  std::string tag;  ///< that it was found by
  Digest manifest;

  bool operator==(const PartBase&) const = default;
};

/// A chunk of an item, or the piece of it that the process has.
struct PartUnit {
  uint32_t item = 0;  ///< tensor of the schema, or tensor count + attachment
  uint64_t chunk = 0;
  std::optional<Box> piece;             ///< in storage coordinates
  std::variant<Digest, Bytes> content;  ///< bytes: of what lies in its page
  bool is_renewed = false;              ///< the base has the same, but its copies would not do

  bool is_stored() const { return std::holds_alternative<Digest>(content); }
};

struct Part {
  SessionId session;
  std::string tag;
  std::optional<int64_t> step;
  std::optional<PartBase> base = {};
  std::vector<std::string> warnings = {};  ///< of replicas that ranks hold
  uint64_t stored_bytes = 0;               ///< as in TagFacts
  uint64_t unread_chunks = 0;              ///< of the base: they could not be read
  uint32_t weights_age = 0;                ///< as in TagFacts
  Schema schema;                           ///< of the tensors it has boxes of
  Layout layout;
  /// In increasing order of names; of a part just decoded, as decode_manifest leaves them.
  std::vector<AttachmentInfo> attachments;
  std::vector<PartUnit> units = {};  ///< by item, then by chunk
  /// Of the units that are stored, in order. A base on the page of all zeros is the unit whose
  /// number is the slot.
  Locator copies = {};
};

/// The page that stands for the part's own units.
inline constexpr Digest kOwnUnits{};

Bytes encode_part(const Part& part);
Result<Part> decode_part(ByteSpan bytes);

/// The boxes of the part, without data.
std::vector<TensorSource> sources_of(const Part& part);

/// A part's name: the text by which the process that unites parts finds it.
std::string part_name(const Reference& part);
/// Errors: kUsage for what is no such name.
Result<Reference> parse_part_name(std::string_view name);

}  // namespace cairn
