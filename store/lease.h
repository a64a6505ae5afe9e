// A lease: what a session in progress counts on, in words that any collector can read
// (docs/FORMAT.md, section 10; docs/PROTOCOL.md). Bytes here; the file is store/session's.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/process.h"
#include "store/file_id.h"

namespace cairn {

enum class LeaseKind : uint8_t {
  kSave,
  kMove,  ///< gc that moves copies, or a thinning: new files for standing tags
};

/// What a save counts on from the tag it compares with.
struct LeasedBase {
  std::string tag;
  Reference manifest, schema, table;
  std::optional<Reference> layout;
  std::vector<FileId> packs;
};

struct Lease {
  LeaseKind kind = LeaseKind::kSave;
  ProcessIdentity owner;
  std::string started;  ///< RFC 3339
  std::string tag;      ///< that is being made; "" for a move
  std::optional<LeasedBase> base;
};

/// A collector reads no more, and so a session may write no more.
inline constexpr uint64_t kLeaseBytesMax = 32 * kMiB;
/// A lease of so many packs is never longer: a base that needs more is not compared with.
inline constexpr size_t kLeasedPacksMax = 600'000;

std::string encode_lease(const Lease& lease);
/// Errors: kCorrupt, naming `path`; kNewerFormat for a kind that this version does not know.
Result<Lease> decode_lease(ByteSpan text, const std::string& path);

}  // namespace cairn
