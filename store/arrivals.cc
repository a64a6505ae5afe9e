#include "store/arrivals.h"

#include <algorithm>
#include <array>

#include "base/clock.h"
#include "store/gc/live_sessions.h"
#include "store/session.h"
#include "store/wire.h"

namespace cairn {

static constexpr std::string_view kOpenEnding = ".arrived", kHeldEnding = ".held",
                                  kLeftEnding = ".left";
static constexpr std::string_view kMagic = "CAIRNAR2";
static constexpr size_t kHeaderBytes = 56;
static constexpr size_t kRecordBytes = 88;
static constexpr size_t kSealBytes = 8;  ///< of each record: the begin of the digest of the rest

static std::string journal_path(const Store& store, const SessionId& session,
                                std::string_view ending) {
  return join_path(join_path(store.path(), "sessions"), session.hex() + std::string(ending));
}

static void append_seal(Bytes& record, size_t begin) {
  const Digest digest = blake3(ByteSpan(record).subspan(begin));
  record.insert(record.end(), digest.bytes.begin(), digest.bytes.begin() + kSealBytes);
}

static void append_arrival(Bytes& bytes, const Arrival& arrival) {
  const size_t begin = bytes.size();
  append_digest(bytes, arrival.key.digest);
  append_le(bytes, arrival.key.decoding);
  append_file_id(bytes, arrival.pack);
  append_le(bytes, arrival.offset);
  append_le(bytes, arrival.key.stored_bytes);
  append_le(bytes, uint32_t{0});
  append_seal(bytes, begin);
}

static Arrival take_arrival(WireReader& reader) {
  Arrival arrival;
  arrival.key.digest = reader.take_digest();
  arrival.key.decoding = reader.take<uint64_t>();
  arrival.pack = take_file_id(reader);
  arrival.offset = reader.take<uint64_t>();
  arrival.key.stored_bytes = reader.take<uint32_t>();
  reader.take<uint32_t>();
  return arrival;
}

static Bytes encode_header(const Origin& origin) {
  Bytes header;
  append_bytes(header, as_bytes(kMagic));
  header.insert(header.end(), origin.store_id.bytes.begin(), origin.store_id.bytes.end());
  header.insert(header.end(), origin.manifest.bytes.begin(), origin.manifest.bytes.end());
  return header;
}

/// nullopt: this is no journal, or none of this version.
static std::optional<Origin> decode_header(ByteSpan bytes) {
  const ByteSpan magic = as_bytes(kMagic);
  if (bytes.size() < kHeaderBytes) return std::nullopt;
  if (!std::equal(magic.begin(), magic.end(), bytes.begin())) return std::nullopt;
  Origin origin;
  WireReader reader(bytes.subspan(kMagic.size()), "journal of arrivals");
  const ByteSpan id = reader.take_bytes(origin.store_id.bytes.size());
  std::copy(id.begin(), id.end(), origin.store_id.bytes.begin());
  origin.manifest = reader.take_digest();
  return origin;
}

/// False: they end within these bytes. A journal ends wherever its writer was killed.
static bool decode_records(ByteSpan bytes, std::vector<Arrival>& arrivals) {
  for (; bytes.size() >= kRecordBytes; bytes = bytes.subspan(kRecordBytes)) {
    const ByteSpan record = bytes.first(kRecordBytes - kSealBytes);
    const ByteSpan seal = bytes.subspan(record.size(), kSealBytes);
    const Digest digest = blake3(record);
    if (!std::equal(seal.begin(), seal.end(), digest.bytes.begin())) return false;
    WireReader reader(record, "journal of arrivals");
    arrivals.push_back(take_arrival(reader));
  }
  return bytes.empty();
}

/// As far as they are whole, however long the file is.
static Result<std::vector<Arrival>> read_records(Fs& fs, const std::string& path) {
  constexpr size_t kRecordsAtOnce = 8192;
  CAIRN_TRY(const auto file, fs.open(path, OpenMode::kRead));
  std::vector<Arrival> arrivals;
  Bytes room(kRecordsAtOnce * kRecordBytes);
  for (uint64_t offset = kHeaderBytes;; offset += room.size()) {
    CAIRN_TRY(const size_t count, file->read_at(offset, room));
    if (count == 0 || !decode_records(ByteSpan(room).first(count), arrivals)) return arrivals;
  }
}

Result<std::unique_ptr<ArrivalJournal>> ArrivalJournal::begin(const Store& store,
                                                              const SessionId& session,
                                                              const Origin& origin) {
  std::string path = journal_path(store, session, kOpenEnding);
  CAIRN_TRY(auto file, store.fs().open(path, OpenMode::kCreate));
  std::unique_ptr<ArrivalJournal> journal(
      new ArrivalJournal(store.fs(), std::move(path), std::move(file), encode_header(origin)));
  CAIRN_CHECK(journal->append(journal->header_));
  if (journal->is_object()) CAIRN_CHECK(journal->file_->sync());
  return journal;
}

Status ArrivalJournal::append(ByteSpan bytes) {
  const std::lock_guard lock(mutex_);
  CAIRN_CHECK(file_->write_at(bytes_, bytes));
  bytes_ += bytes.size();
  return {};
}

Status ArrivalJournal::note(std::span<const Arrival> arrivals) {
  if (is_object()) return {};
  Bytes records;
  for (const Arrival& arrival : arrivals) append_arrival(records, arrival);
  return append(records);
}

/// By another name from now on. Where nothing is renamed it is put anew.
static Status rename_journal(Fs& fs, std::string& path, std::string_view ending, ByteSpan header) {
  std::string renamed = path.substr(0, path.rfind('.')) + std::string(ending);
  if (fs.conditional() == nullptr) {
    CAIRN_CHECK(fs.rename(path, renamed));
  } else {
    CAIRN_CHECK(create_and_sync(fs, renamed, header));
    CAIRN_CHECK(fs.remove(path));
  }
  path = std::move(renamed);
  return {};
}

Status ArrivalJournal::hold() {
  // There nothing else needs to know of it meanwhile.
  if (is_object()) return remove();
  CAIRN_CHECK(rename_journal(fs_, path_, kHeldEnding, header_));
  return fs_.sync_folder(parent_folder(path_));
}

Status ArrivalJournal::leave() { return rename_journal(fs_, path_, kLeftEnding, header_); }

Status ArrivalJournal::remove() {
  Status removed = fs_.remove(path_);
  return removed || removed.error().code == Code::kNotFound ? Status() : removed;
}

namespace {

enum class JournalState : uint8_t { kOpen, kHeld, kLeft };

struct FoundJournal {
  std::string path;
  SessionId session;
  JournalState state = JournalState::kOpen;
};

}  // namespace

static std::optional<JournalState> state_of(std::string_view name) {
  if (name.ends_with(kOpenEnding)) return JournalState::kOpen;
  if (name.ends_with(kHeldEnding)) return JournalState::kHeld;
  if (name.ends_with(kLeftEnding)) return JournalState::kLeft;
  return std::nullopt;
}

static Result<std::vector<FoundJournal>> list_journals(const Store& store) {
  std::vector<FoundJournal> found;
  const std::string folder = join_path(store.path(), "sessions");
  const auto entries = store.fs().list(folder);
  if (!entries && entries.error().code == Code::kNotFound) return found;
  CAIRN_CHECK(entries);
  for (const FolderEntry& entry : *entries) {
    const auto state = state_of(entry.name);
    if (!entry.is_file || !state) continue;
    const auto session = SessionId::parse(entry.name.substr(0, entry.name.find('.')));
    if (session) found.push_back({join_path(folder, entry.name), *session, *state});
  }
  return found;
}

/// Whether the session's process is gone, for certain: else it may have packs open.
static Result<bool> is_dead(const Store& store, const SessionId& session, int64_t now) {
  const auto lease = find_lease(store, session, now);
  if (!lease && lease.error().code == Code::kNotFound) return false;
  CAIRN_CHECK(lease);
  return lease->life == Life::kDead;
}

enum class FindMode : uint8_t { kTake, kLook };

/// Whether the session has not been heard of for some heartbeats.
static Result<bool> is_silent(const Store& store, const SessionId& session, int64_t now) {
  CAIRN_TRY(const FileInfo lease, store.fs().info(lease_path(store.path(), session)));
  return now - lease.modified_ns >= std::chrono::nanoseconds(kSilentArrivals).count();
}

/// Whether the journal may be gone on from. Who only looks does not ask the store's file system for
/// the time, which would write to it: a process that is gone is gone by any clock.
static Result<bool> is_left(const Store& store, const FoundJournal& journal, bool is_own,
                            FindMode mode) {
  if (journal.state != JournalState::kOpen) return journal.state == JournalState::kLeft;
  int64_t now = now_ns();
  if (mode == FindMode::kTake) {
    CAIRN_TRY(now, file_system_now(store));
  }
  CAIRN_TRY(const bool is_gone, is_dead(store, journal.session, now));
  if (!is_gone || is_own || store.fs().conditional() == nullptr) return is_gone;
  return is_silent(store, journal.session, now);
}

/// It is one that was left from then on, and its session has no lease. In this order: killed in
/// between, nothing of it is lost to the next one.
static Status take_over(const Store& store, FoundJournal& journal, ByteSpan header) {
  if (journal.state == JournalState::kOpen) {
    CAIRN_CHECK(rename_journal(store.fs(), journal.path, kLeftEnding, header));
  }
  const Status removed = store.fs().remove(lease_path(store.path(), journal.session));
  if (!removed && removed.error().code != Code::kNotFound) return removed;
  return store.fs().sync_folder(parent_folder(journal.path));
}

/// nullopt: it is gone, or none of this version.
static std::optional<Origin> read_origin(Fs& fs, const std::string& path) {
  const auto file = fs.open(path, OpenMode::kRead);
  if (!file) return std::nullopt;
  std::array<uint8_t, kHeaderBytes> header;
  const auto count = (*file)->read_at(0, header);
  return count ? decode_header(ByteSpan(header).first(*count)) : std::nullopt;
}

/// nullopt: it is none to go on from.
static Result<std::optional<LeftArrivals>> find_left(const Store& store, FoundJournal& journal,
                                                     const Origin& own, FindMode mode) {
  const auto origin = read_origin(store.fs(), journal.path);
  if (!origin) return std::nullopt;
  CAIRN_TRY(const bool is_free, is_left(store, journal, *origin == own, mode));
  if (!is_free) return std::nullopt;
  if (mode == FindMode::kTake) CAIRN_CHECK(take_over(store, journal, encode_header(*origin)));
  LeftArrivals left{journal.path, *origin, journal.session, {}};
  if (store.fs().conditional() == nullptr) {
    CAIRN_TRY(left.arrivals, read_records(store.fs(), journal.path));
  }
  return left;
}

static FoundArrivals find_all_left(const Store& store, const Origin& own, FindMode mode) {
  FoundArrivals found;
  auto journals = list_journals(store);
  if (!journals) {
    found.passed_over.push_back(journals.error().message);
    return found;
  }
  for (FoundJournal& journal : *journals) {
    auto left = find_left(store, journal, own, mode);
    if (left && *left) found.left.push_back(*std::move(*left));
    // Not found: another was first.
    if (!left && left.error().code != Code::kNotFound) {
      found.passed_over.push_back(left.error().message);
    }
  }
  return found;
}

FoundArrivals take_left_arrivals(const Store& store, const Origin& own) {
  return find_all_left(store, own, FindMode::kTake);
}

FoundArrivals look_at_left_arrivals(const Store& store, const Origin& own) {
  return find_all_left(store, own, FindMode::kLook);
}

std::vector<std::string> remove_old_arrivals(const Store& store) {
  std::vector<std::string> failures;
  const auto journals = list_journals(store);
  if (!journals) return failures;
  for (const FoundJournal& journal : *journals) {
    if (file_exists(store.fs(), lease_path(store.path(), journal.session))) continue;
    const Status removed = store.fs().remove(journal.path);
    if (!removed && removed.error().code != Code::kNotFound) {
      failures.push_back(removed.error().message);
    }
  }
  return failures;
}

}  // namespace cairn
