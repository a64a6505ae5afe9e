// A place that holds a store's files under keys: a folder, a web server, a bucket. Push, pull and
// loads from remotes know no more of it than this.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"

namespace cairn::remote {

/// What a place can do, and up to where.
struct BackendAbilities {
  /// Parts of objects can be read. Without, a read fetches the object from its begin and drops what
  /// was not asked for: read whole objects in one go there. Learnt from answers: true until a
  /// server has answered otherwise.
  bool ranges = false;
  bool listing = false;
  bool writing = false;
  bool conditional_create = false;   ///< Condition::absent() holds
  bool conditional_replace = false;  ///< Condition::replaces() holds
  uint64_t put_bytes_most = 0;       ///< of one put()
  uint64_t part_bytes_least = 0;     ///< of an upload's parts, but the last
  uint64_t part_bytes_most = 0;
  uint32_t parts_most = 0;  ///< 0: there are no uploads
};

struct ObjectInfo {
  uint64_t bytes = 0;
  std::string version;      ///< ETag or the like; empty: unknown
  int64_t modified_ns = 0;  ///< by the place's clock, since 1970; 0: unknown
};

struct ReadAnswer {
  size_t bytes = 0;               ///< how many of those asked for; fewer only where the object ends
  std::string version;            ///< empty: unknown
  std::optional<uint64_t> total;  ///< bytes of the object, where told
};

struct WholeObject {
  Bytes bytes;
  std::string version;  ///< empty: unknown
};

/// What must be so for a write to happen.
struct Condition {
  enum class Kind : uint8_t { kNone, kAbsent, kVersion };

  static Condition none() { return {}; }
  static Condition absent() { return {Kind::kAbsent, {}}; }
  /// REQUIRES: a version that is not empty.
  static Condition replaces(std::string version) { return {Kind::kVersion, std::move(version)}; }

  Kind kind = Kind::kNone;
  std::string version;
};

/// What is written.
struct Payload {
  Payload() = default;
  // NOLINTBEGIN(google-explicit-constructor): bytes are a payload.
  Payload(ByteSpan all) : bytes(all) {}
  Payload(const Bytes& all) : bytes(all) {}
  // NOLINTEND(google-explicit-constructor)
  Payload(ByteSpan all, uint32_t checksum) : bytes(all), crc32(checksum) {}

  ByteSpan bytes;
  /// From when they came to lie there: it vouches for the memory too, and is sent with them.
  std::optional<uint32_t> crc32;
};

/// Why a write failed. `ambiguous`: it may have happened all the same, because an answer was lost;
/// read back what is there. Not so: nothing was written.
struct WriteError : Error {
  bool ambiguous = false;
};
/// The new version (empty: unknown) or why not.
class [[nodiscard]] WriteResult : public tl::expected<std::string, WriteError> {
 public:
  using tl::expected<std::string, WriteError>::expected;
};

/// One part of an upload, as the place has it.
struct UploadedPart {
  uint32_t number = 0;  ///< from 1
  uint64_t bytes = 0;
  std::string version;            ///< what complete_upload() names it by
  std::optional<uint32_t> crc32;  ///< of its bytes, where the place tells
};

/// An upload that was begun and neither completed nor aborted.
struct OpenUpload {
  std::string key, upload;
  int64_t begun_ns = 0;  ///< by the place's clock; 0: unknown
};

struct ListedObject {
  std::string key;
  ObjectInfo info;
};

/// A part of a listing. `next`: what to ask for what follows with; empty: this was the last.
template <class Item>
struct Page {
  std::vector<Item> items;
  std::string next;
};

/// Keys are relative paths of plain names (`root`, `packs/ab/...`); others are kUsage.
///
/// Threads: any number at once, and that is how much goes on in parallel. All calls block; what is
/// worth trying again is tried again (docs/REMOTES.md) until it was without progress for long
/// enough.
///
/// Errors of all calls: kCancelled (the stop flag), kUnreachable, kAuth, kNotFound (no such object;
/// the message says so if it is the bucket that is not there), kBusy, kNoSpace, kFailed; kUsage for
/// what the place cannot do.
class Backend {
 public:
  virtual ~Backend() = default;
  /// The same place over the same connections, with another stop flag, which must stay; null: that
  /// of the call for which a thread works (base/stop_scope.h).
  virtual std::unique_ptr<Backend> with_stop(const std::atomic<bool>* stop) const = 0;

  /// For messages: the URL without user, password and query.
  virtual const std::string& name() const = 0;
  virtual BackendAbilities abilities() const = 0;

  virtual Result<ObjectInfo> info(const std::string& key) = 0;
  /// Fills `out` from `offset`. For objects that are never replaced: what is fetched in several
  /// goes would mix otherwise.
  virtual Result<ReadAnswer> read(const std::string& key, uint64_t offset, MutableBytes out) = 0;
  /// The object as it is now, past caches on the way that may hold an older one.
  /// Errors: kCorrupt where it is longer than `bytes_most`.
  virtual Result<WholeObject> read_whole(const std::string& key, uint64_t bytes_most) = 0;

  /// Writes the object in one step: readers see all of it or what was there before.
  /// Errors: kExists where the condition does not hold.
  virtual WriteResult put(const std::string& key, const Payload& payload,
                          const Condition& condition) = 0;
  /// Success too when there is none.
  virtual Status remove(const std::string& key) = 0;
  /// Objects whose keys begin with `prefix` (any text), in the order of their keys' bytes.
  /// `from`: empty for the first page.
  virtual Result<Page<ListedObject>> list(const std::string& prefix, const std::string& from) = 0;

  // Uploads: large objects in parts, in any order and at once; an upload outlives who began it.

  /// A new upload of `key`. All parts but the last will have `part_bytes`.
  virtual Result<std::string> begin_upload(const std::string& key, uint64_t part_bytes) = 0;
  /// Takes the place of an earlier part of that number.
  virtual Result<UploadedPart> upload_part(const std::string& key, const std::string& upload,
                                           uint32_t number, const Payload& payload) = 0;
  /// All that have arrived, by number. Errors: kNotFound: no such upload (any more).
  virtual Result<std::vector<UploadedPart>> list_parts(const std::string& key,
                                                       const std::string& upload) = 0;
  /// Makes the object of these parts, in one step. `condition`: none or absent. Errors: as put();
  /// kNotFound: no such upload, which is ambiguous after a lost answer.
  virtual WriteResult complete_upload(const std::string& key, const std::string& upload,
                                      const std::vector<UploadedPart>& parts,
                                      const Condition& condition) = 0;
  /// Success too when there is none.
  virtual Status abort_upload(const std::string& key, const std::string& upload) = 0;
  /// Of keys that begin with `prefix`.
  virtual Result<Page<OpenUpload>> list_uploads(const std::string& prefix,
                                                const std::string& from) = 0;
};

}  // namespace cairn::remote
