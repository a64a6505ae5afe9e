#include "store/arrivals.h"

#include <algorithm>

#include "base/clock.h"
#include "store/gc/live_sessions.h"
#include "store/session.h"
#include "store/wire.h"

namespace cairn {

static constexpr std::string_view kOpenEnding = ".arrived", kHeldEnding = ".held",
                                  kLeftEnding = ".left";
static constexpr std::string_view kMagic = "CAIRNAR1";
static constexpr uint64_t kJournalBytesMax = 4 * kGiB;
static constexpr size_t kHeaderBytes = 56;
static constexpr size_t kRecordBytes = 112;
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
  append_file_id(bytes, arrival.source);
  append_le(bytes, arrival.source_offset);
  bytes.insert(bytes.end(), arrival.digest.bytes.begin(), arrival.digest.bytes.end());
  append_file_id(bytes, arrival.pack);
  append_le(bytes, arrival.offset);
  append_le(bytes, arrival.stored_bytes);
  append_le(bytes, uint32_t{0});
  append_seal(bytes, begin);
}

static Arrival take_arrival(WireReader& reader) {
  Arrival arrival;
  arrival.source = take_file_id(reader);
  arrival.source_offset = reader.take<uint64_t>();
  arrival.digest = reader.take_digest();
  arrival.pack = take_file_id(reader);
  arrival.offset = reader.take<uint64_t>();
  arrival.stored_bytes = reader.take<uint32_t>();
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

/// As far as it is whole: a journal ends wherever its writer was killed.
static std::vector<Arrival> decode_records(ByteSpan bytes) {
  std::vector<Arrival> arrivals;
  for (; bytes.size() >= kRecordBytes; bytes = bytes.subspan(kRecordBytes)) {
    const ByteSpan record = bytes.first(kRecordBytes - kSealBytes);
    const ByteSpan seal = bytes.subspan(record.size(), kSealBytes);
    const Digest digest = blake3(record);
    if (!std::equal(seal.begin(), seal.end(), digest.bytes.begin())) break;
    WireReader reader(record, "journal of arrivals");
    arrivals.push_back(take_arrival(reader));
  }
  return arrivals;
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
static Result<bool> is_dead(const Store& store, const SessionId& session, int64_t now_ns) {
  const auto lease = find_lease(store, session, now_ns);
  if (!lease && lease.error().code == Code::kNotFound) return false;
  CAIRN_CHECK(lease);
  return lease->life == Life::kDead;
}

/// Whether the journal may be gone on from. `now`: the present, where it is asked for.
template <class Now>
static Result<bool> may_be_taken(const Store& store, const FoundJournal& journal, const Now& now) {
  if (journal.state != JournalState::kOpen) return journal.state == JournalState::kLeft;
  CAIRN_TRY(const int64_t now_ns, now());
  return is_dead(store, journal.session, now_ns);
}

/// Whether the journal may be gone on from: then it is one that was left, and its session has no
/// lease. In this order: killed in between, nothing of it is lost to the next one.
static Result<bool> take_over(const Store& store, FoundJournal& journal, ByteSpan header) {
  CAIRN_TRY(const bool may_be,
            may_be_taken(store, journal, [&] { return file_system_now(store); }));
  if (!may_be) return false;
  if (journal.state == JournalState::kOpen) {
    CAIRN_CHECK(rename_journal(store.fs(), journal.path, kLeftEnding, header));
  }
  const Status removed = store.fs().remove(lease_path(store.path(), journal.session));
  if (!removed && removed.error().code != Code::kNotFound) return tl::unexpected(removed.error());
  CAIRN_CHECK(store.fs().sync_folder(parent_folder(journal.path)));
  return true;
}

/// `take(journal, header)`: whether what the journal of the origin tells may be gone on from.
template <class Take>
static FoundArrivals find_arrivals(const Store& store, const Origin& origin, const Take& take) {
  FoundArrivals found;
  auto journals = list_journals(store);
  if (!journals) {
    found.passed_over.push_back(journals.error().message);
    return found;
  }
  const Bytes header = encode_header(origin);
  for (FoundJournal& journal : *journals) {
    const auto bytes = read_file(store.fs(), journal.path, kJournalBytesMax);
    if (!bytes || bytes->size() < kHeaderBytes) continue;
    if (!std::equal(header.begin(), header.end(), bytes->begin())) continue;
    const auto is_taken = take(journal, header);
    if (!is_taken && is_taken.error().code == Code::kNotFound) continue;  // another was first
    if (!is_taken) found.passed_over.push_back(is_taken.error().message);
    if (!is_taken || !*is_taken) continue;
    found.left.push_back(
        {journal.path, journal.session, decode_records(ByteSpan(*bytes).subspan(kHeaderBytes))});
  }
  return found;
}

FoundArrivals find_left_arrivals(const Store& store, const Origin& origin) {
  return find_arrivals(store, origin, [&](FoundJournal& journal, const Bytes& header) {
    return take_over(store, journal, header);
  });
}

FoundArrivals look_at_left_arrivals(const Store& store, const Origin& origin) {
  // To ask the store's file system for the time would write to it. A process that is gone is gone
  // by any clock.
  const auto now = []() -> Result<int64_t> { return now_ns(); };
  return find_arrivals(store, origin, [&](const FoundJournal& journal, const Bytes&) {
    return may_be_taken(store, journal, now);
  });
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
